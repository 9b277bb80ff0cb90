//! Which kinds of SASL there are: of the kinds that Postfix may have, servers and clients have one each.

use crate::declare::{Agent, Parameter as _};
use crate::param::{self, twin};
use crate::report::{Finding, Report};
use crate::settings::{Config, Origin};

/// The only smtpd_sasl_type of this server.
pub const SERVER_TYPE: &str = "dovecot";
/// The only smtp_sasl_type of this client: the name that configurations have for it.
pub const CLIENT_TYPE: &str = "cyrus";

/// The parameters of one program.
struct Kind {
    switch: &'static str,
    name: &'static str,
    /// The only type.
    right: &'static str,
    /// What else is to be set.
    more: &'static str,
}

impl Kind {
    fn of(program: &str) -> Option<Self> {
        let of_client = |agent| Self {
            switch: twin::SASL_AUTH_ENABLE.of(agent).name(),
            name: twin::SASL_TYPE.of(agent).name(),
            right: CLIENT_TYPE,
            more: "",
        };
        match program {
            "smtpd" => Some(Self {
                switch: param::SMTPD_SASL_AUTH_ENABLE.name(),
                name: param::SMTPD_SASL_TYPE.name(),
                right: SERVER_TYPE,
                more: ", and smtpd_sasl_path to the socket of an authentication server",
            }),
            "smtp" => Some(of_client(Agent::Smtp)),
            "lmtp" => Some(of_client(Agent::Lmtp)),
            _ => None,
        }
    }

    /// The type, if there are to be logins and it is another one.
    fn wrong(&self, config: &Config) -> Option<String> {
        let value = |name| config.lookup(name).ok().flatten();
        let is_wanted = value(self.switch).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        value(self.name).filter(|kind| is_wanted && kind != self.right)
    }
}

impl Report<'_> {
    /// Services that do not start, for they are to have another kind of SASL.
    pub(super) fn wrong_sasl(&self) -> Vec<Finding> {
        let wrong = self.services.iter().filter_map(|service| {
            let kind = Kind::of(service.program())?;
            let config = self.config_of(service);
            let found = kind.wrong(&config)?;
            let Kind { switch, name, right, more } = kind;
            let is_option = |name| config.setting(name).is_some_and(|setting| setting.origin == Origin::Override);
            let place = match () {
                () if is_option(switch) || is_option(name) => self.master(service.line),
                () if config.setting(name).is_some() => self.place_of(name),
                () => self.place_of(switch),
            };
            let who = if service.program() == "smtpd" { "server" } else { "client" };
            let text = format!(
                "{name} = {found} is not there, and a {who} with {switch} = yes does not start; set {name} = {right}{more}"
            );
            Some(Finding { place, text })
        });
        wrong.collect()
    }
}
