//! Keeps in mind why what is expected cannot come any more, and since when that is so.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cause::Cause;
use super::claim::Moment;

/// What keeps each object from becoming what is expected of it, by the object's name.
#[derive(Debug, Default)]
pub(super) struct Prospects(BTreeMap<String, Lost>);

/// An object that does not become what is expected of it.
#[derive(Debug)]
struct Lost {
    cause: Cause,
    since: Duration,
    entry: usize,
}

impl Lost {
    fn certain_at(&self) -> Option<Duration> {
        Some(self.since.saturating_add(self.cause.certain_after?))
    }
}

impl Prospects {
    /// The object has changed; what keeps it now?
    pub(super) fn update(&mut self, name: &str, cause: Option<Cause>, moment: Moment) {
        match (cause, self.0.get_mut(name)) {
            (None, _) => {
                self.0.remove(name);
            }
            (Some(cause), Some(lost)) => (lost.cause, lost.entry) = (cause, moment.entry),
            (Some(cause), None) => {
                self.0.insert(name.to_owned(), Lost { cause, since: moment.seen, entry: moment.entry });
            }
        }
    }

    /// When a cause becomes certain.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.values().filter_map(Lost::certain_at).min()
    }

    /// The names of those that are certainly lost by now.
    pub(super) fn certain(&self, now: Duration) -> Vec<String> {
        let is_certain = |lost: &Lost| lost.certain_at().is_some_and(|at| now >= at);
        self.0.iter().filter(|(_, lost)| is_certain(lost)).map(|(name, _)| name.clone()).collect()
    }

    /// Why it is lost, and by which entry.
    pub(super) fn of(&self, name: &str) -> Option<(&str, usize)> {
        self.0.get(name).map(|lost| (lost.cause.text.as_str(), lost.entry))
    }

    /// Some cause: a certain one if there is one.
    pub(super) fn any(&self) -> Option<&str> {
        let lost = self.0.values().min_by_key(|lost| lost.cause.certain_after.is_none());
        lost.map(|lost| lost.cause.text.as_str())
    }

    /// It is not known whether the causes still hold: they must last for their time anew.
    pub(super) fn begin_anew(&mut self, now: Duration) {
        self.0.values_mut().for_each(|lost| lost.since = now);
    }
}
