//! The standard form of an address: one domain, no source route, no `!` and `%` routing.

use config::{OLD_DEFAULT, Reader, ValueError, param};
use ipc::rewrite::Context;

config::settings! {
    /// The rules of main.cf for the form of addresses.
    #[derive(Debug, Clone)]
    pub(crate) struct Standard {
        myorigin: Vec<u8> = param::MYORIGIN,
        mydomain: Vec<u8> = param::MYDOMAIN,
        append_at_myorigin: bool = param::APPEND_AT_MYORIGIN,
        /// Depends on the compatibility level; its default says how.
        append_dot_mydomain: bool = param::APPEND_DOT_MYDOMAIN,
        /// That is an old default, which the log tells of where it counts.
        old_default: bool => is_old_default,
        /// `localhost` alone is a domain of this system: it is the same with the default of today.
        localhost_is_known: bool => |_: &Reader<'_>| Ok::<_, ValueError>(false),
        swap_bangpath: bool = param::SWAP_BANGPATH,
        allow_percent_hack: bool = param::ALLOW_PERCENT_HACK,
        /// Completes addresses from outside; empty: they stay incomplete.
        remote_domain: Vec<u8> = param::REMOTE_HEADER_REWRITE_DOMAIN,
    }
}

fn is_old_default(from: &Reader<'_>) -> Result<bool, ValueError> {
    Ok(from.config.backwards_compatible_default(param::APPEND_DOT_MYDOMAIN.name()).is_some())
}

impl Standard {
    /// The standard form of an address (internal form both ways), which is one line. The null address stays null.
    pub(crate) fn rewrite(&self, context: Context, address: &[u8]) -> Vec<u8> {
        // remote_header_rewrite_domain: without it, addresses from outside are left alone.
        if address.is_empty() || (context == Context::Remote && self.remote_domain.is_empty()) {
            return address.to_vec();
        }
        let address = self.without_routing(&in_one_line(without_source_route(address)));
        let (local, domain) = address::split(&address);
        let Some(domain) = domain else { return self.with_origin(context, local) };
        self.with_full_domain(context, local, domain)
    }

    /// `a!b` becomes `b@a`, and `a%b` becomes `a@b`, when the address has no domain yet.
    pub(crate) fn without_routing(&self, address: &[u8]) -> Vec<u8> {
        if address.contains(&b'@') {
            return address.to_vec();
        }
        // swap_bangpath
        if self.swap_bangpath
            && let Some(at) = address.iter().position(|&byte| byte == b'!')
        {
            return [&address[at + 1..], b"@", &address[..at]].concat();
        }
        // allow_percent_hack
        if self.allow_percent_hack
            && let Some(at) = address.iter().rposition(|&byte| byte == b'%')
        {
            return [&address[..at], b"@", &address[at + 1..]].concat();
        }
        address.to_vec()
    }

    fn with_origin(&self, context: Context, local: &[u8]) -> Vec<u8> {
        // append_at_myorigin
        if !self.append_at_myorigin {
            return local.to_vec();
        }
        let origin = match context {
            Context::Local => &self.myorigin,
            Context::Remote => &self.remote_domain,
        };
        [local, b"@", origin].concat()
    }

    fn with_full_domain(&self, context: Context, local: &[u8], domain: &[u8]) -> Vec<u8> {
        let absolute = without_final_dot(domain);
        // append_dot_mydomain
        let complete = domain.is_empty() || domain.contains(&b'.') || domain.starts_with(b"[");
        if complete || !self.append_dot_mydomain {
            return [local, b"@", absolute].concat();
        }
        let suffix = match context {
            Context::Local => &self.mydomain,
            Context::Remote => &self.remote_domain,
        };
        let full = [domain, b".", suffix].concat();
        let is_localhost = domain.eq_ignore_ascii_case(b"localhost");
        if self.old_default && context == Context::Local && !(is_localhost && self.localhost_is_known) {
            note(domain, &full, is_localhost);
        }
        [local, b"@", &full].concat()
    }
}

fn note(domain: &[u8], full: &[u8], is_localhost: bool) {
    let hint = match is_localhost {
        true => "; please add \"localhost\" to mydestination or other address class",
        false => "",
    };
    let (domain, full) = (text::printable(domain), text::printable(full));
    logging::info!("{OLD_DEFAULT} append_dot_mydomain=yes to rewrite \"{domain}\" to \"{full}\"{hint}");
}

/// The end of a line is white space as any other, and no address needs one.
fn in_one_line(address: &[u8]) -> Vec<u8> {
    address.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

/// A domain without the one dot at its end that says that it is complete; more dots are an error and stay.
pub(crate) fn without_final_dot(domain: &[u8]) -> &[u8] {
    match domain {
        [name @ .., before, b'.'] if *before != b'.' => &domain[..name.len() + 1],
        _ => domain,
    }
}

/// `@a,@b:user@c` becomes `user@c` (RFC 5321 section 3.6.1: source routes are ignored).
fn without_source_route(address: &[u8]) -> &[u8] {
    if !address.starts_with(b"@") {
        return address;
    }
    match address.iter().position(|&byte| byte == b':') {
        Some(at) => &address[at + 1..],
        None => address,
    }
}
