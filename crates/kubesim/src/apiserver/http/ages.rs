//! The times that kubectl computes ages from by itself, when the cluster's time is not the machine's.

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::ResponseBody;
use crate::Clock;

/// The commands that compute ages themselves; they name themselves in a header (kubectl/pkg/cmd/cmd.go).
const COMMANDS: [&str; 2] = ["kubectl describe", "kubectl events"];

/// How many bytes a time has up to its seconds: `2026-01-01T00:00:00`.
const TO_SECONDS: usize = 19;

/// How far the cluster's clock is before the machine's, if a command asks that compares times with the machine's.
pub(super) fn lead(clock: Clock, method: &Method, headers: &HeaderMap) -> Option<SignedDuration> {
    let command = headers.get("kubectl-command").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lead = clock.lead();
    (*method == Method::GET && COMMANDS.contains(&command) && !lead.is_zero()).then_some(lead)
}

/// A response whose times are so long ago for the machine as they are for the cluster.
pub(super) fn seen_from_outside(response: Response<ResponseBody>, lead: Option<SignedDuration>) -> Response<ResponseBody> {
    let Some(lead) = lead else { return response };
    response.map(|body| body.map_frame(move |frame| frame.map_data(|data| earlier(&data, lead))).boxed_unsync())
}

/// A text in which every string that is a time is one so much earlier, to the second.
fn earlier(text: &Bytes, lead: SignedDuration) -> Bytes {
    let mut shifted = text.to_vec();
    for start in 0..text.len() {
        if text[start] == b'"'
            && let Some(time) = text.get(start + 1..=start + TO_SECONDS)
            && ends_a_time(&text[start + 1 + TO_SECONDS..])
            && let Some(time) = before(time, lead)
        {
            shifted[start + 1..=start + TO_SECONDS].copy_from_slice(time.as_bytes());
        }
    }
    Bytes::from(shifted)
}

/// Whether what follows the seconds of a time ends it: `Z"` or `.123456Z"`.
fn ends_a_time(rest: &[u8]) -> bool {
    let fraction = rest.iter().take_while(|byte| **byte == b'.' || byte.is_ascii_digit()).count();
    rest[fraction..].starts_with(b"Z\"")
}

fn before(time: &[u8], lead: SignedDuration) -> Option<String> {
    let time: Timestamp = format!("{}Z", std::str::from_utf8(time).ok()?).parse().ok()?;
    let time = Timestamp::from_second(time.as_second().checked_sub(lead.as_secs())?).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S").to_string()).filter(|text| text.len() == TO_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_are_shifted() {
        let text =
            r#"{"a":"2026-01-01T00:01:30Z","b":"2026-01-01T00:01:30.123456Z","c":"at 2026-01-01T00:01:30Z","d":"2026-01-01"}"#;
        let expected =
            r#"{"a":"2025-12-31T23:59:50Z","b":"2025-12-31T23:59:50.123456Z","c":"at 2026-01-01T00:01:30Z","d":"2026-01-01"}"#;
        assert_eq!(earlier(&Bytes::from(text), SignedDuration::from_secs(100)), expected);
    }
}
