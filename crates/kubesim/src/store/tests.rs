//! The store by property: whoever replays the history from anywhere arrives at the same state.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    resource::{CONFIG_MAPS, PODS},
    selector::LabelSelector,
};

#[derive(Clone, Debug)]
enum Write {
    Put { name: u8, label: u8 },
    Delete { name: u8 },
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = prop_oneof![
        3 => (0..6_u8, 0..3_u8).prop_map(|(name, label)| Write::Put { name, label }),
        1 => (0..6_u8).prop_map(|name| Write::Delete { name }),
    ];
    prop::collection::vec(write, 0..60)
}

fn apply(store: &Store, write: &Write) {
    let (Write::Put { name, .. } | Write::Delete { name }) = write;
    let key = Key::new("ns", format!("pod-{name}"));
    let current = store.get(&PODS, &key);
    match (write, current) {
        (Write::Put { label, .. }, current) => {
            let value = json!({"metadata": {"namespace": "ns", "name": key.name, "labels": {"l": label.to_string()}}});
            match current {
                None => store.create(&PODS, &key, value),
                Some(current) => store.update(&PODS, &key, current.revision(), value),
            }
            .unwrap();
        }
        (Write::Delete { .. }, Some(current)) => {
            store.delete(&PODS, &key, current.revision(), current.value().clone()).unwrap();
        }
        (Write::Delete { .. }, None) => {}
    }
}

type Seen = BTreeMap<Key, u64>;

fn snapshot(store: &Store, selection: &Selection) -> Seen {
    store.list(&PODS, selection).0.iter().map(|object| (object.key(), object.revision())).collect()
}

/// Applies a watch's changes to a state, and checks that each of them makes sense there.
fn replay(mut seen: Seen, watch: &mut Watch) -> Seen {
    let mut last = watch.position();
    while let Some(change) = watch.try_next().unwrap() {
        assert!(change.revision() > last, "a change came out of order or twice");
        last = change.revision();
        let key = change.object.key();
        let before = match change.kind {
            ChangeType::Deleted => seen.remove(&key),
            _ => seen.insert(key, change.revision()),
        };
        assert_eq!(before.is_none(), change.kind == ChangeType::Added, "{change:?} on {before:?}");
    }
    seen
}

proptest! {
    #[test]
    fn a_replay_from_any_revision_arrives_at_the_same_state(
        before in writes(), after in writes(), label in prop::option::of(0..3_u8)
    ) {
        let store = Store::default();
        let labels = label.map_or_else(LabelSelector::default, |l| LabelSelector::parse(&format!("l={l}")).unwrap());
        let selection = Selection::all().labelled(labels);
        let mut starts = Vec::new();
        for write in before.iter().chain(&after) {
            starts.push((store.revision(), snapshot(&store, &selection)));
            apply(&store, write);
        }
        let expected = snapshot(&store, &selection);
        for (revision, state) in starts {
            let then = store.list_at(&PODS, &selection, revision).unwrap();
            let then: Seen = then.iter().map(|object| (object.key(), object.revision())).collect();
            prop_assert_eq!(&then, &state);
            let mut watch = store.watch(&PODS, selection.clone(), revision).unwrap();
            prop_assert_eq!(&replay(state, &mut watch), &expected);
        }
    }

    #[test]
    fn a_short_history_is_too_old_rather_than_incomplete(writes in writes(), limit in 1..8_usize) {
        let store = Store::with_history(limit);
        let mut starts = vec![(store.revision(), Seen::new())];
        for write in &writes {
            apply(&store, write);
            starts.push((store.revision(), snapshot(&store, &Selection::all())));
        }
        let expected = snapshot(&store, &Selection::all());
        for (revision, state) in starts {
            if let Ok(mut watch) = store.watch(&PODS, Selection::all(), revision) {
                prop_assert_eq!(&replay(state, &mut watch), &expected);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiting_watch_is_woken_by_its_own_resource_only() {
    let store = Store::default();
    let (initial, mut watch) = store.list_and_watch(&PODS, Selection::all());
    assert!(initial.is_empty());
    let value = json!({"metadata": {"name": "a", "namespace": "ns"}});
    store.create(&CONFIG_MAPS, &Key::new("ns", "a"), value.clone()).unwrap();
    assert!(watch.try_next().unwrap().is_none());
    let waiting = tokio::spawn(async move { watch.next().await.unwrap().object.name().to_owned() });
    tokio::task::yield_now().await;
    store.create(&PODS, &Key::new("ns", "b"), json!({"metadata": {"name": "b", "namespace": "ns"}})).unwrap();
    assert_eq!(waiting.await.unwrap(), "b");
}

#[test]
fn writes_are_refused_when_something_else_was_expected() {
    let store = Store::default();
    let key = Key::new("ns", "a");
    let value = json!({"metadata": {"name": "a", "namespace": "ns"}});
    let first = store.create(&PODS, &key, value.clone()).unwrap().revision();
    assert_eq!(store.create(&PODS, &key, value.clone()).unwrap_err(), Mismatch::Exists);
    let second = store.update(&PODS, &key, first, value.clone()).unwrap().revision();
    assert_eq!(store.update(&PODS, &key, first, value.clone()).unwrap_err(), Mismatch::Revision(second));
    assert_eq!(store.delete(&PODS, &key, first, value.clone()).unwrap_err(), Mismatch::Revision(second));
    store.delete(&PODS, &key, second, value.clone()).unwrap();
    assert_eq!(store.update(&PODS, &key, second, value).unwrap_err(), Mismatch::Missing);
}

#[test]
fn a_watch_that_falls_behind_the_history_is_told_so() {
    let store = Store::with_history(2);
    let mut watch = store.watch(&PODS, Selection::all(), store.revision()).unwrap();
    for name in ["a", "b", "c"] {
        store.create(&PODS, &Key::new("", name), json!({"metadata": {"name": name}})).unwrap();
    }
    assert!(watch.try_next().is_err());
}
