//! The correlator of events: aggregate, count, filter (`client-go/tools/record/events_cache.go`).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};

use crate::Random;

/// So many different messages of one reason about one object are aggregated.
const MAX_SIMILAR: usize = 10;
/// Messages are similar if no more time than this lies between them.
const SIMILAR_WITHIN: Duration = Duration::from_mins(10);
/// So many events about one object are let through at once …
const BURST: f64 = 25.0;
/// … and one more after each such time.
const REFILL: Duration = Duration::from_mins(5);
/// How many keys each cache remembers.
const REMEMBERED: usize = 4_096;

/// What makes an event the same as another one: some of its fields, with a zero between them.
type Key = String;

/// The pipeline that each event passes.
#[derive(Debug)]
pub(super) struct Correlator {
    random: Random,
    similar: Recent<Similar>,
    counted: Recent<Counted>,
    buckets: Recent<Bucket>,
}

/// The different messages of events that are otherwise the same.
#[derive(Debug)]
struct Similar {
    messages: BTreeSet<String>,
    last: Duration,
}

#[derive(Clone, Debug)]
struct Counted {
    count: i32,
    first: Option<Time>,
    name: Option<String>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Duration,
}

impl Correlator {
    /// A correlator that has seen nothing.
    pub(super) fn new(random: Random) -> Self {
        Self { random, similar: Recent::default(), counted: Recent::default(), buckets: Recent::default() }
    }

    /// The event as it is to be sent (with a count above 1: as a patch of the object of that name), or nothing if it is
    /// filtered out. The count advances even then, so a later one may jump.
    pub(super) fn correlate(&mut self, now: Duration, event: Event) -> Option<Event> {
        let (event, key) = self.aggregate(now, event);
        let event = self.count(event, &key);
        self.admits(now, &event).then_some(event)
    }

    fn aggregate(&mut self, now: Duration, mut event: Event) -> (Event, Key) {
        let message = event.message.clone().unwrap_or_default();
        let mut key = object_key(&event);
        key.extend([&event.type_, &event.reason, &event.reporting_component, &event.reporting_instance].map(text));
        let key = key.join("\0");
        let similar = self.similar.entry(&key, || Similar { messages: BTreeSet::new(), last: now });
        if now.saturating_sub(similar.last) > SIMILAR_WITHIN {
            similar.messages.clear();
        }
        similar.messages.insert(message.clone());
        similar.last = now;
        if similar.messages.len() < MAX_SIMILAR {
            let mut own = object_key(&event);
            own.extend([&event.involved_object.field_path, &event.type_, &event.reason].map(text));
            own.push(message);
            return (event, own.join("\0"));
        }
        let dropped = similar.messages.iter().nth(self.random.below(MAX_SIMILAR)).cloned();
        dropped.map(|message| similar.messages.remove(&message));
        event.message = Some(format!("(combined from similar events): {message}"));
        (event, key)
    }

    fn count(&mut self, mut event: Event, key: &str) -> Event {
        let known = self.counted.entry(key, || Counted { count: 0, first: None, name: None });
        if known.count > 0 {
            event.metadata.name.clone_from(&known.name);
            event.first_timestamp.clone_from(&known.first);
        }
        let count = known.count.saturating_add(1);
        event.count = Some(count);
        *known = Counted { count, first: event.first_timestamp.clone(), name: event.metadata.name.clone() };
        event
    }

    /// The spam filter: a token bucket for each source, object and type (the type since 1.31).
    fn admits(&mut self, now: Duration, event: &Event) -> bool {
        let mut key = object_key(event);
        key.push(text(&event.type_));
        let bucket = self.buckets.entry(&key.join("\0"), || Bucket { tokens: BURST, filled: now });
        let refilled = now.saturating_sub(bucket.filled).as_secs_f64() / REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + refilled).min(BURST);
        bucket.filled = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

/// The source and the object, without the part of the object.
fn object_key(event: &Event) -> Vec<String> {
    let object = &event.involved_object;
    let source = event.source.as_ref();
    let parts = [&object.kind, &object.namespace, &object.name, &object.uid, &object.api_version];
    let source = [source.and_then(|source| source.component.clone()), source.and_then(|source| source.host.clone())];
    source.iter().chain(parts).map(text).collect()
}

#[allow(clippy::ref_option, reason = "the fields of events are such references")]
fn text(value: &Option<String>) -> String {
    value.clone().unwrap_or_default()
}

/// A map that forgets what was used longest ago.
#[derive(Debug)]
struct Recent<V> {
    used: u64,
    values: BTreeMap<Key, (u64, V)>,
    order: BTreeMap<u64, Key>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { used: 0, values: BTreeMap::new(), order: BTreeMap::new() }
    }
}

impl<V> Recent<V> {
    fn entry(&mut self, key: &str, make: impl FnOnce() -> V) -> &mut V {
        self.used += 1;
        if let Some((used, _)) = self.values.get(key) {
            self.order.remove(used);
        } else if self.values.len() >= REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.values.remove(&oldest);
        }
        self.order.insert(self.used, key.to_owned());
        let (used, value) = self.values.entry(key.to_owned()).or_insert_with(|| (0, make()));
        *used = self.used;
        value
    }
}
