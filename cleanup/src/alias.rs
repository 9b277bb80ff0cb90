//! virtual_alias_maps: one address becomes many, again and again until nothing changes.
//!
//! It ends whatever the tables say: an address is replaced once; limits bound the number of results and their length.

use std::collections::HashSet;

use ipc::cleanup::flags;
use ipc::rewrite::Context;

use crate::canonical::{Failed, results};
use crate::incoming::Incoming;

impl Incoming<'_> {
    /// What an address stands for; itself when no table knows it.
    pub(crate) async fn expand(&mut self, address: &[u8]) -> Result<Vec<Vec<u8>>, Failed> {
        let worker = self.worker;
        let maps = &worker.tables.virtual_alias;
        if self.flags & flags::MAP == 0 || maps.is_empty() {
            return Ok(vec![address.to_vec()]);
        }
        let propagate = worker.settings.propagates("virtual");
        let mut replaced = HashSet::new();
        let mut finished = Vec::new();
        // The next address to look at is the last one; depth counts replacements on its way.
        let mut todo = vec![(address.to_vec(), 0usize)];
        while let Some((address, depth)) = todo.pop() {
            let found = if replaced.contains(&folded(&address)) { None } else { self.find(maps, &address)? };
            let Some(found) = found else {
                finished.push(address);
                continue;
            };
            if depth >= worker.settings.recursion_limit {
                self.refuse_mapping(maps, "unreasonable", "map nesting", &address);
                return Err(Failed);
            }
            replaced.insert(folded(&address));
            let results = results(&found, &address, propagate);
            if finished.len() + todo.len() + results.len() > worker.settings.expansion_limit {
                self.refuse_mapping(maps, "unreasonable", "map expansion size", &address);
                return Err(Failed);
            }
            for result in results.into_iter().rev() {
                let result = self.rewrite(Context::Local, &result).await?;
                if result.len() > worker.settings.address_length_limit {
                    self.refuse_mapping(maps, "unreasonable", "result", &address);
                    return Err(Failed);
                }
                todo.push((result, depth + 1));
            }
        }
        Ok(finished)
    }
}

fn folded(address: &[u8]) -> Vec<u8> {
    address.to_ascii_lowercase()
}
