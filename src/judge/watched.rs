//! Who an expectation is about, with what has to be remembered of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::log_lines::{self, LogLines};
use super::occurrences::Occurrences;
use super::view::{AT_LEAST_ONE, Members, View};
use super::world::{Known, World};
use crate::scenario::{Claim, EventPattern, LogSource, ObjectRef, PodPick, Quantifier, Selection, Subject, ValueMatch};
use crate::timeline::{ObjectObservation, Stream};

/// A subject with what has to be remembered of it.
pub(super) enum Watched {
    Object(ObjectRef),
    Together(Selection, Arc<Members>),
    OneByOne(Selection),
    Event(EventPattern, Occurrences),
    Log(LogSource, LogLines),
}

impl Watched {
    pub(super) fn new(subject: &Subject, claim: &Claim) -> Self {
        match subject {
            Subject::Object(object) => Self::Object(object.clone()),
            Subject::Selection(s) if s.quantifier == Quantifier::Each && !matches!(claim, Claim::Never { .. }) => {
                Self::OneByOne(s.clone())
            }
            Subject::Selection(selection) => Self::Together(selection.clone(), Arc::default()),
            Subject::Event(pattern) => Self::Event(pattern.clone(), Occurrences::default()),
            Subject::Log(source) => Self::Log(source.clone(), LogLines::default()),
        }
    }

    /// Whether it depends on what this stream says.
    pub(super) fn concerns(&self, stream: &Stream, world: &World) -> bool {
        match (self, stream) {
            (Self::Object(object), Stream::Watch { api_version, kind }) => {
                *api_version == object.api_version && *kind == object.kind
            }
            (Self::Together(s, _) | Self::OneByOne(s), Stream::Watch { api_version, kind }) => {
                *api_version == s.api_version && *kind == s.kind
            }
            (Self::Event(..), Stream::Watch { kind, .. }) => kind == "Event",
            (Self::Log(..), Stream::Watch { kind, .. }) => kind == "Pod",
            (Self::Log(source, _), Stream::Log(instance)) => log_lines::concerns(source, instance, world),
            (_, Stream::Log(_)) => false,
        }
    }

    /// Whether it is about objects of this kind.
    pub(super) fn is_about(&self, object: &ObjectObservation) -> bool {
        let is_kind = |api_version: &str, kind: &str| object.api_version == api_version && object.kind == kind;
        match self {
            Self::Object(wanted) => is_kind(&wanted.api_version, &wanted.kind) && object.name == wanted.name,
            Self::Together(s, _) | Self::OneByOne(s) => is_kind(&s.api_version, &s.kind),
            Self::Event(..) => is_kind("v1", "Event"),
            Self::Log(..) => is_kind("v1", "Pod"),
        }
    }

    /// The kinds that must be watched to judge it, as API version and kind.
    pub(super) fn kinds(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Object(object) => vec![(&object.api_version, &object.kind)],
            Self::Together(s, _) | Self::OneByOne(s) => vec![(&s.api_version, &s.kind)],
            Self::Event(..) => vec![("v1", "Event")],
            Self::Log(..) => vec![("v1", "Pod")],
        }
    }

    /// What it looks like to the world as it is now, with the entries that say so. Nothing of what happens and does not last.
    pub(super) fn look(&mut self, world: &World) -> Vec<(usize, View<'static>)> {
        match self {
            Self::Object(object) => {
                let known = world.object(object);
                let entry = known.map_or(0, |known| known.last);
                vec![(entry, View::Object(known.map(|known| Arc::clone(&known.observed))))]
            }
            Self::Together(selection, members) => {
                let selected = || world.selected(selection);
                let found: BTreeMap<_, _> =
                    selected().map(|known| (known.observed.name.clone(), Arc::clone(&known.observed))).collect();
                let entry = selected().map(|known| known.last).max().unwrap_or_default();
                *members = Arc::new(found);
                vec![(entry, together(selection, members))]
            }
            Self::OneByOne(selection) => {
                let selected = world.selected(selection);
                selected.map(|known| (known.last, View::Object(Some(Arc::clone(&known.observed))))).collect()
            }
            Self::Event(pattern, occurrences) => {
                *occurrences = Occurrences::begin(pattern, world);
                Vec::new()
            }
            Self::Log(..) => Vec::new(),
        }
    }

    /// What it is about in this world, or is behind what it is about: Pods, and what makes Pods.
    pub(super) fn sources<'a>(&'a self, world: &'a World) -> Vec<&'a Known> {
        let pod = |name| world.named("v1", "Pod", name).into_iter().collect();
        match self {
            Self::Object(object) => world.object(object).into_iter().collect(),
            Self::Together(s, _) | Self::OneByOne(s) => world.selected(s).collect(),
            Self::Log(LogSource { pod: PodPick::Name(name), .. }, _) => pod(name),
            Self::Log(LogSource { pod: PodPick::Selector(selector), .. }, _) => world.pods(selector).collect(),
            Self::Event(EventPattern { for_object: Some(target), .. }, _) => match &target.name {
                ValueMatch::Equal(name) if target.kind == "Pod" => pod(name),
                _ => Vec::new(),
            },
            Self::Event(..) => Vec::new(),
        }
    }
}

/// The view of a selection.
pub(super) fn together(selection: &Selection, members: &Arc<Members>) -> View<'static> {
    View::Selection(Arc::clone(members), selection.count.clone().unwrap_or(AT_LEAST_ONE))
}
