//! Values that cannot be understood, and names that mean nothing.

use crate::entry::Kind;
use crate::lines::Warning;
use crate::names::{Names, nearest};
use crate::report::{Finding, Report, places};
use crate::transport;

impl Report<'_> {
    /// What the reader of lines found odd.
    pub(super) fn odd_line(&self, warning: &Warning, in_master: bool) -> Finding {
        let place = if in_master { self.master(warning.line()) } else { self.main(warning.line()) };
        Finding { place, text: warning.sentence() }
    }

    /// Values of main.cf that are wrong; those of services stop the mail system before anybody asks here.
    pub(super) fn wrong_values(&self) -> Vec<Finding> {
        let main = self.said.iter().filter(|said| said.place.rank == 0);
        let wrong = main.filter_map(|said| {
            if said.name == "maillog_file_permissions" {
                let text = self.config.bad_log_permissions()?;
                return Some(Finding { place: said.place.clone(), text });
            }
            let entry = transport::entry_of(&said.name).filter(|entry| entry.kind != Kind::Raw)?;
            let error = self.config.value_error(&said.name, entry)?;
            Some(Finding { place: said.place.clone(), text: error.to_string() })
        });
        wrong.collect()
    }

    /// Names that nothing reads, names that nothing defines, and comments that are none.
    pub(super) fn wrong_names(&self) -> Vec<Finding> {
        let names = Names::new(self.config, &self.entries);
        let mut found = Vec::new();
        for unused in names.unused() {
            let place = unused.entry.map_or_else(|| self.place_of(&unused.name), |line| self.master(line));
            let hint = nearest(&unused.name).map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
            let text = format!("unused parameter: {}={}{hint}", unused.name, unused.value);
            found.push(Finding { place, text });
        }
        let place = |in_master: bool, line: usize| if in_master { self.master(line) } else { self.main(line) };
        for undefined in names.undefined() {
            let text = format!("undefined parameter: {}", undefined.name);
            found.push(Finding { place: place(undefined.in_master, undefined.line), text });
        }
        let comments = names.comments().into_iter();
        found.extend(comments.map(|it| Finding { place: place(it.in_master, it.line), text: it.text }));
        found
    }

    /// Names that Postfix is going to forget, in one sentence a file.
    pub(super) fn obsolete(&self) -> Vec<String> {
        let old = Names::new(self.config, &self.entries).obsolete();
        let texts = old.iter().map(|old| {
            let place = old.entry.map_or_else(|| self.place_of(&old.name), |line| self.master(line));
            let instead = match old.instead {
                "" => "leave it at its default".to_owned(),
                "nothing" => "do not specify it".to_owned(),
                other => format!("specify {other}"),
            };
            format!("{} ({}: {instead})", old.name, places::short(&place))
        });
        let texts: Vec<String> = texts.collect();
        match texts.as_slice() {
            [] => Vec::new(),
            texts => vec![format!("support for these parameters will be removed: {}", texts.join(", "))],
        }
    }
}
