//! The pages that are kept in memory, so that a look-up reads one page and no branches.
//!
//! A kept page belongs to one commit, and is as it was when that commit was the last one. So it is good for a look-up
//! at whose end that still is the last commit: LMDB does not overwrite what its last commit can see.
//!
//! No write has come in between if the time of the last write is the same, and was so far in the past when it was
//! looked at that a later write would differ: clocks of file systems have ticks. This also finds a file that was copied
//! over another, whose meta pages may be the same.
//!
//! Who writes through a mapping (MDB_WRITEMAP) may change a page long after the system has noted a time for it. LMDB
//! makes a file as large as its mapping for that. In such a file the meta page of the last but one commit must be the
//! same too, for the next commit writes that one first.

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
    meta: Meta,
    /// Where writes may go unnoticed: the meta page that the next commit writes, 0 or 1, and what is in it until then.
    next: Option<(usize, [u8; META])>,
    pub(super) pages: HashMap<u64, Arc<Page>>,
    /// Memory for the next page.
    spare: Vec<u8>,
}

/// Where a look-up has its pages from: those that are kept, those that it has read already, and the file.
pub(super) struct Pages<'t, S> {
    tree: &'t Tree<S>,
    pub(super) meta: &'t Meta,
    kept: Option<&'t HashMap<u64, Arc<Page>>>,
    read: Vec<Arc<Page>>,
    /// Memory for a page.
    spare: Vec<u8>,
}

impl<'t, S: Source> Pages<'t, S> {
    /// Those of a file of which nothing is kept.
    pub(super) fn of(tree: &'t Tree<S>, meta: &'t Meta) -> Self {
        Self { tree, meta, kept: None, read: Vec::new(), spare: Vec::new() }
    }

    pub(super) fn page(&mut self, number: u64) -> Result<Arc<Page>> {
        let known = self.kept.and_then(|kept| kept.get(&number));
        if let Some(page) = known.or_else(|| self.read.iter().find(|page| page.number == number)) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(self.tree.page(number, self.meta, std::mem::take(&mut self.spare))?);
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
        let spare = std::mem::take(&mut kept.spare);
        let mut pages = Pages { kept: Some(&kept.pages), spare, ..Pages::of(self, &kept.meta) };
        let result = self.find(keys, &mut pages);
        let read = pages.read;
        // The last commit is looked at after all that was read.
        let written = |(which, seen): &(usize, _)| self.meta_page(*which).ok() != Some(*seen);
        if kept.next.as_ref().is_some_and(written) || self.source.state().ok() != Some(kept.state) {
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
        let is_mapped = state.length >= meta.map_size;
        let is_older =
            |which: &usize| self.parse_meta(&metas[*which]).is_ok_and(|one| one.transaction < meta.transaction);
        let next = if is_mapped { Some((0..2).find(is_older)?) } else { None };
        let next = next.map(|which| (which, metas[which]));
        Some(Kept { state, meta, next, pages: HashMap::new(), spare: Vec::new() })
    }

    /// Branches, and all pages of a small file.
    fn keep(&self, kept: &mut Kept, page: Arc<Page>) {
        let most = MOST_BYTES / self.page_size as u64;
        if (!page.is_leaf || kept.meta.last_page < most) && (kept.pages.len() as u64) < most {
            kept.pages.insert(page.number, page);
        } else if let Some(page) = Arc::into_inner(page) {
            kept.spare = page.into_bytes();
        }
    }
}
