//! Which authentication server there is: the default of Postfix is a library that is not there.

use crate::param;
use crate::report::{Finding, Report};
use crate::settings::{Config, Origin};

/// The only smtpd_sasl_type of this server.
pub const SERVER_TYPE: &str = "dovecot";

impl Report<'_> {
    /// Servers that nobody can be served by, for they are to ask another kind of authentication server.
    pub(super) fn wrong_sasl(&self) -> Vec<Finding> {
        let servers = self.services.iter().filter(|service| service.program() == "smtpd");
        let wrong = servers.filter_map(|service| {
            let config = self.config_of(service);
            let kind = wrong_type(&config)?;
            let is_option = |name| config.setting(name).is_some_and(|setting| setting.origin == Origin::Override);
            let (switch, name) = (param::SMTPD_SASL_AUTH_ENABLE.name(), param::SMTPD_SASL_TYPE.name());
            let place = match () {
                () if is_option(switch) || is_option(name) => self.master(service.line),
                () if config.setting(name).is_some() => self.place_of(name),
                () => self.place_of(switch),
            };
            let text = format!(
                "{name} = {kind} is not there, and a server with {switch} = yes does not start; \
                 set {name} = {SERVER_TYPE}, and smtpd_sasl_path to the socket of an authentication server"
            );
            Some(Finding { place, text })
        });
        wrong.collect()
    }
}

/// The type, if clients are to log in and it is another one.
fn wrong_type(config: &Config) -> Option<String> {
    let is_wanted = config.get(param::SMTPD_SASL_AUTH_ENABLE).ok()?;
    config.get(param::SMTPD_SASL_TYPE).ok().filter(|kind| is_wanted && kind != SERVER_TYPE)
}
