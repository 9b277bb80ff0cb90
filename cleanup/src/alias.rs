//! virtual_alias_maps: one address becomes many, again and again until nothing changes.
//!
//! An address that its own entry names stays as it is. Every other circle is a mistake of the site: the message is not
//! accepted for now, rather than returned to somebody who cannot repair it. Limits bound the steps, the results and
//! their length, so that it ends whatever the tables say.

use std::collections::HashSet;

use dsn::Status;
use ipc::cleanup::{Cause, Flags};
use ipc::rewrite::Context;
use lookup::fold;

use crate::canonical::{find_addresses, rewrite};
use crate::failure::Failure;
use crate::message::Message;
use crate::site::Site;

/// Replacements after which others get their turn.
const STEPS_AT_ONCE: usize = 100;

/// The addresses that one address has become so far.
struct Expansion<'a> {
    /// The address that the client gave.
    original: &'a [u8],
    /// Those that were looked up, and those that are yet to be.
    addresses: Vec<Vec<u8>>,
    /// Addresses that their own entry names, in lower case.
    settled: HashSet<Vec<u8>>,
    /// Replacements so far.
    steps: usize,
}

/// What an address stands for; itself when no table knows it.
pub async fn expand(message: &Message<'_>, original: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let addresses = vec![original.to_vec()];
    if !message.flags.has(Flags::MAP) || message.site.tables.virtual_alias.is_empty() {
        return Ok(addresses);
    }
    let mut expansion = Expansion { original, addresses, settled: HashSet::new(), steps: 0 };
    let mut at = 0;
    while at < expansion.addresses.len() {
        settle(message.site, &mut expansion, at).await?;
        at += 1;
    }
    Ok(expansion.addresses)
}

/// Replaces the address in one place until no table knows it. Of several results the first takes the place, the others
/// have their turn later.
async fn settle(site: &Site, expansion: &mut Expansion<'_>, at: usize) -> Result<(), Failure> {
    let maps = &site.tables.virtual_alias;
    let propagate = site.settings.propagates("virtual");
    let mut replacements = 0;
    while !expansion.settled.contains(&folded(site, &expansion.addresses[at])) {
        if replacements >= site.settings.recursion_limit {
            return Err(unreasonable(site, &format!("map nesting for {}", shown(expansion.original))));
        }
        let address = expansion.addresses[at].clone();
        let Some(results) = find_addresses(site, maps, &address, propagate).await? else { break };
        replacements += 1;
        let mut place = Some(at);
        for result in results {
            let result = rewrite(site, Context::Local, &result).await?;
            if result.len() > site.settings.address_length_limit {
                return Err(unreasonable(site, &format!("result {}...", shown(&result))));
            }
            if fold::same(&result, &address, site.settings.utf8) {
                expansion.settled.insert(folded(site, &address));
            }
            match place.take() {
                Some(at) => expansion.addresses[at] = result,
                None => expansion.addresses.push(result),
            }
            if expansion.addresses.len() > site.settings.expansion_limit {
                return Err(unreasonable(site, &format!("map expansion size for {}", shown(expansion.original))));
            }
        }
        expansion.steps += 1;
        if expansion.steps.is_multiple_of(STEPS_AT_ONCE) {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn unreasonable(site: &Site, what: &str) -> Failure {
    let title = site.tables.virtual_alias.title();
    let warning = format!("unreasonable {title} {what} -- message not accepted, try again later");
    Failure::telling(Cause::Defer, Status::new(4, 6, 0), "Alias expansion error").warning(warning)
}

fn folded(site: &Site, address: &[u8]) -> Vec<u8> {
    fold::fold(address, site.settings.utf8)
}

fn shown(address: &[u8]) -> String {
    // told: nobody; the log shows the start, and the message is refused.
    text::printable(&address[..address.len().min(300)])
}
