//! The pages that are kept in memory, so that a look-up reads one page and no branches.
//!
//! A kept page belongs to one commit, and is as it was when that commit was the last one. So it is good for a look-up
//! at whose end the meta pages are still those of that commit: LMDB does not overwrite what its last commit can see.
//!
//! Meta pages can be the same in two files, and one file may be copied over the other. So the time of the last write
//! must be the same too, and must be so far from the time when it was looked at that a later write would differ: clocks
//! of file systems have ticks.

use std::collections::HashMap;

use super::*;

/// Most bytes of pages that are kept.
/// told: nobody; other pages are read when they are needed.
const MOST_BYTES: u64 = 1 << 20;

/// No clock of a file system has longer ticks.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Pages of one commit.
pub(super) struct Kept {
    state: State,
    metas: Metas,
    meta: Meta,
    pub(super) pages: HashMap<u64, Arc<Page>>,
}

/// Where a look-up has its pages from: those that are kept, those that it has read already, and the file.
pub(super) struct Pages<'t, S> {
    tree: &'t Tree<S>,
    pub(super) meta: &'t Meta,
    kept: Option<&'t HashMap<u64, Arc<Page>>>,
    read: Vec<Arc<Page>>,
}

impl<'t, S: Source> Pages<'t, S> {
    pub(super) fn new(tree: &'t Tree<S>, meta: &'t Meta, kept: Option<&'t HashMap<u64, Arc<Page>>>) -> Self {
        Self { tree, meta, kept, read: Vec::new() }
    }

    pub(super) fn page(&mut self, number: u64) -> Result<Arc<Page>> {
        let known = self.kept.and_then(|kept| kept.get(&number));
        if let Some(page) = known.or_else(|| self.read.iter().find(|page| page.number == number)) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(self.tree.page(number, self.meta)?);
        self.read.push(Arc::clone(&page));
        Ok(page)
    }
}

impl<S: Source> Tree<S> {
    /// Looks up by the pages that are kept, and keeps more. None if the file is not, or was not for a while, as it was
    /// then.
    pub(super) fn find_by_kept(&self, keys: &[&[u8]]) -> Option<Result<Option<Found>>> {
        let mut slot = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = self.begin_to_keep();
        }
        let kept = slot.as_mut()?;
        let mut pages = Pages::new(self, &kept.meta, Some(&kept.pages));
        let result = self.find(keys, &mut pages);
        let read = pages.read;
        // The last commit is looked at after all that was read.
        let same = self.both_metas().is_ok_and(|metas| metas == kept.metas)
            && self.source.state().is_ok_and(|state| state == kept.state);
        if !same {
            *slot = None;
            return None;
        }
        read.into_iter().for_each(|page| self.keep(kept, page));
        Some(result)
    }

    fn begin_to_keep(&self) -> Option<Kept> {
        let state = self.source.state().ok()?;
        SystemTime::now().duration_since(state.written).ok().filter(|age| *age > TICK)?;
        let metas = self.metas().ok()?;
        let meta = self.newest_of(&metas).ok()?;
        Some(Kept { state, metas, meta, pages: HashMap::new() })
    }

    /// Branches, and all pages of a small file.
    fn keep(&self, kept: &mut Kept, page: Arc<Page>) {
        let most = MOST_BYTES / self.page_size as u64;
        if (!page.is_leaf || kept.meta.last_page < most) && (kept.pages.len() as u64) < most {
            kept.pages.insert(page.number, page);
        }
    }
}
