//! Dates as `date` writes them, in UTC.

use std::{fmt::Write as _, time::Duration};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time since the Unix epoch in the form that `format` gives; nothing if a part of it is not known.
pub(super) fn format(since_epoch: Duration, format: &str) -> Option<String> {
    let seconds = since_epoch.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let name = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    let mut text = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        // Writing to a string never fails.
        let _ = match chars.next()? {
            'Y' => write!(text, "{year}"),
            'm' => write!(text, "{month:02}"),
            'd' => write!(text, "{day:02}"),
            'e' => write!(text, "{day:2}"),
            'H' => write!(text, "{hour:02}"),
            'M' => write!(text, "{minute:02}"),
            'S' => write!(text, "{second:02}"),
            'F' => write!(text, "{year}-{month:02}-{day:02}"),
            'T' => write!(text, "{hour:02}:{minute:02}:{second:02}"),
            's' => write!(text, "{seconds}"),
            'N' => write!(text, "{:09}", since_epoch.subsec_nanos()),
            'a' => write!(text, "{weekday}"),
            'b' => write!(text, "{name}"),
            'Z' => write!(text, "UTC"),
            '%' => write!(text, "%"),
            _ => return None,
        };
    }
    Some(text)
}

/// Year, month and day of a day since the Unix epoch.
fn civil(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // Four hundred years have a whole number of days; nobody waits long for what is left.
    let (mut year, mut left) = (1970 + days / 146_097 * 400, days % 146_097);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let written = |seconds, form| format(Duration::from_secs(seconds), form).unwrap();
        assert_eq!(written(0, "%a %b %e %T %Z %Y"), "Thu Jan  1 00:00:00 UTC 1970");
        assert_eq!(written(951_782_400, "%F"), "2000-02-29");
        assert_eq!(written(1_767_225_600 + 45_296, "%F %H:%M:%S %s%%"), "2026-01-01 12:34:56 1767270896%");
        assert_eq!(format(Duration::ZERO, "%q"), None);
    }
}
