//! The lines that stay.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Verbosity;
use super::names::Names;
use super::rows::{self, GrowingTable};
use crate::progress::Progress;
use crate::report::text::{printable, seconds, since_action};
use crate::report::{Palette, ScenarioReport, console};
use crate::timeline::{ActionResult, Change, Entry, Observation, Stream};
use crate::verdict::Outcome;

/// What is said of a scenario whose namespace is being removed.
pub(super) const TEARING_DOWN: &str = "tearing down";

/// Writes down what happens.
pub(super) struct Transcript {
    verbosity: Verbosity,
    palette: Palette,
    names: Names,
    /// The phases that have begun and not ended, the last one last.
    phases: Vec<String>,
    running: BTreeMap<usize, Running>,
    /// Two scenarios have run at the same time: from then on each line says whose it is.
    side_by_side: bool,
}

/// A scenario that is going on.
#[derive(Default)]
struct Running {
    /// When the current step's action was sent, since the scenario began.
    zero: Duration,
    /// It was said that the API server cannot be watched.
    is_lost: bool,
    /// The table of each kind.
    tables: BTreeMap<String, GrowingTable>,
}

impl Transcript {
    pub(super) fn new(names: Names, verbosity: Verbosity, palette: Palette) -> Self {
        let (phases, running) = (Vec::new(), BTreeMap::new());
        Self { verbosity, palette, names, phases, running, side_by_side: false }
    }

    /// The lines that say this. Where the current phase is shown in place, its beginning needs none.
    pub(super) fn lines(&mut self, progress: &Progress, phase_in_place: bool) -> Vec<String> {
        let lines = match progress {
            Progress::PhaseStarted(text) => self.phase_started(text, phase_in_place),
            Progress::PhaseEnded(result) => self.phase_ended(result),
            Progress::Warning(text) => vec![format!("{} {}", self.palette.doubtful("warning:"), printable(text))],
            Progress::ScenarioStarted { scenario, namespace } => self.scenario_started(*scenario, namespace),
            Progress::StepStarted { scenario, step } => {
                vec![self.of(*scenario, &format!("  {}", self.names.step(*scenario, *step)))]
            }
            Progress::Observed { scenario, entry } => self.observed(*scenario, entry),
            Progress::Decided { scenario, text, verdict, .. } => {
                vec![self.of(*scenario, &format!("    {}", console::decided(text, verdict, self.palette)))]
            }
            Progress::TearingDown { scenario } => vec![self.of(*scenario, &format!("  {TEARING_DOWN}"))],
            Progress::ScenarioEnded { scenario, report } => self.scenario_ended(*scenario, report),
            Progress::Checkpoint(_) | Progress::Kept(_) => Vec::new(),
            Progress::Interrupted => {
                vec![self.palette.doubtful("interrupted: what was begun is being torn down; interrupt once more to stop at once")]
            }
        };
        // Whoever has interrupted it waits, and must know for what.
        let is_shown = self.verbosity != Verbosity::Quiet || matches!(progress, Progress::Interrupted);
        if is_shown { lines } else { Vec::new() }
    }

    fn phase_started(&mut self, text: &str, in_place: bool) -> Vec<String> {
        let text = printable(text);
        let lines = if in_place { Vec::new() } else { vec![format!("• {text}")] };
        self.phases.push(text);
        lines
    }

    fn phase_ended(&mut self, result: &Result<(), String>) -> Vec<String> {
        let phase = self.phases.pop().unwrap_or_default();
        match result {
            Ok(()) => vec![format!("{} {phase}", self.palette.good("✓"))],
            // Why is told at the end, or in a warning where the run goes on.
            Err(_) => vec![format!("{} {phase}", self.palette.bad("✗"))],
        }
    }

    fn scenario_started(&mut self, scenario: usize, namespace: &str) -> Vec<String> {
        self.running.insert(scenario, Running::default());
        self.side_by_side |= self.running.len() > 1;
        let name = self.palette.strong(self.names.scenario(scenario));
        vec![format!("scenario {name}{}", self.palette.weak(&format!(" in namespace {}", printable(namespace))))]
    }

    fn scenario_ended(&mut self, scenario: usize, report: &ScenarioReport) -> Vec<String> {
        self.running.remove(&scenario);
        let (outcome, palette) = (report.outcome(), self.palette);
        let mark = match outcome {
            Outcome::Pass => palette.good("✓"),
            Outcome::Inconclusive => palette.doubtful("?"),
            Outcome::Fail | Outcome::Error => palette.bad("✗"),
        };
        vec![format!("{mark} {}: {}, {}", printable(&report.name), outcome.word(), seconds(report.duration))]
    }

    fn observed(&mut self, scenario: usize, entry: &Entry) -> Vec<String> {
        let running = self.running.entry(scenario).or_default();
        if let Observation::StepStarted { .. } = entry.what {
            running.zero = entry.t;
        }
        if self.verbosity != Verbosity::Verbose {
            let news = outage(running, &entry.what);
            return news.map(|news| self.of(scenario, &format!("    {}", self.palette.doubtful(&news)))).into_iter().collect();
        }
        let time = since_action(entry.t.as_secs_f64() - running.zero.as_secs_f64());
        let lines = match &entry.what {
            Observation::Object(object) if object.kind == "Event" => vec![format!("{time}  {}", rows::event(&object.object))],
            Observation::Object(object) => {
                let gone = if object.change == Change::Deleted { "   (deleted)" } else { "" };
                let mut cells = vec![("TIME".to_owned(), time), ("NAME".to_owned(), rows::reference(object))];
                cells.extend(rows::cells(object));
                let mut lines = running.tables.entry(object.kind.clone()).or_default().row(cells);
                lines.last_mut().into_iter().for_each(|line| line.push_str(gone));
                lines
            }
            other => words(other).map(|words| format!("{time}  {words}")).into_iter().collect(),
        };
        lines.iter().map(|line| self.of(scenario, &format!("    {}", self.palette.weak(line)))).collect()
    }

    /// A line of a scenario.
    fn of(&self, scenario: usize, line: &str) -> String {
        if self.side_by_side { format!("[{}]{line}", self.names.scenario(scenario)) } else { line.to_owned() }
    }
}

/// That the API server cannot be watched, said once until a watch goes on.
fn outage(running: &mut Running, observation: &Observation) -> Option<String> {
    match observation {
        Observation::Interrupted { stream: Stream::Watch { .. }, .. } if !running.is_lost => {
            running.is_lost = true;
            words(observation)
        }
        Observation::Resumed { stream: Stream::Watch { .. }, .. } if running.is_lost => {
            running.is_lost = false;
            words(observation)
        }
        _ => None,
    }
}

/// An observation that is no row, in words; none if it says nothing that is not said elsewhere.
fn words(observation: &Observation) -> Option<String> {
    let of_stream = |stream: &Stream| match stream {
        Stream::Watch { kind, .. } => format!("the watch of {}s", printable(&kind.to_lowercase())),
        Stream::Log(instance) => printable(&format!("the log of {}/{}[{}]", instance.pod, instance.container, instance.restart)),
    };
    match observation {
        Observation::Log(log) => {
            let instance = printable(&format!("{}/{}[{}]", log.instance.pod, log.instance.container, log.instance.restart));
            Some(format!("{instance}  {}", printable(&log.line)))
        }
        Observation::Interrupted { stream, reason } => {
            Some(format!("{} was interrupted: {}", of_stream(stream), printable(reason)))
        }
        Observation::Resumed { stream, gap: true } => Some(format!("{} goes on; changes may be missing", of_stream(stream))),
        Observation::Resumed { stream, gap: false } => Some(format!("{} goes on; nothing is missing", of_stream(stream))),
        Observation::Acted { result, .. } => match result {
            ActionResult::Done => None,
            ActionResult::Unsure { reason } => Some(format!("the answer was lost: {}", printable(reason))),
            ActionResult::Executed { exit_code, .. } => Some(format!("the command ended with exit code {exit_code}")),
            ActionResult::Answered { status, .. } => Some(format!("answered with status {status}")),
            ActionResult::Refused { error } => Some(format!("refused: {}", printable(error))),
            ActionResult::Failed { error } => Some(format!("failed: {}", printable(error))),
        },
        _ => None,
    }
}
