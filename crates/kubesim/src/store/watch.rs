//! A position in the history of a resource, and the changes from there on.

use std::sync::Arc;

use super::Store;
use crate::{object::Object, resource::Resource, selector::Selection, watched::Watcher};

/// What happened to an object, as a watch says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeType {
    /// It appeared: it was made, or came to be selected.
    Added,
    /// It changed.
    Modified,
    /// It went: it was deleted, or is no longer selected.
    Deleted,
}

/// One change of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeType,
    /// The object after the change; its last state if it was deleted.
    pub object: Arc<Object>,
    previous: Option<Arc<Object>>,
}

/// A watch cannot start or go on, because the history no longer reaches back that far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {requested} ({oldest})")]
pub struct TooOld {
    /// The revision that was asked for.
    pub requested: u64,
    /// The oldest that can be asked for.
    pub oldest: u64,
}

impl Change {
    pub(super) fn new(kind: ChangeType, object: Arc<Object>, previous: Option<Arc<Object>>) -> Self {
        Self { kind, object, previous }
    }

    /// A change that no history knows: an object as a list found it.
    pub(crate) fn synthetic(kind: ChangeType, object: Arc<Object>) -> Self {
        Self::new(kind, object, None)
    }

    /// The object before the change, if there was one.
    pub(super) fn previous(&self) -> Option<&Arc<Object>> {
        self.previous.as_ref()
    }

    /// The revision at which it happened.
    pub fn revision(&self) -> u64 {
        self.object.revision()
    }

    /// The change as somebody sees it who looks at the selected objects only: one that comes to be selected appears,
    /// one that no longer is goes (with the state it had; apiserver/pkg/storage/cacher/cacher.go).
    fn seen_through(&self, selection: &Selection) -> Option<Self> {
        let before = self.previous.as_ref().is_some_and(|previous| selection.matches(previous));
        let after = self.kind != ChangeType::Deleted && selection.matches(&self.object);
        let (kind, object) = match (before, after) {
            (false, false) => return None,
            (false, true) => (ChangeType::Added, Arc::clone(&self.object)),
            (true, true) => (ChangeType::Modified, Arc::clone(&self.object)),
            (true, false) if self.kind == ChangeType::Deleted => (ChangeType::Deleted, Arc::clone(&self.object)),
            (true, false) => {
                let last = self.previous.as_ref()?.value().clone();
                (ChangeType::Deleted, Arc::new(Object::new(last, self.revision())))
            }
        };
        Some(Self { kind, object, previous: self.previous.clone() })
    }
}

/// The changes of a resource from a revision on, each once and in order.
#[derive(Debug)]
pub struct Watch {
    store: Store,
    resource: &'static Resource,
    selection: Selection,
    position: u64,
    changed: Watcher<()>,
}

impl Watch {
    pub(super) fn new(
        store: Store,
        resource: &'static Resource,
        selection: Selection,
        position: u64,
        changed: Watcher<()>,
    ) -> Self {
        Self { store, resource, selection, position, changed }
    }

    /// The next change; waits for it. Dropping the future loses nothing.
    ///
    /// # Errors
    /// If the watch has fallen so far behind that changes it has not seen are forgotten.
    pub async fn next(&mut self) -> Result<Change, TooOld> {
        loop {
            self.changed.see();
            if let Some(change) = self.try_next()? {
                return Ok(change);
            }
            self.changed.changed().await;
        }
    }

    /// Waits until something may have happened since the watch was last asked; [`Watch::try_next`] then says what.
    pub async fn ready(&mut self) {
        self.changed.changed().await;
    }

    /// The next change, if it has happened.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub fn try_next(&mut self) -> Result<Option<Change>, TooOld> {
        let mut state = self.store.lock();
        let newest = state.revision;
        let table = state.table(self.resource);
        if self.position < table.forgotten {
            return Err(TooOld { requested: self.position, oldest: table.forgotten });
        }
        if table.history.back().is_none_or(|newest| newest.revision() <= self.position) {
            self.position = self.position.max(newest);
            return Ok(None);
        }
        let start = table.history.partition_point(|change| change.revision() <= self.position);
        for change in table.history.range(start..) {
            self.position = change.revision();
            if let Some(seen) = change.seen_through(&self.selection) {
                return Ok(Some(seen));
            }
        }
        // All that happened to this resource up to now is seen, so that what others write cannot make the watch old.
        self.position = self.position.max(newest);
        Ok(None)
    }

    /// The revision up to which everything has been seen: where another watch could go on.
    pub fn position(&self) -> u64 {
        self.position
    }
}
