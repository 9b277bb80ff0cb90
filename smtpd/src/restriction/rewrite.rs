//! local_header_rewrite_clients: the clients whose headers are completed as if they were ours.
//!
//! A table says yes by having the client's address; what stands there means nothing. Nothing here turns a client down,
//! but a question that cannot be answered now.

use dsn::Status;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::list::{bad_argument, simple};
use crate::restriction::{AccessTable, Evaluation, List, Restriction, Tables, Verdict};

impl List {
    /// Parses the value of local_header_rewrite_clients.
    pub fn of_rewrite_clients(items: &[String], tables: &Tables) -> List {
        let mut rest = items.iter().map(String::as_str);
        let mut found = Vec::with_capacity(items.len());
        while let Some(item) = rest.next() {
            let lower = item.to_ascii_lowercase();
            found.push(match lower.as_str() {
                "permit_inet_interfaces"
                | "permit_mynetworks"
                | "permit_sasl_authenticated"
                | "permit_tls_clientcerts"
                | "permit_tls_all_clientcerts" => simple(&lower).unwrap_or(Restriction::Permit),
                "check_address_map" => match rest.next().unwrap_or(item) {
                    table if table.contains(':') => tables.address_map(table),
                    other => Restriction::Misused(bad_argument(&lower, other)),
                },
                _ if item.contains(':') => tables.address_map(item),
                _ => Restriction::Ignored(format!(
                    "parameter local_header_rewrite_clients: invalid request: {}",
                    text::printable(item.as_bytes())
                )),
            });
        }
        List(found)
    }
}

impl<L: LookUps> Evaluation<'_, L> {
    /// check_address_map
    pub(super) fn address_map(&mut self, table: &AccessTable) -> Verdict {
        let address = self.facts.peer.address_text();
        match table.maps.lookup(address.as_bytes()) {
            Ok(Some(_)) => Verdict::Permit,
            Ok(None) => Verdict::Dunno,
            // What is in the table means nothing, so it may as well be nothing.
            Err(error) if error.reason() == lookup::EMPTY_RESULT => Verdict::Permit,
            Err(_) => {
                logging::warning!("{} lookup error for \"{address}\"", table.name);
                self.server_error(Rejection::new(451, Status::new(4, 3, 0), "Temporary lookup error"))
            }
        }
    }
}
