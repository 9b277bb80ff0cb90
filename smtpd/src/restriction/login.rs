//! Restrictions about who the client is: permit_sasl_authenticated, and reject_*_sender_login_mismatch, by which a
//! sender address belongs to its users.

use dsn::Status;
use ipc::rewrite::Class as AddressClass;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::unlisted::Lister;
use crate::restriction::{Class, Evaluation, Verdict};

/// What a restriction has against a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// reject_authenticated_sender_login_mismatch: who is logged in owns no such address.
    Authenticated,
    /// reject_unauthenticated_sender_login_mismatch: the address has an owner, and the client is not logged in.
    Unauthenticated,
    /// reject_known_sender_login_mismatch: the address has another owner.
    Known,
}

impl Mismatch {
    /// Those of a restriction.
    pub fn of_restriction(name: &str) -> Option<&'static [Mismatch]> {
        Some(match name {
            "reject_sender_login_mismatch" => &[Mismatch::Authenticated, Mismatch::Unauthenticated],
            "reject_authenticated_sender_login_mismatch" => &[Mismatch::Authenticated],
            "reject_unauthenticated_sender_login_mismatch" => &[Mismatch::Unauthenticated],
            "reject_known_sender_login_mismatch" => &[Mismatch::Known],
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Mismatch::Authenticated => "reject_authenticated_sender_login_mismatch",
            Mismatch::Unauthenticated => "reject_unauthenticated_sender_login_mismatch",
            Mismatch::Known => "reject_known_sender_login_mismatch",
        }
    }
}

/// The mechanism that lets in everybody. RFC 4505
const ANONYMOUS: &str = "ANONYMOUS";

impl<L: LookUps> Evaluation<'_, L> {
    /// permit_sasl_authenticated: also of users that XCLIENT names, whether or not others can log in here.
    pub(super) fn permit_sasl_authenticated(&self) -> Verdict {
        let is_somebody = self.facts.login.is_some_and(|login| !login.method.eq_ignore_ascii_case(ANONYMOUS));
        if is_somebody { Verdict::Permit } else { Verdict::Dunno }
    }

    /// A restriction that asks who the client is has nothing to say where nobody can log in.
    pub(super) fn lacks_sasl(&self, restriction: &str) -> bool {
        if !self.settings.dialogue.sasl_enabled {
            logging::warning!("restriction `{restriction}' ignored: no SASL support");
        }
        !self.settings.dialogue.sasl_enabled
    }

    /// reject_*_sender_login_mismatch
    pub(super) async fn sender_login_mismatch(&mut self, mismatches: &[Mismatch]) -> Verdict {
        for mismatch in mismatches {
            if self.lacks_sasl(mismatch.name()) {
                continue;
            }
            let Some(sender) = self.facts.sender.filter(|sender| !sender.is_empty()) else { continue };
            let wanted = match mismatch {
                Mismatch::Authenticated => self.facts.login.is_some(),
                Mismatch::Unauthenticated => self.facts.login.is_none(),
                Mismatch::Known => true,
            };
            if wanted {
                let verdict = self.owned(*mismatch, sender).await;
                if verdict != Verdict::Dunno {
                    return verdict;
                }
            }
        }
        Verdict::Dunno
    }

    async fn owned(&mut self, mismatch: Mismatch, sender: &[u8]) -> Verdict {
        let Some(owners) = self.owners(sender).await else {
            return self.server_error(Rejection::temporary_lookup(sender));
        };
        let user = self.facts.login.map(|login| login.user.as_str());
        let why = match (user, owners) {
            (None, None) => return Verdict::Dunno,
            (None, Some(_)) => "not logged in".to_owned(),
            (Some(_), None) if mismatch == Mismatch::Known => return Verdict::Dunno,
            (Some(user), Some(owners)) if is_among(user, &owners) => return Verdict::Dunno,
            (Some(user), _) => format!("not owned by user {user}"),
        };
        let text = self.text(Class::Sender, why);
        self.reject(Rejection::new(553, Status::new(5, 7, 1), text))
    }

    /// smtpd_sender_login_maps; `None` when nobody can say.
    async fn owners(&self, sender: &[u8]) -> Option<Option<Vec<u8>>> {
        let maps = &self.rules.tables.sender_logins;
        if maps.is_empty() {
            return Some(None);
        }
        let resolved = self.look_ups.resolve(Some(sender), sender).await.ok()?;
        let is_local = resolved.class == AddressClass::Local;
        let lister = Lister { rules: self.rules, settings: self.settings, look_ups: self.look_ups, is_local };
        lookup::settled(|| lister.find(maps, &resolved.recipient)).await.ok()
    }
}

/// Whether a user is one of the owners, in any case.
fn is_among(user: &str, owners: &[u8]) -> bool {
    text::split_list(&String::from_utf8_lossy(owners)).into_iter().any(|owner| owner.eq_ignore_ascii_case(user))
}

#[cfg(test)]
mod tests {
    use super::is_among;

    #[test]
    fn owners_are_a_list_of_users_in_any_case() {
        assert!(is_among("bob@lab.test", b"alice@lab.test, BOB@lab.test"));
        assert!(is_among("bob", b"alice bob"));
        assert!(!is_among("bob", b"bobby") && !is_among("", b"bob") && !is_among("bob", b""));
    }
}
