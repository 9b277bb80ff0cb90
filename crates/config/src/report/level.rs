//! What an old compatibility_level keeps as it was, where the administrator should know.

use std::net::IpAddr;
use std::path::Path;

use crate::param;
use crate::report::{Place, Report, places};
use crate::settings::Config;

impl Report<'_> {
    /// Services whose root directory is an old default, and addresses of this host that an old default leaves unused.
    pub(super) fn old_level(&self) -> Vec<String> {
        let mut found: Vec<String> = self.old_chroot.iter().cloned().collect();
        found.extend(self.config.left_out_notice().map(|text| format!("{}: {text}", self.main(0))));
        found
    }
}

impl Config {
    /// The notice that an old default of inet_protocols leaves addresses of this host out, if there are such.
    pub fn left_out_notice(&self) -> Option<String> {
        let notice = self.backwards_compatible_default(param::INET_PROTOCOLS.name())?;
        let unused = self.addresses_left_out();
        let shown: Vec<String> = unused.iter().map(IpAddr::to_string).collect();
        (!shown.is_empty()).then(|| {
            format!(
                "{notice}: mail is neither received nor sent over IPv6, and these addresses of this host are not used: \
                 {}; specify \"inet_protocols = all\" to use them, or \"inet_protocols = ipv4\" to have it so",
                shown.join(", ")
            )
        })
    }
}

/// The sentence about the services at these lines of master.cf, whose chroot column is an old default.
pub(crate) fn old_chroot(file: &Path, lines: &[usize]) -> String {
    let places: Vec<Place> = lines.iter().map(|line| Place { rank: 1, file: file.to_owned(), line: *line }).collect();
    let services = if lines.len() == 1 { "1 service".to_owned() } else { format!("{} services", lines.len()) };
    let lines = places::all(&places);
    format!("{}: using backwards-compatible default setting chroot=y for {services} ({lines})", file.display())
}
