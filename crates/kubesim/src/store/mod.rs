//! The objects of the cluster, their revisions and their history: what etcd and the watch cache are in Kubernetes.
//!
//! There is one counter of revisions; every write takes the next. A watch is a position in the history of one
//! resource: it keeps no queue of its own, so that a thousand watchers cost a write nothing but waking them.

mod watch;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    object::{Key, Object},
    resource::Resource,
    selector::Selection,
    watched::Watched,
};

pub use watch::{Change, ChangeType, TooOld, Watch};

/// How many changes a resource's history keeps at most unless told otherwise.
pub const DEFAULT_HISTORY: usize = 8_192;

/// The store. Cheap to clone; clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    revision: u64,
    history_limit: usize,
    /// By the address of the static resource; their order decides nothing.
    tables: BTreeMap<usize, Table>,
}

/// The objects of one resource.
#[derive(Debug, Default)]
struct Table {
    objects: BTreeMap<Key, Arc<Object>>,
    history: VecDeque<Change>,
    /// The newest revision whose change is no longer in the history.
    forgotten: u64,
    changed: Watched<()>,
}

/// What was expected of an object when writing it is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It was expected not to exist, but does.
    Exists,
    /// It was expected to exist, but does not.
    Missing,
    /// It was expected at another revision than this one.
    Revision(u64),
}

impl Default for Store {
    fn default() -> Self {
        Self::with_history(DEFAULT_HISTORY)
    }
}

impl Store {
    /// An empty store that keeps the last `limit` changes of each resource for watches to resume from.
    pub fn with_history(limit: usize) -> Self {
        let state = State { revision: 1, history_limit: limit.max(1), tables: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state consistent, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Forgets the changes up to a revision: watches cannot start before it any more.
    pub fn compact(&self, revision: u64) {
        for table in self.lock().tables.values_mut() {
            while table.history.front().is_some_and(|change| change.revision() <= revision) {
                table.forget_oldest();
            }
        }
    }

    /// The object, if it exists.
    pub fn get(&self, resource: &'static Resource, key: &Key) -> Option<Arc<Object>> {
        self.lock().table(resource).objects.get(key).cloned()
    }

    /// The selected objects in the order of their keys, and the revision at which they are the whole truth.
    pub fn list(&self, resource: &'static Resource, selection: &Selection) -> (Vec<Arc<Object>>, u64) {
        let mut state = self.lock();
        let objects = state.table(resource).select(selection);
        (objects, state.revision)
    }

    /// The selected objects as they were at a revision.
    ///
    /// # Errors
    /// If changes after that revision are forgotten.
    pub fn list_at(&self, resource: &'static Resource, selection: &Selection, revision: u64) -> Result<Vec<Arc<Object>>, TooOld> {
        let mut state = self.lock();
        let table = state.table(resource);
        if revision < table.forgotten {
            return Err(TooOld { requested: revision, oldest: table.forgotten });
        }
        let mut objects: BTreeMap<Key, Arc<Object>> = table.objects.clone();
        let start = table.history.partition_point(|change| change.revision() <= revision);
        for change in table.history.range(start..).rev() {
            match change.previous() {
                Some(previous) => objects.insert(change.object.key(), Arc::clone(previous)),
                None => objects.remove(&change.object.key()),
            };
        }
        Ok(objects.into_values().filter(|object| selection.matches(object)).collect())
    }

    /// Stores a new object.
    ///
    /// # Errors
    /// [`Mismatch::Exists`] if there is one of this key.
    pub fn create(&self, resource: &'static Resource, key: &Key, value: Value) -> Result<Arc<Object>, Mismatch> {
        let mut state = self.lock();
        if state.table(resource).objects.contains_key(key) {
            return Err(Mismatch::Exists);
        }
        Ok(state.put(resource, key, value, None))
    }

    /// Replaces the version of an object that was written at `expected`.
    ///
    /// # Errors
    /// If it is not there, or at another revision: read it anew and decide again.
    pub fn update(&self, resource: &'static Resource, key: &Key, expected: u64, value: Value) -> Result<Arc<Object>, Mismatch> {
        let mut state = self.lock();
        let previous = state.expect(resource, key, expected)?;
        Ok(state.put(resource, key, value, Some(previous)))
    }

    /// Removes the version of an object that was written at `expected`, and gives its last state, at the revision of
    /// its removal. `value` is that state: what watchers see of the deleted object.
    ///
    /// # Errors
    /// If it is not there, or at another revision: read it anew and decide again.
    pub fn delete(&self, resource: &'static Resource, key: &Key, expected: u64, value: Value) -> Result<Arc<Object>, Mismatch> {
        let mut state = self.lock();
        let previous = state.expect(resource, key, expected)?;
        state.revision += 1;
        let object = Arc::new(Object::new(value, state.revision));
        state.table(resource).objects.remove(key);
        state.record(resource, Change::new(ChangeType::Deleted, Arc::clone(&object), Some(previous)));
        Ok(object)
    }

    /// Watches the selected objects from after a revision on.
    ///
    /// # Errors
    /// If changes after that revision are forgotten.
    pub fn watch(&self, resource: &'static Resource, selection: Selection, after: u64) -> Result<Watch, TooOld> {
        let mut state = self.lock();
        let table = state.table(resource);
        if after < table.forgotten {
            return Err(TooOld { requested: after, oldest: table.forgotten });
        }
        let changed = table.changed.watch();
        Ok(Watch::new(self.clone(), resource, selection, after, changed))
    }

    /// Lists and watches without missing or doubling anything between the two.
    pub fn list_and_watch(&self, resource: &'static Resource, selection: Selection) -> (Vec<Arc<Object>>, Watch) {
        let mut state = self.lock();
        let after = state.revision;
        let table = state.table(resource);
        let objects = table.select(&selection);
        let changed = table.changed.watch();
        (objects, Watch::new(self.clone(), resource, selection, after, changed))
    }
}

impl State {
    fn table(&mut self, resource: &'static Resource) -> &mut Table {
        let resource = resource.stored();
        self.tables.entry(std::ptr::from_ref(resource).addr()).or_default()
    }

    fn expect(&mut self, resource: &'static Resource, key: &Key, expected: u64) -> Result<Arc<Object>, Mismatch> {
        let current = self.table(resource).objects.get(key).ok_or(Mismatch::Missing)?;
        if current.revision() == expected { Ok(Arc::clone(current)) } else { Err(Mismatch::Revision(current.revision())) }
    }

    fn put(&mut self, resource: &'static Resource, key: &Key, value: Value, previous: Option<Arc<Object>>) -> Arc<Object> {
        self.revision += 1;
        let object = Arc::new(Object::new(value, self.revision));
        self.table(resource).objects.insert(key.clone(), Arc::clone(&object));
        let kind = if previous.is_some() { ChangeType::Modified } else { ChangeType::Added };
        self.record(resource, Change::new(kind, Arc::clone(&object), previous));
        object
    }

    fn record(&mut self, resource: &'static Resource, change: Change) {
        if let Some(previous) = change.previous() {
            previous.forget_typed();
        }
        let limit = self.history_limit;
        let table = self.table(resource);
        table.history.push_back(change);
        if table.history.len() > limit {
            table.forget_oldest();
        }
        table.changed.set(());
    }
}

impl Table {
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.history.pop_front() {
            self.forgotten = oldest.revision();
        }
    }

    fn select(&self, selection: &Selection) -> Vec<Arc<Object>> {
        let from = Key::new(selection.namespace.as_deref().unwrap_or_default(), "");
        self.objects
            .range(from..)
            .map(|(_, object)| object)
            .take_while(|object| selection.namespace.as_deref().is_none_or(|namespace| object.namespace() == namespace))
            .filter(|object| selection.matches(object))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests;
