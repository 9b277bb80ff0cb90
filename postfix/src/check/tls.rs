//! Settings of TLS under which fewer sessions succeed than they seem to allow, or none.

use std::path::Path;

use config::master_cf::MasterCf;
use config::{Config, Origin};
use tls::Versions;

/// A sentence for each of main.cf and of the options in master.cf, which is `file`.
pub(super) fn sentences(config: &Config, file: &Path, master: &MasterCf) -> Vec<String> {
    let mut found = Vec::new();
    let main_cf = config.directory().join("main.cf");
    for (name, setting) in config.settings() {
        let Origin::File { line, .. } = &setting.origin else { continue };
        let value = config.expand(&setting.value).unwrap_or_default();
        found.extend(sentence(name, &value).map(|text| (*line, format!("{}, line {line}: {text}", main_cf.display()))));
    }
    found.sort();
    let mut found: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
    for service in &master.services {
        let Ok(arguments) = service.arguments() else { continue };
        for (name, value) in &arguments.overrides {
            let value = config.expand(value).unwrap_or_default();
            found.extend(
                sentence(name, &value).map(|text| format!("{}, line {}: {text}", file.display(), service.line)),
            );
        }
    }
    found
}

/// What is to be said of a setting.
fn sentence(name: &str, value: &str) -> Option<String> {
    let rest = ["smtpd_tls_", "smtp_tls_", "lmtp_tls_"].into_iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let what = match rest {
        "protocols" | "mandatory_protocols" => match Versions::parse(value) {
            Ok(versions) if versions.is_empty() => "no TLS session succeeds: there are TLS 1.2 and 1.3 alone",
            Ok(_) => return None,
            Err(_) => "Invalid TLS protocol list",
        },
        "ciphers" | "mandatory_ciphers" if value.eq_ignore_ascii_case("null") => {
            "no TLS session before TLS 1.3 succeeds: there is no cipher without encryption"
        }
        "ciphers" | "mandatory_ciphers" if ["low", "export"].iter().any(|grade| value.eq_ignore_ascii_case(grade)) => {
            "the same as medium: no cipher is weaker"
        }
        "dcert_file" if !value.is_empty() => "no TLS session succeeds: DSA keys cannot be used",
        _ => return None,
    };
    Some(format!("{name} = {}: {what}", text::printable(value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_leave_no_session_are_told_where_they_stand() {
        let main_cf =
            b"smtp_tls_protocols = >=TLSv1\nold = TLSv1\nsmtpd_tls_protocols = $old\nlmtp_tls_ciphers = Null\n\
            smtpd_tls_dcert_file =\nsmtp_tls_mandatory_ciphers = export\nsmtpd_tls_dcert_file = /d\n";
        let config = Config::parse(main_cf, Path::new("/c"), &[]).unwrap();
        let file = Path::new("/c/master.cf");
        let text = b"smtp inet n - n - - smtpd -o smtpd_tls_mandatory_protocols=<=TLSv1.1\n";
        let master = MasterCf::parse(text, file, &config).unwrap();
        assert_eq!(
            sentences(&config, file, &master),
            [
                "/c/main.cf, line 3: smtpd_tls_protocols = TLSv1: no TLS session succeeds: there are TLS 1.2 and 1.3 alone",
                "/c/main.cf, line 4: lmtp_tls_ciphers = Null: no TLS session before TLS 1.3 succeeds: there is no cipher \
                 without encryption",
                "/c/main.cf, line 6: smtp_tls_mandatory_ciphers = export: the same as medium: no cipher is weaker",
                "/c/main.cf, line 7: smtpd_tls_dcert_file = /d: no TLS session succeeds: DSA keys cannot be used",
                "/c/master.cf, line 1: smtpd_tls_mandatory_protocols = <=TLSv1.1: no TLS session succeeds: there are TLS \
                 1.2 and 1.3 alone",
            ]
        );
    }
}
