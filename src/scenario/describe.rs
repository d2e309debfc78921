//! The parts of a scenario in words, one line each, as plans and reports print them.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

use super::matcher::ValueMatch;
use super::model::{
    Action, Between, Claim, CountRange, EventPattern, Expectation, LastTermination, LogSource, PodPick, Quantifier, Row, Selection,
    Subject, TimedRow, When,
};

/// A length of time as Kubernetes prints it: `15s`, `1m30s`, `500ms`.
pub(crate) fn duration(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    if seconds == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let large = [(hours, "h"), (minutes, "m")].map(|(n, unit)| if n > 0 { format!("{n}{unit}") } else { String::new() }).concat();
    match (rest, millis) {
        (0, 0) if !large.is_empty() => large,
        (rest, 0) => format!("{large}{rest}s"),
        (rest, millis) => format!("{large}{}s", format!("{rest}.{millis:03}").trim_end_matches('0')),
    }
}

impl Display for Expectation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.claim)
    }
}

impl Display for Subject {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => write!(f, "{} {}", object.kind.to_lowercase(), object.name),
            Self::Selection(selection) => selection.fmt(f),
            Self::Event(pattern) => pattern.fmt(f),
            Self::Log(source) => source.fmt(f),
        }
    }
}

impl Display for Selection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = self.count.as_ref().map(|count| (*count.start(), *count.end()));
        let (some, plural) = match (self.quantifier, &self.count) {
            (Quantifier::Each, Some(range)) => (format!("each of {}", count_range(range)), "s"),
            (Quantifier::Each, None) => ("each of the".to_owned(), "s"),
            (Quantifier::All, _) if count == Some((0, 0)) => ("no".to_owned(), ""),
            (Quantifier::All, _) if count == Some((1, 1)) => ("the one".to_owned(), ""),
            (Quantifier::All, Some(range)) => (format!("all {}", count_range(range)), "s"),
            (Quantifier::All, None) => ("all".to_owned(), "s"),
        };
        let terminating = match self.terminating {
            Some(true) => "terminating ",
            Some(false) => "not terminating ",
            None => "",
        };
        write!(f, "{some} {terminating}{}{plural} with {}", self.kind.to_lowercase(), self.selector)
    }
}

impl Display for EventPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("event")?;
        if let Some(event_type) = &self.event_type {
            write!(f, " {event_type}")?;
        }
        for (label, matcher) in [("", &self.reason), ("from ", &self.source), ("saying ", &self.message)] {
            if let Some(matcher) = matcher {
                write!(f, " {label}{matcher}")?;
            }
        }
        if let Some(target) = &self.for_object {
            write!(f, " about {}/{}", target.kind.to_lowercase(), target.name)?;
        }
        if self.count > 1 { write!(f, ", at least {} times", self.count) } else { Ok(()) }
    }
}

impl Display for LogSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.previous { "previous log of " } else { "log of " })?;
        match &self.pod {
            PodPick::Name(name) => write!(f, "pod {name}")?,
            PodPick::Selector(selector) => write!(f, "a pod with {selector}")?,
        }
        self.container.as_ref().map_or(Ok(()), |container| write!(f, ", container {container}"))
    }
}

impl Display for Claim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence { rows, between } => sequence(f, rows, *between),
            Self::Never { row, hold } => {
                let row = row.to_string();
                let space = if row.is_empty() { "" } else { " " };
                write!(f, "never{space}{row}")?;
                hold.map_or(Ok(()), |hold| write!(f, ", for {}", duration(hold)))
            }
            Self::Every { row, period, tolerance, times, .. } => {
                let row = row.to_string();
                let space = if row.is_empty() { "" } else { " " };
                write!(f, "{row}{space}every {} ± {}, {times} times", duration(*period), duration(*tolerance))
            }
        }
    }
}

fn sequence(f: &mut Formatter<'_>, rows: &[TimedRow], between: Between) -> fmt::Result {
    for (i, row) in rows.iter().enumerate() {
        let arrow = match (i, between) {
            (0, _) => "",
            (_, Between::Listed) => " → ",
            (_, Between::Any) => " → … → ",
        };
        write!(f, "{arrow}{row}")?;
    }
    Ok(())
}

impl Display for TimedRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let row = self.row.to_string();
        if row.is_empty() { self.when.fmt(f) } else { write!(f, "{row}, {}", self.when) }
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.earliest.is_zero() {
            write!(f, "by {}", duration(self.latest))?;
        } else {
            write!(f, "at {}..{}", duration(self.earliest), duration(self.latest))?;
        }
        if self.hold.is_zero() { Ok(()) } else { write!(f, ", for {}", duration(self.hold)) }
    }
}

/// The columns in the order in which kubectl prints those of Pods, Deployments and ReplicaSets.
const COLUMN_ORDER: [&str; 7] = ["DESIRED", "CURRENT", "READY", "STATUS", "UP-TO-DATE", "AVAILABLE", "RESTARTS"];

impl Row {
    /// The columns in kubectl's order, then the others.
    pub(crate) fn columns_in_order(&self) -> impl Iterator<Item = (&String, &ValueMatch)> {
        let first = COLUMN_ORDER.iter().filter_map(|header| self.columns.get_key_value(*header));
        first.chain(self.columns.iter().filter(|(header, _)| !COLUMN_ORDER.contains(&header.as_str())))
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.columns_in_order().map(|(header, wanted)| format!("{header} {wanted}")));
        parts.extend(self.fields.iter().map(|(path, wanted)| format!("{path} = {wanted}")));
        parts.extend(self.last_termination.iter().map(LastTermination::to_string));
        match self.exists {
            Some(true) if parts.is_empty() => parts.push("exists".to_owned()),
            Some(false) => parts.push("does not exist".to_owned()),
            _ => {}
        }
        parts.extend(self.count.iter().map(|count| format!("{} of them", count_range(count))));
        parts.extend(self.line.iter().map(|line| format!("`{line}`")));
        f.write_str(&parts.join(", "))
    }
}

impl Display for LastTermination {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let container = self.container.as_ref().map_or("a container".to_owned(), |name| format!("container {name}"));
        write!(f, "{container} last ended")?;
        if let Some(reason) = &self.reason {
            write!(f, " with reason {reason}")?;
        }
        self.exit_code.as_ref().map_or(Ok(()), |code| write!(f, " with exit code {code}"))
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apply(files) => write!(f, "apply {}", paths(files)),
            Self::DeleteManifests(files) => write!(f, "delete {}", paths(files)),
            Self::Delete(object) => write!(f, "delete {object}"),
            Self::Patch(patch) => write!(f, "patch {}", patch.object),
            Self::Set(set) if set.object.is_secret() => write!(f, "set {} {}", set.object, set.field),
            Self::Set(set) => match &set.from {
                Some(from) => write!(f, "set {} {} {from} → {}", set.object, set.field, set.to),
                None => write!(f, "set {} {} → {}", set.object, set.field, set.to),
            },
            Self::Scale { object, replicas } => write!(f, "scale {object} to {replicas}"),
            Self::Exec(exec) => write!(f, "exec in pod/{}: {}", exec.pod, exec.command.join(" ")),
            Self::Request(request) => write!(f, "request {}:{}{}", request.to, request.port, request.path),
            Self::Observe => f.write_str("observe"),
        }
    }
}

fn paths(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn count_range(range: &CountRange) -> String {
    match (*range.start(), *range.end()) {
        (low, high) if low == high => low.to_string(),
        (low, u32::MAX) => format!("at least {low}"),
        (0, high) => format!("at most {high}"),
        (low, high) => format!("{low} to {high}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(15_000, "15s")]
    #[case(90_000, "1m30s")]
    #[case(60_000, "1m")]
    #[case(500, "500ms")]
    #[case(0, "0s")]
    #[case(1_250, "1.25s")]
    #[case(3_600_000, "1h")]
    #[case(61_500, "1m1.5s")]
    #[case(60_500, "1m0.5s")]
    fn durations_read_as_in_kubernetes(#[case] millis: u64, #[case] expected: &str) {
        assert_eq!(duration(Duration::from_millis(millis)), expected);
    }
}
