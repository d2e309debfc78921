//! Times as `kubectl` prints them (apimachinery/pkg/util/duration:HumanDuration).

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// A duration in whole seconds as a human reads it; always truncated, never rounded.
pub(super) fn human(duration: i128) -> String {
    const MINUTE: i128 = 60;
    const HOUR: i128 = 60 * MINUTE;
    const DAY: i128 = 24 * HOUR;
    let nanos = duration;
    let seconds = nanos.div_euclid(1_000_000_000);
    // From a second in the future on it is invalid; a little in the future is now.
    if seconds < -1 || (seconds == -1 && nanos <= -1_000_000_000) {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let two = |large: i128, large_unit: char, small: i128, small_unit: char| {
        if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / MINUTE, seconds / HOUR, seconds / DAY);
    match seconds {
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(minutes, 'm', s % MINUTE, 's'),
        s if s < 3 * HOUR => format!("{minutes}m"),
        s if s < 8 * HOUR => two(hours, 'h', minutes % 60, 'm'),
        s if s < 2 * DAY => format!("{hours}h"),
        s if s < 8 * DAY => two(days, 'd', hours % 24, 'h'),
        s if s < 2 * 365 * DAY => format!("{days}d"),
        s if s < 8 * 365 * DAY => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// How long ago a time of an object was, in nanoseconds; nothing if it is no time.
pub(super) fn since(time: &Value, now: Timestamp) -> Option<i128> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    Some(now.as_nanosecond() - time.as_nanosecond())
}

/// How long ago a time of an object was, as a human reads it.
pub(super) fn ago(time: &Value, now: Timestamp) -> String {
    since(time, now).map_or_else(|| "<unknown>".to_owned(), human)
}

/// The age of an object.
pub(super) fn since_creation(object: &Value, now: Timestamp) -> Value {
    json!(ago(&object["metadata"]["creationTimestamp"], now))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(-1.0, "<invalid>")]
    #[case(-2.5, "<invalid>")]
    #[case(-0.5, "0s")]
    #[case(0.9, "0s")]
    #[case(119.9, "119s")]
    #[case(120.0, "2m")]
    #[case(125.0, "2m5s")]
    #[case(599.0, "9m59s")]
    #[case(600.0, "10m")]
    #[case(10_799.0, "179m")]
    #[case(10_800.0, "3h")]
    #[case(11_000.0, "3h3m")]
    #[case(28_800.0, "8h")]
    #[case(172_800.0, "2d")]
    #[case(180_000.0, "2d2h")]
    #[case(691_200.0, "8d")]
    #[case(63_072_000.0, "2y")]
    #[case(64_000_000.0, "2y10d")]
    #[case(252_288_000.0, "8y")]
    fn durations(#[case] seconds: f64, #[case] text: &str) {
        #[allow(clippy::cast_possible_truncation)]
        let nanos = (seconds * 1e9) as i128;
        assert_eq!(human(nanos), text);
    }
}
