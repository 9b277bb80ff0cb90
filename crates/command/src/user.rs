//! Who calls: the real user, whatever rights the command has, and what that user may do.

use config::{Config, Param};
use lookup::{DomainList, ParentStyle};
use nix::unistd::{Uid, User, getuid};

/// The caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Real user id.
    pub uid: u32,
    /// Login name; nothing when the user database has none. An error when it does not say: a server of it does not
    /// answer.
    pub name: Result<Option<String>, String>,
    /// Full name as the user database has it (the first part of the comment field).
    pub full_name: String,
}

impl Caller {
    /// The real user of this process.
    pub fn current() -> Self {
        Self::of(getuid())
    }

    fn of(uid: Uid) -> Self {
        let found = User::from_uid(uid);
        let full_name = |user: &User| full_name(&user.gecos.to_string_lossy(), &user.name);
        let full_name = found.iter().flatten().next().map(full_name).unwrap_or_default();
        let name = found.map(|user| user.map(|user| user.name));
        let name = name.map_err(|error| format!("error looking up passwd info for uid {uid}: {}", error.desc()));
        Self { uid: uid.as_raw(), name, full_name }
    }

    /// True for root, who looks at the queue whatever a list says.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The name for messages.
    pub fn label(&self) -> &str {
        self.name.as_ref().ok().and_then(Option::as_deref).unwrap_or("unknown")
    }

    /// Does a list such as `authorized_submit_users` name this user? A user without a name is looked up as `unknown`.
    ///
    /// # Errors
    /// A sentence: the list cannot be read, one of its tables cannot be used, or it is not known who this user is. A
    /// list that does not look at the name (`static:anyone`) needs none.
    pub fn is_in(&self, config: &Config, list: Param<Vec<String>>) -> Result<bool, String> {
        let text = config.lookup(list.name()).map_err(|error| error.to_string())?.unwrap_or_default();
        if let (Err(why), false) = (&self.name, is_for_everybody(&text)) {
            return Err(why.clone());
        }
        let users =
            DomainList::open(config, list.name(), &text, ParentStyle::Never).map_err(|error| error.to_string())?;
        users.matches(self.label().as_bytes()).map_err(|error| error.to_string())
    }
}

/// One table, which has the same answer for every name.
fn is_for_everybody(list: &str) -> bool {
    let list = list.trim();
    list.starts_with("static:") && !list.contains([' ', '\t', '\n', ',', '{'])
}

/// The comment field up to the first comma; `&` stands for the capitalised login name.
fn full_name(comment: &str, login: &str) -> String {
    let mut out = String::new();
    for character in comment.split(',').next().unwrap_or_default().chars() {
        match character {
            '&' => {
                let mut letters = login.chars();
                out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                out.push_str(letters.as_str());
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_ends_at_a_comma_and_an_ampersand_is_the_login_name() {
        assert_eq!(full_name("& B. Jones,Room 5", "alice"), "Alice B. Jones");
        assert_eq!(full_name("", "alice"), "");
    }

    #[test]
    fn lists_name_users_with_tables_and_exceptions() {
        let config = |list: &str| {
            let text = format!("authorized_submit_users = {list}\n");
            Config::parse(text.as_bytes(), std::path::Path::new("/proc/self/none"), &[]).unwrap()
        };
        let alice = Caller { uid: 7, name: Ok(Some("alice".into())), full_name: String::new() };
        let allowed = |list: &str| alice.is_in(&config(list), config::param::AUTHORIZED_SUBMIT_USERS);
        assert_eq!(allowed("static:anyone"), Ok(true));
        assert_eq!(allowed("!alice, static:anyone"), Ok(false));
        assert_eq!(allowed("bob, alice"), Ok(true));
        assert_eq!(allowed(""), Ok(false));
    }

    #[test]
    fn a_user_whom_the_database_cannot_name_is_in_no_list_that_asks_for_names() {
        let somebody = Caller { uid: 7, name: Err("no answer".into()), full_name: String::new() };
        let is_in = |list: &str| {
            let text = format!("authorized_submit_users = {list}\n");
            let config = Config::parse(text.as_bytes(), std::path::Path::new("/proc/self/none"), &[]).unwrap();
            somebody.is_in(&config, config::param::AUTHORIZED_SUBMIT_USERS)
        };
        assert_eq!(is_in("static:anyone"), Ok(true));
        assert_eq!(is_in("!carol, static:anyone"), Err("no answer".to_owned()));
        assert_eq!(is_in("unknown"), Err("no answer".to_owned()));
    }
}
