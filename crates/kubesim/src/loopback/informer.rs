//! A cache of selected objects that says what changed: what client-go calls a shared informer.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{Kind, typed};
use crate::{
    object::{Key, Object},
    resource::Resource,
    selector::Selection,
    store::{Change, ChangeType, Store, Watch},
};

/// What happened to an object that an [`Informer`] follows.
#[derive(Debug)]
pub enum Delta<K> {
    /// It existed at the start, was made, or came to be selected.
    Added(Arc<K>),
    /// It changed. (With nothing in it having changed, if it was written so.)
    Modified {
        /// As it was.
        old: Arc<K>,
        /// As it is.
        new: Arc<K>,
    },
    /// It was deleted or is no longer selected; its last state.
    Deleted(Arc<K>),
}

impl<K> Delta<K> {
    /// The object after the change; its last state if it was deleted.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Added(object) | Self::Modified { new: object, .. } | Self::Deleted(object) => object,
        }
    }
}

/// The selected objects of a kind as of the last change that [`Informer::next`] gave, and the changes to come.
#[derive(Debug)]
pub struct Informer<K> {
    store: Store,
    resource: &'static Resource,
    selection: Selection,
    cache: BTreeMap<Key, Arc<K>>,
    pending: VecDeque<Change>,
    watch: Watch,
}

impl<K: Kind> Informer<K> {
    pub(super) fn new(
        store: Store,
        resource: &'static Resource,
        selection: Selection,
        objects: Vec<Arc<Object>>,
        watch: Watch,
    ) -> Self {
        let mut informer = Self { store, resource, selection, cache: BTreeMap::new(), pending: VecDeque::new(), watch };
        informer.replace(objects);
        informer
    }

    /// The next change, which is in the cache from now on; waits for it. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Delta<K> {
        loop {
            let change = if let Some(change) = self.pending.pop_front() {
                change
            } else if let Ok(change) = self.watch.next().await {
                change
            } else {
                self.relist();
                continue;
            };
            if let Some(delta) = self.take_in(&change) {
                return delta;
            }
        }
    }

    /// The next change, if it has happened: to take in everything there is before deciding.
    pub fn try_next(&mut self) -> Option<Delta<K>> {
        loop {
            let change = if let Some(change) = self.pending.pop_front() {
                change
            } else if let Ok(change) = self.watch.try_next() {
                change?
            } else {
                self.relist();
                continue;
            };
            if let Some(delta) = self.take_in(&change) {
                return Some(delta);
            }
        }
    }

    /// Takes in everything that has happened; what happened is not of interest.
    pub fn catch_up(&mut self) {
        while self.try_next().is_some() {}
    }

    /// An object of the cache.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.cache.get(&Key::new(namespace, name))
    }

    /// The objects of the cache in the order of namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<K>> {
        self.cache.values()
    }

    /// The objects of the cache in one namespace, in the order of their names.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<K>> {
        let from = Key::new(namespace, "");
        self.cache.range(from..).take_while(move |(key, _)| key.namespace == namespace).map(|(_, object)| object)
    }

    /// How many objects are in the cache.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Whether there is nothing in the cache.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    fn take_in(&mut self, change: &Change) -> Option<Delta<K>> {
        let key = change.object.key();
        if change.kind == ChangeType::Deleted {
            let last = self.cache.remove(&key)?;
            // What a relist did not find has no state but the one that was known.
            let state = (!change.object.uid().is_empty()).then(|| typed(self.resource, &change.object));
            return Some(Delta::Deleted(state.and_then(Result::ok).unwrap_or(last)));
        }
        let new = match typed::<K>(self.resource, &change.object) {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!(%error, "an object is not of its kind");
                return None;
            }
        };
        match self.cache.insert(key, Arc::clone(&new)) {
            Some(old) => Some(Delta::Modified { old, new }),
            None => Some(Delta::Added(new)),
        }
    }

    /// Starts anew from the current state, after having fallen behind the store's history.
    fn relist(&mut self) {
        let (objects, watch) = self.store.list_and_watch(self.resource, self.selection.clone());
        self.watch = watch;
        self.replace(objects);
    }

    fn replace(&mut self, objects: Vec<Arc<Object>>) {
        let current: BTreeMap<Key, Arc<Object>> = objects.into_iter().map(|object| (object.key(), object)).collect();
        let gone: Vec<Key> = self.cache.keys().filter(|key| !current.contains_key(key)).cloned().collect();
        for key in gone {
            let value = serde_json::json!({"metadata": {"namespace": key.namespace, "name": key.name}});
            let object = Arc::new(Object::new(value, self.watch.position()));
            self.pending.push_back(Change::synthetic(ChangeType::Deleted, object));
        }
        self.pending.extend(current.into_values().map(|object| Change::synthetic(ChangeType::Added, object)));
    }
}
