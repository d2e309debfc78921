use std::time::Duration;

use super::*;

fn event(kind: &str, reason: &str, message: &str) -> Event {
    let reference = ObjectReference { kind: Some("Pod".into()), name: Some("p".into()), ..ObjectReference::default() };
    Event {
        metadata: ObjectMeta { name: Some(format!("p.{reason}.{message}")), ..ObjectMeta::default() },
        involved_object: reference,
        type_: Some(kind.into()),
        reason: Some(reason.into()),
        message: Some(message.into()),
        count: Some(1),
        ..Event::default()
    }
}

fn correlator() -> Correlator {
    Correlator::new(Random::from_seed(1))
}

#[test]
fn repetitions_are_counted_under_the_first_name() {
    let mut correlator = correlator();
    let first = correlator.correlate(Duration::ZERO, event("Warning", "Unhealthy", "503")).unwrap();
    let mut again = event("Warning", "Unhealthy", "503");
    again.metadata.name = Some("p.later".into());
    let second = correlator.correlate(Duration::from_secs(5), again).unwrap();
    assert_eq!((first.count, second.count), (Some(1), Some(2)));
    assert_eq!(second.metadata.name, first.metadata.name);
}

/// The liveness recording: 20 Unhealthy and 5 `BackOff` pass, then the bucket is empty for 300 s since its first refill.
#[test]
fn the_spam_filter_lets_25_pass_and_counts_on() {
    let mut correlator = correlator();
    let mut pass = |second, kind, reason| {
        correlator.correlate(Duration::from_secs(second), event(kind, reason, "m")).map(|event| event.count.unwrap_or_default())
    };
    let unhealthy: Vec<_> = (0..20).map(|n| pass(n, "Warning", "Unhealthy")).collect();
    assert_eq!(unhealthy.last(), Some(&Some(20)));
    let back_off: Vec<_> = (0..7).map(|n| pass(20 + n, "Warning", "BackOff")).collect();
    assert_eq!(back_off, [Some(1), Some(2), Some(3), Some(4), Some(5), None, None]);
    assert_eq!(pass(27, "Normal", "Pulled"), Some(1), "each type has a bucket of its own");
    assert_eq!(pass(310, "Warning", "BackOff"), Some(8), "the count jumps");
}

#[test]
fn ten_different_messages_are_combined() {
    let mut correlator = correlator();
    let mut messages: Vec<Event> = (0..12)
        .filter_map(|n| correlator.correlate(Duration::from_secs(n), event("Warning", "Unhealthy", &format!("port {n}"))))
        .collect();
    let combined = messages.split_off(9);
    assert!(messages.iter().all(|event| event.count == Some(1) && !event.message.as_ref().unwrap().starts_with('(')));
    let texts: Vec<_> = combined.iter().map(|event| (event.message.as_deref().unwrap(), event.count)).collect();
    assert_eq!(
        texts,
        [
            ("(combined from similar events): port 9", Some(1)),
            ("(combined from similar events): port 10", Some(2)),
            ("(combined from similar events): port 11", Some(3)),
        ]
    );
    let later = correlator.correlate(Duration::from_secs(700), event("Warning", "Unhealthy", "port 1")).unwrap();
    assert_eq!(later.message.as_deref(), Some("port 1"), "after ten minutes of silence the set starts anew");
}

#[test]
fn what_was_dropped_first_is_created_later_with_its_count() {
    let mut correlator = correlator();
    for n in 0..25 {
        assert!(correlator.correlate(Duration::ZERO, event("Normal", "A", &format!("{}", n % 5))).is_some());
    }
    assert!(correlator.correlate(Duration::ZERO, event("Normal", "B", "m")).is_none());
    let accepted = correlator.correlate(Duration::from_secs(301), event("Normal", "B", "m")).unwrap();
    assert_eq!(accepted.count, Some(2));
}
