//! TLS of the client: what is asked for (main.cf, tables, the message), and how a session gets it.

mod anchors;
mod by_dns;
mod level;
mod per_site;
mod policy;
mod read;
mod report;
mod requiretls;
mod rules;
mod secure;
mod tables;
mod terms;
mod way;

pub use level::Features;
#[cfg(test)]
pub use level::Level;
pub use read::{certificate_files, rules};
pub use report::Audience;
pub use rules::Rules;
pub use secure::{Shield, subject_of};
pub use terms::Policy;
#[cfg(test)]
pub use terms::{Engine, Offer};
pub use way::Way;

/// Rules as smtp_requiretls_policy has them, for tests.
#[cfg(test)]
pub fn open_requiretls(rules: &str) -> requiretls::Rules {
    let config = config::Config::parse(b"", std::path::Path::new("/etc/postfix"), &[]).unwrap();
    requiretls::Rules::open(&config, "smtp_requiretls_policy", rules).unwrap()
}
