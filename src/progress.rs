//! The one thing that the runner tells whoever shows its progress.

use crate::timeline::Entry;
use crate::verdict::Verdict;

/// Something that has happened in a run. Scenarios, steps and expectations are named by their positions in the plan.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A phase of provisioning or tearing down has begun: `Creating the cluster`, `Loading 3 stand-in images`.
    PhaseStarted(String),
    /// The phase begun last has ended; with an error if it failed.
    PhaseEnded(Result<(), String>),
    /// Something that the user should know, such as an image that will be pulled.
    Warning(String),
    /// A scenario has begun in its namespace.
    ScenarioStarted {
        /// Which scenario.
        scenario: usize,
        /// Its namespace.
        namespace: String,
    },
    /// A step's action is being sent.
    StepStarted {
        /// Which scenario.
        scenario: usize,
        /// Which step.
        step: usize,
    },
    /// Something was observed.
    Observed {
        /// Which scenario.
        scenario: usize,
        /// The entry of its timeline.
        entry: Box<Entry>,
    },
    /// An expectation has been decided.
    Decided {
        /// Which scenario.
        scenario: usize,
        /// Which step.
        step: usize,
        /// Which expectation, as in the step's report.
        expectation: usize,
        /// The expectation in words.
        text: String,
        /// The verdict.
        verdict: Box<Verdict>,
    },
    /// A scenario's namespace is being removed.
    TearingDown {
        /// Which scenario.
        scenario: usize,
    },
    /// A scenario is over and torn down.
    ScenarioEnded {
        /// Which scenario.
        scenario: usize,
        /// Its report.
        report: Box<crate::report::ScenarioReport>,
    },
    /// What is known so far, each time that it has grown and before anything that may fail.
    Checkpoint(Box<crate::report::Report>),
    /// A signal came; what was begun is being torn down.
    Interrupted,
    /// Something was left on purpose.
    Kept(Box<Kept>),
}

/// What was left on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is: `the kind cluster labproof-abc`.
    pub what: String,
    /// `kubectl` with the options that reach it.
    pub kubectl: String,
    /// The namespaces of the run that are there.
    pub namespaces: Vec<String>,
    /// The command that removes it.
    pub removal: String,
}
