//! What a run looks like while it goes on: lines that stay, and on a terminal, below them, what is going on right now.
//!
//! It is told by [`Progress`] values and knows nothing else of the runner. Everything goes to one writer, standard error in the
//! program. The run's end is [`console::ending`](crate::report::console::ending).

mod board;
mod histories;
mod names;
mod rows;
mod screen;
#[cfg(test)]
mod tests;
mod transcript;

use std::io::Write;

use indicatif::ProgressDrawTarget;

pub use self::histories::HistoriesProgress;
use self::names::Names;
use self::screen::Screen;
use self::transcript::Transcript;
use crate::plan::Plan;
use crate::progress::{Kept, Progress};
use crate::report::Palette;

/// How much is shown while a run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing; what went wrong is said at the end.
    Quiet,
    /// Phases, steps and decided expectations.
    #[default]
    Normal,
    /// Every row, as `kubectl get --watch` prints it, every event and every log line, too.
    Verbose,
}

/// Shows the progress of a run.
pub struct LiveProgress {
    transcript: Transcript,
    screen: Option<Screen>,
    out: Box<dyn Write>,
    kept: String,
}

impl LiveProgress {
    /// Shows it as lines, for a file, a pipe or the log of a CI.
    pub fn lines(plan: &Plan, verbosity: Verbosity, palette: Palette, out: Box<dyn Write>) -> Self {
        Self { transcript: Transcript::new(Names::of(plan), verbosity, palette), screen: None, out, kept: String::new() }
    }

    /// Shows it on standard error: if that is a terminal, the current phase and the current rows of each running scenario stand
    /// below the lines and change in place.
    pub fn stderr(plan: &Plan, verbosity: Verbosity, palette: Palette) -> Self {
        Self::on(plan, verbosity, palette, target(), true)
    }

    fn on(plan: &Plan, verbosity: Verbosity, palette: Palette, target: ProgressDrawTarget, is_ticking: bool) -> Self {
        let is_in_place = verbosity != Verbosity::Quiet && !target.is_hidden();
        let screen = is_in_place.then(|| Screen::new(Names::of(plan), target, is_ticking));
        Self { screen, ..Self::lines(plan, verbosity, palette, Box::new(std::io::stderr())) }
    }

    /// Ends it, and gives what was left on purpose and how to look at it, for the end of what is said; empty if nothing was.
    pub fn into_kept(self) -> String {
        self.kept
    }

    /// Shows what has happened. A reader that has gone away is no reason to stop a run.
    pub fn show(&mut self, progress: &Progress) {
        if let Progress::Kept(kept) = progress {
            self.kept.push_str(&words(kept));
        }
        let lines = self.transcript.lines(progress, self.screen.is_some());
        match &mut self.screen {
            Some(screen) => screen.show(&lines, progress),
            None => {
                for line in lines {
                    let _ = writeln!(self.out, "{line}");
                }
            }
        }
    }
}

/// Standard error, if it is a terminal that can change what stands on it.
fn target() -> ProgressDrawTarget {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if is_dumb { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }
}

/// `kept: the kind cluster labproof-abc`, and how to look at it and remove it.
fn words(Kept { what, kubectl, namespaces, removal }: &Kept) -> String {
    let namespace = namespaces.first().map(|name| format!(" --namespace {name}")).unwrap_or_default();
    let more = match namespaces.as_slice() {
        [] | [_] => String::new(),
        all => format!("  namespaces: {}\n", all.join(", ")),
    };
    format!("kept: {what}\n  look: {kubectl}{namespace} get pods,events\n{more}  remove: {removal}\n")
}
