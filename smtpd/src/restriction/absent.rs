//! Restrictions that are known and that nothing answers yet: policy services, address verification. They say what
//! Postfix says where the service is out of order.

use config::restrictions::REMOVED;
use dsn::Status;
use lookup::Maps;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::{AccessTable, Class, Evaluation, Restriction, Verdict};

/// A restriction of this kind, with its argument.
#[derive(Clone, Debug)]
pub enum Absent {
    /// check_policy_service SERVER: the server, and its own default_action.
    Policy(String, Option<String>),
    /// reject_unverified_sender, reject_unverified_recipient
    Unverified(Class),
}

/// The restriction of a lower-case name; takes its argument from the list.
pub fn restriction<'a>(name: &str, rest: &mut impl Iterator<Item = &'a str>) -> Option<Restriction> {
    if let Some((_, instead)) = REMOVED.iter().find(|(old, _)| *old == name) {
        let removed = "has been removed in Postfix 3.9";
        let why = format!("support for restriction \"{name}\" {removed}; instead, specify {instead}");
        return Some(Restriction::Misused(why));
    }
    Some(match name {
        "reject_unverified_sender" => Restriction::Absent(Absent::Unverified(Class::Sender)),
        "reject_unverified_recipient" => Restriction::Absent(Absent::Unverified(Class::Recipient)),
        "check_policy_service" => match rest.next().map(policy) {
            Some(Ok(policy)) => Restriction::Absent(policy),
            Some(Err(why)) => Restriction::Misused(why),
            None => Restriction::Misused(format!("restriction {name} must be followed by transport:server")),
        },
        _ => return None,
    })
}

/// `transport:endpoint`, or that and options in a group.
fn policy(spec: &str) -> Result<Absent, String> {
    let mut words = text::split_list(spec).into_iter();
    let service = words.next().unwrap_or_default();
    let Some((_, server)) = service.split_once(':') else {
        return Err(format!("need service transport:endpoint instead of \"{service}\""));
    };
    let mut default_action = None;
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name.trim() {
            "default_action" => default_action = Some(value.trim().to_owned()),
            "max_idle" | "max_ttl" | "policy_context" | "request_limit" | "retry_delay" | "timeout" | "try_limit" => {}
            _ => return Err(format!("unknown option: \"{word}\"")),
        }
    }
    Ok(Absent::Policy(server.to_owned(), default_action))
}

impl<L: LookUps> Evaluation<'_, L> {
    /// What one of them says.
    pub(super) async fn absent(&mut self, absent: &Absent, depth: usize) -> Verdict {
        match absent {
            Absent::Policy(server, own) => {
                logging::warning!("problem talking to server {}: not implemented", text::printable(server.as_bytes()));
                let action = own.clone().unwrap_or_else(|| self.settings.policy_default_action.clone());
                let table = AccessTable { name: server.clone(), maps: Maps::none(server) };
                Box::pin(self.action(self.class, &table, b"", action.as_bytes(), depth)).await
            }
            Absent::Unverified(class) => {
                let detail = if *class == Class::Sender { 7 } else { 1 };
                let text = self.text(*class, "unverified address: Address verification status unavailable");
                self.defer_if_permit(Rejection::new(450, Status::new(4, 1, detail), text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_service_is_an_endpoint_with_options() {
        let parse = |spec| match policy(spec) {
            Ok(Absent::Policy(server, action)) => Ok((server, action)),
            Ok(_) => unreachable!(),
            Err(why) => Err(why),
        };
        assert_eq!(parse("inet:127.0.0.1:10023"), Ok(("127.0.0.1:10023".to_owned(), None)));
        let full = "unix:private/policy, timeout=10s, { default_action = 451 4.3.9 gone }";
        assert_eq!(parse(full), Ok(("private/policy".to_owned(), Some("451 4.3.9 gone".to_owned()))));
        assert!(parse("nothing").is_err());
        assert!(parse("unix:x, default_action=451 4.3.9").is_err());
    }
}
