//! Durations as Kubernetes users write them: Go's syntax, `1m30s`, `500ms`.

use std::time::Duration;

/// The longest duration in a scenario.
const LONGEST: Duration = Duration::from_hours(24);

/// What is wrong with a text as a duration, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DurationError {
    pub(super) message: String,
    pub(super) help: String,
}

/// Reads a duration of at most a day as scenarios write it, such as `1m30s`; the error says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    parse(text).map_err(|error| format!("{}: {}", error.message, error.help))
}

/// Reads a duration of at most a day.
pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = |message: String, help: &str| Err(DurationError { message, help: help.to_owned() });
    if text.starts_with('-') {
        return error(format!("the duration `{text}` is negative"), "times are counted from the step's action; it has no before");
    }
    if text.parse::<f64>().is_ok() {
        return error(format!("the duration `{text}` has no unit"), &format!("write `{text}s` for seconds"));
    }
    let Some(duration) = sum(text) else {
        return error(format!("`{text}` is not a duration"), "write it as `15s`, `1m30s` or `500ms`");
    };
    if duration > LONGEST {
        return error(format!("the duration `{text}` is longer than a day"), "a hands-on takes minutes");
    }
    Ok(duration)
}

fn sum(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = number.parse::<f64>().ok()? * seconds_of(unit)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("15s", 15_000)]
    #[case("1m30s", 90_000)]
    #[case("500ms", 500)]
    #[case("1.5s", 1_500)]
    #[case("1h0m1s", 3_601_000)]
    #[case("0s", 0)]
    fn reads_go_durations(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("15", "has no unit")]
    #[case("1.5", "has no unit")]
    #[case("-5s", "is negative")]
    #[case("25h", "longer than a day")]
    #[case("", "is not a duration")]
    #[case("s", "is not a duration")]
    #[case("5 s", "is not a duration")]
    #[case("5x", "is not a duration")]
    #[case("1.2.3s", "is not a duration")]
    #[case("99999999999999999999h", "is not a duration")]
    fn refuses_others(#[case] text: &str, #[case] part: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.message.contains(part), "{error:?}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 0_u64..86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&crate::scenario::describe::duration(duration)), Ok(duration));
        }
    }
}
