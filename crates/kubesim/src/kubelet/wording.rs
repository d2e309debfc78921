//! The words of events and messages that changed between versions.

use std::time::Duration;

use crate::Version;

/// The container has been made.
pub(super) fn created(version: Version, container: &str) -> String {
    if version.at_least(35) { "Container created".to_owned() } else { format!("Created container: {container}") }
}

/// The container has been started.
pub(super) fn started(version: Version, container: &str) -> String {
    if version.at_least(35) { "Container started".to_owned() } else { format!("Started container {container}") }
}

/// The image is there already.
pub(super) fn present(version: Version, image: &str) -> String {
    let suffix = if version.at_least(35) { " and can be accessed by the pod" } else { "" };
    format!("Container image \"{image}\" already present on machine{suffix}")
}

/// A duration as Go's `Duration.String` prints it, down to milliseconds: `10s`, `1m20s`, `1.25s`, `850ms`.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{:03}", rest % 1_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let seconds = format!("{}{point}{fraction}s", rest / 1_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        let printed = [0, 850, 1_250, 10_000, 80_000, 300_000, 3_600_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(printed, ["0s", "850ms", "1.25s", "10s", "1m20s", "5m0s", "1h0m0s"]);
    }

    #[test]
    fn the_versions_have_their_own_words() {
        let old: Version = "1.34".parse().unwrap();
        assert_eq!(created(old, "a"), "Created container: a");
        assert_eq!(started(old, "a"), "Started container a");
        assert_eq!(created(Version::LATEST, "a"), "Container created");
        assert_eq!(present(old, "i"), "Container image \"i\" already present on machine");
    }
}
