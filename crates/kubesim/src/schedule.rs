//! When a CronJob is due: the five fields of a crontab, `@hourly` and its like, and `@every 1h30m`
//! (github.com/robfig/cron/v3, as pkg/controller/cronjob and pkg/apis/batch/validation use it).

use k8s_openapi::jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// How far ahead a next time is looked for; there is none of 30 February.
const YEARS: i16 = 5;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// The times that match.
    Fields(Box<Fields>),
    /// Again and again after so many whole seconds, at least one.
    Every(SignedDuration),
}

/// For each field the values that match, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// Whether day and weekday are both restricted: then either suffices.
    either_day: bool,
}

/// What a field may hold, and the names of its values from the least on.
struct Bounds {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { least: 1, most: 31, names: &[] };
const MONTHS: Bounds =
    Bounds { least: 1, most: 12, names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] };
const WEEKDAYS: Bounds = Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The units of a duration in nanoseconds (Go's `time.ParseDuration`).
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with it, in the words of the real server.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields = match without_zone(text) {
            "" => return Err("empty spec string".to_owned()),
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(every) = fields.strip_prefix("@every ") {
            let every = duration(every).map_err(|problem| format!("failed to parse duration {fields}: time: {problem}"))?;
            return Ok(Self::Every(SignedDuration::from_secs(every.as_secs().max(1))));
        }
        if fields.starts_with('@') {
            return Err(format!("unrecognized descriptor: {fields}"));
        }
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
        };
        let (minute, _) = field(minute, &MINUTES)?;
        let (hour, _) = field(hour, &HOURS)?;
        let (day, any_day) = field(day, &DAYS)?;
        let (month, _) = field(month, &MONTHS)?;
        let (weekday, any_weekday) = field(weekday, &WEEKDAYS)?;
        Ok(Self::Fields(Box::new(Fields { minute, hour, day, month, weekday, either_day: !any_day && !any_weekday })))
    }

    /// The first time after `after` that the schedule names, in a time zone.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => crate::floor_to_seconds(after).checked_add(*every).ok(),
            Self::Fields(fields) => fields.next(after, zone),
        }
    }
}

/// A time zone within a schedule was once allowed; it is validation that refuses it.
fn without_zone(text: &str) -> &str {
    let has_zone = text.starts_with("TZ=") || text.starts_with("CRON_TZ=");
    if has_zone { text.split_once(' ').map_or("", |(_, rest)| rest.trim()) } else { text }
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

/// Reads a field, `*/5`, `1-10/2`, `mon,wed`: the bits of its values, and whether it is unrestricted.
fn field(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let mut parts = text.split(',').filter(|part| !part.is_empty()).map(|part| range(part, bounds));
    parts.try_fold((0, false), |(bits, any), part| part.map(|(more, also)| (bits | more, any || also)))
}

fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), String> {
    let (values, step_text) = match text.split('/').collect::<Vec<_>>()[..] {
        [values] => (values, None),
        [values, step] => (values, Some(step)),
        _ => return Err(format!("too many slashes: {text}")),
    };
    let ends: Vec<&str> = values.split('-').collect();
    let is_any = matches!(ends[0], "*" | "?");
    let (from, mut to) = match ends[..] {
        _ if is_any => (bounds.least, bounds.most),
        [one] => (value(one, bounds)?, value(one, bounds)?),
        [from, to] => (value(from, bounds)?, value(to, bounds)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = step_text.map_or(Ok(1), integer)?;
    if step_text.is_some() && ends.len() == 1 {
        to = bounds.most;
    }
    if from < bounds.least {
        return Err(format!("beginning of range ({from}) below minimum ({}): {text}", bounds.least));
    }
    if to > bounds.most {
        return Err(format!("end of range ({to}) above maximum ({}): {text}", bounds.most));
    }
    if from > to {
        return Err(format!("beginning of range ({from}) beyond end of range ({to}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let bits = (from..=to).step_by(usize::try_from(step).unwrap_or(usize::MAX)).fold(0, |bits, value| bits | 1 << value);
    Ok((bits, is_any && step == 1))
}

fn value(text: &str, bounds: &Bounds) -> Result<u32, String> {
    let name = text.to_ascii_lowercase();
    let named = (bounds.least..).zip(bounds.names).find(|(_, known)| **known == name);
    named.map_or_else(|| integer(text), |(value, _)| Ok(value))
}

fn integer(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        Err(error) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let is_too_large = matches!(error.kind(), PosOverflow | NegOverflow);
            let problem = if is_too_large { "value out of range" } else { "invalid syntax" };
            Err(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {problem}"))
        }
    }
}

/// Reads a duration as Go writes it: `1h30m`, `1.5s`, `500ms`.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("invalid duration {text:?}");
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    let (mut rest, mut nanoseconds) = (unsigned, 0.0);
    while !rest.is_empty() {
        let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let (number, after) = rest.split_at(rest.find(|letter| !is_number(letter)).unwrap_or(rest.len()));
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        if unit.is_empty() {
            return Err(format!("missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(known, _)| *known == unit);
        let (_, factor) = known.ok_or_else(|| format!("unknown unit {unit:?} in duration {text:?}"))?;
        nanoseconds += number * factor;
        rest = after;
    }
    // Go counts in 64 bits; a cast to an integer saturates, and none of this needs to be exact.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    let whole = if nanoseconds < i64::MAX as f64 { nanoseconds as i64 } else { return Err(invalid()) };
    Ok(SignedDuration::from_nanos(if text.starts_with('-') { -whole } else { whole }))
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
    #[case("0 0 * * 0", "2026-01-04T00:00:00Z")]
    #[case("0 0 13 * fri", "2026-01-02T00:00:00Z")]
    #[case("0 0 29 feb *", "2028-02-29T00:00:00Z")]
    #[case("@hourly", "2026-01-01T01:00:00Z")]
    #[case("@every 90s", "2026-01-01T00:02:00Z")]
    #[case("@every 1h30m", "2026-01-01T01:30:30Z")]
    #[case::at_least_a_second("@every 500ms", "2026-01-01T00:00:31Z")]
    #[case::whole_seconds("@every 1500ms", "2026-01-01T00:00:31Z")]
    #[case::never_back("@every -1h", "2026-01-01T00:00:31Z")]
    fn the_next_time_is_found(#[case] text: &str, #[case] expected: &str) {
        let after: Timestamp = "2026-01-01T00:00:30.7Z".parse().unwrap();
        assert_eq!(Schedule::parse(text).unwrap().next(after, &TimeZone::UTC).unwrap().to_string(), expected);
    }

    #[rstest]
    #[case("", "empty spec string")]
    #[case("* * * *", "expected exactly 5 fields, found 4: [* * * *]")]
    #[case("61 * * * *", "end of range (61) above maximum (59): 61")]
    #[case("* * * * 7", "end of range (7) above maximum (6): 7")]
    #[case("* * 0 * *", "beginning of range (0) below minimum (1): 0")]
    #[case("*/0 * * * *", "step of range should be a positive number: */0")]
    #[case("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1")]
    #[case("1-2-3 * * * *", "too many hyphens: 1-2-3")]
    #[case("1/2/3 * * * *", "too many slashes: 1/2/3")]
    #[case("0 0 1 FOO *", "failed to parse int from FOO: strconv.Atoi: parsing \"FOO\": invalid syntax")]
    #[case("@sometimes", "unrecognized descriptor: @sometimes")]
    #[case("@every foo", "failed to parse duration @every foo: time: invalid duration \"foo\"")]
    #[case("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\"")]
    #[case("@every 5d", "failed to parse duration @every 5d: time: unknown unit \"d\" in duration \"5d\"")]
    fn nonsense_is_refused(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Schedule::parse(text), Err(expected.to_owned()));
    }

    #[test]
    fn what_never_comes_is_never_due() {
        assert_eq!(Schedule::parse("0 0 30 feb *").unwrap().next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
    }
}
