//! What is known at a moment of a timeline: the objects that exist, and the streams that are silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::log_lines::KeptLogs;
use crate::scenario::{LabelSelector, ObjectRef, Selection};
use crate::timeline::{Change, Entry, ObjectObservation, Observation, Stream};

/// The state that a timeline's entries add up to.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By API version, kind and name.
    objects: BTreeMap<(String, String, String), Known>,
    logs: KeptLogs,
    /// The kinds that are watched, as API version and kind; all if the timeline does not say.
    watched: Option<Vec<(String, String)>>,
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
            Observation::Begun(begun) => self.watched.clone_from(&begun.watched),
            Observation::Interrupted { stream, .. } => self.interrupt(stream, entry.t),
            Observation::Resumed { stream, gap } => {
                for (position, entry) in self.resume(stream, *gap) {
                    self.know(position, &entry);
                }
            }
            _ => self.know(position, entry),
        }
    }

    /// Takes in what an entry says for certain of an object or a log.
    pub(super) fn know(&mut self, position: usize, entry: &Entry) {
        match &entry.what {
            Observation::Object(object) => self.put(position, object),
            Observation::Log(line) => self.logs.keep(position, line),
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
    pub(super) fn resume(&mut self, stream: &Stream, gap: bool) -> Vec<(usize, Entry)> {
        if let Stream::Log(instance) = stream
            && gap
        {
            self.logs.lose(instance);
        }
        self.silent.remove(stream).map(|silence| silence.held).unwrap_or_default()
    }

    fn put(&mut self, position: usize, object: &Arc<ObjectObservation>) {
        let key = (object.api_version.clone(), object.kind.clone(), object.name.clone());
        let same = self.objects.get(&key).filter(|known| known.observed.uid == object.uid);
        if object.kind == "Pod"
            && let Some(known) = same
        {
            // Not yet by its new state, whose previous instances are looked at now.
            self.logs.forget_older(&known.observed);
            if object.change == Change::Deleted {
                self.logs.forget_pod(&object.uid);
            }
        }
        if object.change != Change::Deleted {
            let first = same.map_or(position, |known| known.first);
            self.objects.insert(key, Known { observed: Arc::clone(object), first, last: position });
        } else if same.is_some() {
            self.objects.remove(&key);
        }
    }

    /// A step begins: what is no longer a previous log does not concern it.
    pub(super) fn forget_older_logs(&mut self) {
        for known in self.objects.values().filter(|known| known.observed.kind == "Pod") {
            self.logs.forget_older(&known.observed);
        }
    }

    /// The logs of instances that are, or may become, previous ones.
    pub(super) fn logs(&self) -> &KeptLogs {
        &self.logs
    }

    /// Whether the timeline tells of objects of this kind.
    pub(super) fn is_watched(&self, api_version: &str, kind: &str) -> bool {
        self.watched.as_ref().is_none_or(|watched| watched.iter().any(|(v, k)| v == api_version && k == kind))
    }

    /// Whether it is not known what has become of the Pods.
    pub(super) fn pods_are_silent(&self) -> bool {
        !self.silent.is_empty() && self.silent.contains_key(&Stream::Watch { api_version: "v1".to_owned(), kind: "Pod".to_owned() })
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
