//! When a CronJob is due: the five fields of a crontab, `@hourly` and its like, and `@every 1h30m`
//! (github.com/robfig/cron, as pkg/controller/cronjob uses it).

use k8s_openapi::jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// How far ahead a next time is looked for; there is none of 30 February.
const YEARS: i16 = 5;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    Fields(Box<Fields>),
    Every(SignedDuration),
}

/// For each field the values that match, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// Whether day and weekday are both restricted: then either suffices.
    either_day: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads a schedule.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fields = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(every) = fields.strip_prefix("@every ") {
            return every.parse().ok().filter(|every: &SignedDuration| every.is_positive()).map(Self::Every);
        }
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else { return None };
        let weekdays = field(weekday, 0, 7, &WEEKDAYS, 0)?;
        Some(Self::Fields(Box::new(Fields {
            minute: field(minute, 0, 59, &[], 0)?,
            hour: field(hour, 0, 23, &[], 0)?,
            day: field(day, 1, 31, &[], 0)?,
            month: field(month, 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekday: weekdays | (weekdays >> 7 & 1),
            either_day: !is_any(day) && !is_any(weekday),
        })))
    }

    /// The first time after `after` that the schedule names, in a time zone.
    pub(super) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => after.checked_add(*every).ok().map(crate::floor_to_seconds),
            Self::Fields(fields) => fields.next(after, zone),
        }
    }
}

fn is_any(text: &str) -> bool {
    text.starts_with('*') || text.starts_with('?')
}

impl Fields {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = after.to_zoned(zone.clone()).datetime();
        let mut time = start.date().at(start.hour(), start.minute(), 0, 0).checked_add(SignedDuration::from_mins(1)).ok()?;
        let last = time.year() + YEARS;
        while time.year() <= last {
            time = if !self.matches_day(time) {
                time.date().tomorrow().ok()?.at(0, 0, 0, 0)
            } else if !has(self.hour, time.hour()) {
                time.date().at(time.hour(), 0, 0, 0).checked_add(SignedDuration::from_hours(1)).ok()?
            } else if !has(self.minute, time.minute()) {
                time.checked_add(SignedDuration::from_mins(1)).ok()?
            } else {
                return Some(time.to_zoned(zone.clone()).ok()?.timestamp());
            };
        }
        None
    }

    fn matches_day(&self, time: DateTime) -> bool {
        let (day, weekday) = (has(self.day, time.day()), has(self.weekday, time.weekday().to_sunday_zero_offset()));
        has(self.month, time.month()) && if self.either_day { day || weekday } else { day && weekday }
    }
}

fn has(bits: u64, value: i8) -> bool {
    bits >> value & 1 == 1
}

/// Reads a field, `*/5`, `1-10/2`, `mon,wed`, as the bits of its values. Names count from `first_name`.
fn field(text: &str, least: u32, most: u32, names: &[&str], first_name: u32) -> Option<u64> {
    text.split(',').map(|part| range(part, least, most, names, first_name)).try_fold(0, |bits, part| Some(bits | part?))
}

fn range(text: &str, least: u32, most: u32, names: &[&str], first_name: u32) -> Option<u64> {
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
        None => (text, None),
    };
    let value = |text: &str| {
        let lower = text.to_ascii_lowercase();
        let named = names.iter().position(|name| *name == lower).and_then(|index| u32::try_from(index).ok());
        named.map(|index| index + first_name).or_else(|| text.parse().ok()).filter(|value| (least..=most).contains(value))
    };
    let (from, to) = match range.split_once('-') {
        _ if matches!(range, "*" | "?") => (least, if names.len() == 7 { 6 } else { most }),
        Some((from, to)) => (value(from)?, value(to)?),
        None if step.is_some() => (value(range)?, most),
        None => (value(range)?, value(range)?),
    };
    let step = usize::try_from(step.unwrap_or(1)).ok()?;
    (from <= to).then(|| (from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*/5 * * * *", "2026-01-01T00:05:00Z")]
    #[case("30 2 * * *", "2026-01-01T02:30:00Z")]
    #[case("0 0 1 * *", "2026-02-01T00:00:00Z")]
    #[case("0 12 * * mon-fri", "2026-01-01T12:00:00Z")]
    #[case("0 0 * * 7", "2026-01-04T00:00:00Z")]
    #[case("0 0 13 * fri", "2026-01-02T00:00:00Z")]
    #[case("0 0 29 feb *", "2028-02-29T00:00:00Z")]
    #[case("@hourly", "2026-01-01T01:00:00Z")]
    #[case("@every 90s", "2026-01-01T00:02:00Z")]
    fn the_next_time_is_found(#[case] text: &str, #[case] expected: &str) {
        let after: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
        assert_eq!(Schedule::parse(text).unwrap().next(after, &TimeZone::UTC).unwrap().to_string(), expected);
    }

    #[rstest]
    #[case("")]
    #[case("* * * *")]
    #[case("60 * * * *")]
    #[case("*/0 * * * *")]
    #[case("5-1 * * * *")]
    #[case("@sometimes")]
    fn nonsense_is_refused(#[case] text: &str) {
        assert_eq!(Schedule::parse(text), None);
    }

    #[test]
    fn what_never_comes_is_never_due() {
        assert_eq!(Schedule::parse("0 0 30 feb *").unwrap().next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
    }
}
