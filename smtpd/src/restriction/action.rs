//! What an access table says: OK, REJECT, `550 text`, HOLD, a list of restrictions ... access(5)

use dsn::Status;
use smtp_protocol::Verb;
use smtp_server::{Rejection, State};

use crate::look_ups::LookUps;
use crate::restriction::{AccessTable, Class, DEPTH_LIMIT, Evaluation, List, Named, Verdict};

/// What a message is to suffer if it is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// HOLD
    pub hold: bool,
    /// DISCARD
    pub discard: bool,
    /// FILTER
    pub filter: Option<Vec<u8>>,
    /// REDIRECT
    pub redirect: Option<Vec<u8>>,
    /// BCC
    pub bcc: Vec<Vec<u8>>,
    /// PREPEND
    pub prepend: Vec<Vec<u8>>,
}

impl Effects {
    /// With what tables have said later: of two filters the last one counts.
    pub fn followed_by(mut self, later: &Effects) -> Effects {
        self.filter = later.filter.clone().or(self.filter);
        self.redirect = later.redirect.clone().or(self.redirect);
        self.bcc.extend(later.bcc.iter().filter(|copy| !self.bcc.contains(copy)).cloned().collect::<Vec<_>>());
        self
    }
}

/// BCC and PREPEND that one message may collect: several for each of as many recipients as a message may have by
/// default.
/// told: the client, who may try again, and the log.
const MAX_ADDED: usize = 10_000;

impl<L: LookUps> Evaluation<'_, L> {
    /// Does what the value of `key` in `table` says about `class`.
    pub(super) async fn action(
        &mut self,
        class: Class,
        table: &AccessTable,
        key: &[u8],
        value: &[u8],
        depth: usize,
    ) -> Verdict {
        let value = value.trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (word, text) = (value[..end].to_ascii_uppercase(), value[end..].trim_ascii_start());
        match word.as_slice() {
            b"OK" | b"RELAY" => self.permit(class, &word, table),
            b"DUNNO" => Verdict::Dunno,
            b"REJECT" => self.turn_down(class, self.settings.codes.access_map_reject, text, "Access denied"),
            b"DEFER" => self.turn_down(class, self.settings.codes.access_map_defer, text, "Access denied"),
            b"DEFER_IF_PERMIT" => {
                let code = self.settings.codes.access_map_defer;
                let rejection = self.rejection(class, code, text, "Service unavailable");
                self.defer_if_permit(rejection)
            }
            b"DEFER_IF_REJECT" => {
                let code = self.settings.codes.access_map_defer;
                let rejection = self.rejection(class, code, text, "Service unavailable");
                self.defer_if_reject(rejection)
            }
            b"HANGUP" => {
                self.log("hangup", "");
                Verdict::HangUp
            }
            b"INFO" => self.note("info", text),
            b"WARN" => self.note("warn", text),
            b"HOLD" | b"DISCARD" | b"FILTER" | b"REDIRECT" | b"BCC" | b"PREPEND" => {
                self.effect(&word, class, table, key, text)
            }
            digits if digits.iter().all(u8::is_ascii_digit) && text.is_empty() => self.permit(class, digits, table),
            [first @ (b'4' | b'5'), second, third] if second.is_ascii_digit() && third.is_ascii_digit() => {
                let code = [first, second, third].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0'));
                self.turn_down(class, code, text, "Access denied")
            }
            _ => self.restrictions(class, table, value, depth).await,
        }
    }

    fn permit(&self, class: Class, word: &[u8], table: &AccessTable) -> Verdict {
        self.log_permission(class, &text::printable(word), &format!("from {}", table.name));
        Verdict::Permit
    }

    fn rejection(&self, class: Class, code: u16, text: &[u8], default: &str) -> Rejection {
        let (status, text) = Status::split_bytes(text, Status::new(4, 7, 1));
        let text = if text.is_empty() { default.as_bytes() } else { text };
        Rejection::new(code, adapted(status, class), self.text(class, text))
    }

    fn turn_down(&mut self, class: Class, code: u16, text: &[u8], default: &str) -> Verdict {
        let rejection = self.rejection(class, code, text, default);
        self.reject(rejection)
    }

    fn note(&mut self, action: &str, text: &[u8]) -> Verdict {
        self.log(action, &text::printable(text));
        Verdict::Dunno
    }

    fn effect(&mut self, word: &[u8], class: Class, table: &AccessTable, key: &[u8], text: &[u8]) -> Verdict {
        if self.is_unavailable(word, table) {
            return Verdict::Dunno;
        }
        let missing = |what: &str| {
            logging::warning!("access table {} entry \"{}\" requires {what}", table.name, text::printable(key));
            Verdict::Dunno
        };
        let shown = match word {
            b"HOLD" | b"DISCARD" if text.is_empty() => {
                format!("triggers {} action", text::printable(word)).into_bytes()
            }
            b"HOLD" | b"DISCARD" => text.to_vec(),
            _ => [b"triggers ", word, b" ", text].concat(),
        };
        let action = text::printable(&word.to_ascii_lowercase());
        let verdict = match word {
            b"HOLD" if std::mem::replace(&mut self.effects.hold, true) => return Verdict::Dunno,
            b"HOLD" => Verdict::Dunno,
            b"DISCARD" => {
                self.effects.discard = true;
                Verdict::Permit
            }
            b"FILTER" if text.is_empty() => {
                let (table, key) = (&table.name, text::printable(key));
                logging::warning!("access table {table} entry \"{key}\" has FILTER entry without value");
                return Verdict::Dunno;
            }
            b"FILTER" if !text.contains(&b':') => return missing("transport:destination"),
            b"FILTER" => {
                self.effects.filter = Some(text.to_vec());
                Verdict::Dunno
            }
            b"PREPEND" => return self.prepend(table, text, missing),
            _ if !text.contains(&b'@') => return missing("user@domain target"),
            b"REDIRECT" => {
                self.effects.redirect = Some(text.to_vec());
                Verdict::Dunno
            }
            _ => {
                // cleanup drops duplicates too; tables of recipients name the same address for each of them.
                if !self.effects.bcc.iter().any(|known| known == text) {
                    if self.effects.bcc.len() >= MAX_ADDED {
                        return self.too_many("BCC", table);
                    }
                    self.effects.bcc.push(text.to_vec());
                }
                Verdict::Dunno
            }
        };
        let about = self.about(class, format!("{class} "), shown);
        self.log(&action, &text::printable(&about));
        verdict
    }

    /// Whether nothing can be done with the message here, which is logged.
    fn is_unavailable(&self, word: &[u8], table: &AccessTable) -> bool {
        let (table, action) = (&table.name, text::printable(word));
        if self.facts.state == State::Command(Verb::Etrn) && word != b"PREPEND" {
            logging::warning!("access table {table}: action {action} is unavailable in smtpd_etrn_restrictions");
        } else if self.facts.sender.is_none() {
            logging::warning!(
                "access table {table}: with smtpd_delay_reject=no, action {action} is always skipped in Client host or \
                 Helo command restrictions"
            );
        } else if self.settings.proxied && word != b"PREPEND" {
            logging::warning!(
                "access table {table}: with smtpd_proxy_filter specified, action {action} is unavailable"
            );
        } else {
            return false;
        }
        true
    }

    fn prepend(&mut self, table: &AccessTable, text: &[u8], missing: impl Fn(&str) -> Verdict) -> Verdict {
        if self.facts.state == State::EndOfMessage {
            let name = &table.name;
            logging::warning!("access table {name}: action PREPEND must be used before smtpd_end_of_data_restrictions");
            return Verdict::Dunno;
        }
        // What is no header would end the message's own ones.
        if message::header::name_length(text).is_none() {
            return missing("header: text");
        }
        if self.effects.prepend.len() >= MAX_ADDED {
            return self.too_many("PREPEND", table);
        }
        self.effects.prepend.push(text.to_vec());
        Verdict::Dunno
    }

    /// A message to which something was not done that a table asks for is not accepted.
    fn too_many(&mut self, action: &str, table: &AccessTable) -> Verdict {
        let name = &table.name;
        logging::repeated!("access table {name}: more than {MAX_ADDED} actions {action} for one message");
        self.server_error(Rejection::server_configuration())
    }

    /// The value is itself a list. What it names is not opened at this late hour: a class has been.
    async fn restrictions(&mut self, class: Class, table: &AccessTable, value: &[u8], depth: usize) -> Verdict {
        let value = String::from_utf8_lossy(value).into_owned();
        let (name, shown) = (&table.name, text::printable(value.as_bytes()));
        if depth + 1 >= DEPTH_LIMIT {
            logging::warning!("access table {name} entry {shown} causes unreasonable recursion");
            return self.server_error(Rejection::server_configuration());
        }
        if value.contains(':') {
            logging::warning!("access table {name} has entry with lookup table: {shown}");
            logging::warning!("do not specify lookup tables inside SMTPD access maps");
            logging::warning!("define a restriction class and specify its name instead.");
            return self.server_error(Rejection::server_configuration());
        }
        let named = Named {
            tables: &self.rules.tables.access,
            services: &self.rules.services,
            classes: &self.settings.classes,
        };
        match List::parse(&text::split_list(&value), named) {
            Ok(list) => {
                // The list is about what was looked up.
                let outer = std::mem::replace(&mut self.class, class);
                let verdict = Box::pin(self.items(list.items(), depth + 1)).await;
                self.class = outer;
                verdict
            }
            Err(why) => {
                logging::warning!("{}", text::printable(why.as_bytes()));
                self.server_error(Rejection::server_configuration())
            }
        }
    }
}

/// A status about an address becomes one about the address at hand: `5.1.1` about a sender is `5.1.7`.
pub(super) fn adapted(status: Status, class: Class) -> Status {
    if status.subject() != 1 {
        return status;
    }
    let (subject, detail) = match (class, status.detail()) {
        (Class::Sender, 1 | 3 | 4 | 6 | 7) => (1, 7),
        (Class::Sender, 2 | 8) => (1, 8),
        (Class::Sender, _) => (1, 0),
        (Class::Recipient, detail @ 1..=6) => (1, detail),
        (Class::Recipient, 7) => (1, 3),
        (Class::Recipient, 8) => (1, 2),
        (Class::Recipient, _) => (1, 0),
        _ => (0, 0),
    };
    if (subject, detail) != (1, status.detail()) {
        let new = Status::new(status.class(), subject, detail);
        logging::info!("mapping DSN status {status} into {class} status {new}");
        return new;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_about_the_other_address_is_adapted() {
        let of = |detail, class| adapted(Status::new(5, 1, detail), class).to_string();
        assert_eq!(of(1, Class::Sender), "5.1.7");
        assert_eq!(of(2, Class::Sender), "5.1.8");
        assert_eq!(of(7, Class::Recipient), "5.1.3");
        assert_eq!(of(3, Class::Recipient), "5.1.3");
        assert_eq!(of(1, Class::Client), "5.0.0");
        assert_eq!(adapted(Status::new(5, 9, 9), Class::Sender).to_string(), "5.9.9");
    }
}
