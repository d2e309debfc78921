//! What is known at a moment of a timeline: the objects that exist, and the streams that are silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::scenario::{LabelSelector, ObjectRef, Selection};
use crate::timeline::{Change, Entry, ObjectObservation, Observation, Stream};

/// The state that a timeline's entries add up to.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By API version, kind and name.
    objects: BTreeMap<(String, String, String), Known>,
    silent: BTreeMap<Stream, Silence>,
}

/// An object that exists.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) observed: Arc<ObjectObservation>,
    /// The entry that told of it first.
    pub(super) first: usize,
    /// The entry that told of it last.
    pub(super) last: usize,
}

/// A stream that is interrupted.
#[derive(Clone, Debug)]
struct Silence {
    since: Duration,
    /// What it said since. It says nothing for certain before it is known whether it has forgotten anything.
    held: Vec<(usize, Entry)>,
}

impl World {
    /// Takes in the next entry; `position` is its place in the timeline.
    pub fn apply(&mut self, position: usize, entry: &Entry) {
        if self.holds(position, entry) {
            return;
        }
        match &entry.what {
            Observation::Object(object) => self.put(position, object),
            Observation::Interrupted { stream, .. } => self.interrupt(stream, entry.t),
            Observation::Resumed { stream, .. } => {
                for (position, entry) in self.resume(stream) {
                    if let Observation::Object(object) = &entry.what {
                        self.put(position, object);
                    }
                }
            }
            _ => {}
        }
    }

    /// Keeps an entry of a silent stream until that goes on. Says whether it is one.
    pub(super) fn holds(&mut self, position: usize, entry: &Entry) -> bool {
        if self.silent.is_empty() {
            return false;
        }
        let stream = match &entry.what {
            Observation::Object(object) => Stream::Watch { api_version: object.api_version.clone(), kind: object.kind.clone() },
            Observation::Log(line) => Stream::Log(line.instance.clone()),
            _ => return false,
        };
        let silence = self.silent.get_mut(&stream);
        silence.map(|silence| silence.held.push((position, entry.clone()))).is_some()
    }

    pub(super) fn interrupt(&mut self, stream: &Stream, since: Duration) {
        self.silent.entry(stream.clone()).or_insert(Silence { since, held: Vec::new() });
    }

    /// The stream goes on; gives what it said while it was silent.
    pub(super) fn resume(&mut self, stream: &Stream) -> Vec<(usize, Entry)> {
        self.silent.remove(stream).map(|silence| silence.held).unwrap_or_default()
    }

    pub(super) fn put(&mut self, position: usize, object: &Arc<ObjectObservation>) {
        let key = (object.api_version.clone(), object.kind.clone(), object.name.clone());
        let same = self.objects.get(&key).filter(|known| known.observed.uid == object.uid);
        if object.change != Change::Deleted {
            let first = same.map_or(position, |known| known.first);
            self.objects.insert(key, Known { observed: Arc::clone(object), first, last: position });
        } else if same.is_some() {
            self.objects.remove(&key);
        }
    }

    /// What is known of the object of this name, if it exists.
    pub(super) fn object(&self, object: &ObjectRef) -> Option<&Known> {
        self.named(&object.api_version, &object.kind, &object.name)
    }

    pub(super) fn named(&self, api_version: &str, kind: &str, name: &str) -> Option<&Known> {
        self.objects.get(&(api_version.to_owned(), kind.to_owned(), name.to_owned()))
    }

    /// The objects that a selection picks now, by name.
    pub(super) fn selected<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = &'a Known> {
        self.of_kind(&selection.api_version, &selection.kind).filter(|known| picks(selection, &known.observed))
    }

    /// The Pods with these labels, by name.
    pub(super) fn pods<'a>(&'a self, selector: &'a LabelSelector) -> impl Iterator<Item = &'a Known> {
        self.of_kind("v1", "Pod").filter(|pod| selector.matches(&pod.observed.object))
    }

    /// The objects of one kind, by name.
    pub(super) fn of_kind<'a>(&'a self, api_version: &str, kind: &str) -> impl Iterator<Item = &'a Known> {
        let first = (api_version.to_owned(), kind.to_owned(), String::new());
        let (api_version, kind) = (first.0.clone(), first.1.clone());
        self.objects.range(first..).take_while(move |(key, _)| key.0 == api_version && key.1 == kind).map(|(_, known)| known)
    }

    /// The streams that are silent, with the time of the timeline since when.
    pub(super) fn silent(&self) -> impl Iterator<Item = (&Stream, Duration)> {
        self.silent.iter().map(|(stream, silence)| (stream, silence.since))
    }
}

/// Whether an object exists and is one of the selection's kind, labels and state.
pub(super) fn picks(selection: &Selection, object: &ObjectObservation) -> bool {
    object.change != Change::Deleted
        && selection.terminating.is_none_or(|wanted| wanted == is_terminating(object))
        && selection.selector.matches(&object.object)
}

pub(super) fn is_terminating(object: &ObjectObservation) -> bool {
    object.object.pointer("/metadata/deletionTimestamp").is_some()
}
