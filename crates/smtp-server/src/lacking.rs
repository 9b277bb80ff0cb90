//! What main.cf asks for and the server does not have: settings that nobody answers yet. No mail is taken as if nothing
//! had been asked for.

/// What is asked for and not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Another setting: no mail is taken while it is set.
    pub no_mail: bool,
}
