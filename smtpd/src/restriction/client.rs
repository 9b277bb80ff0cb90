//! Restrictions about the client: permit_mynetworks, permit_inet_interfaces, reject_unknown_client_hostname,
//! reject_unknown_reverse_client_hostname.

use dsn::Status;
use receiving::peer::is_in;
use smtp_server::{NameStatus, Rejection};

use crate::look_ups::LookUps;
use crate::restriction::{Evaluation, Verdict};

impl<L: LookUps> Evaluation<'_, L> {
    /// permit_mynetworks
    pub(super) fn permit_mynetworks(&mut self) -> Verdict {
        let peer = self.facts.peer;
        match is_in(peer, &self.rules.tables.mynetworks) {
            Ok(true) => {
                self.note_mynetworks_style();
                Verdict::Permit
            }
            Ok(false) => Verdict::Dunno,
            Err(_) => {
                let name = self.name(self.class).unwrap_or(peer.label.as_bytes());
                self.server_error(Rejection::temporary_lookup(name))
            }
        }
    }

    /// permit_inet_interfaces
    pub(super) fn permit_inet_interfaces(&mut self) -> Verdict {
        // The connection counts, not what XCLIENT says.
        let address = self.facts.peer.remote.ip();
        if net::interfaces::is_own(&self.rules.own_addresses, address) { Verdict::Permit } else { Verdict::Dunno }
    }

    /// reject_unknown_client_hostname
    pub(super) fn reject_unknown_client_hostname(&mut self) -> Verdict {
        let status = self.facts.peer.name_status;
        self.reject_nameless(status, Status::new(4, 7, 25), "cannot find your hostname")
    }

    /// reject_unknown_reverse_client_hostname
    pub(super) fn reject_unknown_reverse_client_hostname(&mut self) -> Verdict {
        let status = self.facts.peer.reverse_status;
        self.reject_nameless(status, Status::new(4, 7, 1), "cannot find your reverse hostname")
    }

    fn reject_nameless(&mut self, name: NameStatus, status: Status, text: &str) -> Verdict {
        // unknown_client_reject_code, unless the name may be found later
        let code = match name {
            NameStatus::Known => return Verdict::Dunno,
            NameStatus::Temporary => 450,
            NameStatus::None => self.settings.codes.unknown_client,
        };
        let address = self.facts.peer.address_text();
        self.reject(Rejection::new(code, status, format!("Client host rejected: {text}, [{address}]")))
    }
}
