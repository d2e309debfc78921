//! The exit codes of the program: an interface that scripts and CI rely on.
//!
//! One run can go wrong in several ways. The worst decides: interrupted, then [`ENVIRONMENT`], then [`FAIL`], then [`INCONCLUSIVE`]
//! (the lattice of [`Outcome`]). So 1 promises that everything around the expectations worked and the material is wrong, and a
//! failed expectation whose teardown failed too is 3: until the environment is in order, the failure may be the environment's.
//! Both stand in every report.

use crate::report::Report;
use crate::verdict::Outcome;

/// Every expectation of everything that was selected was met.
pub const PASS: u8 = 0;
/// An expectation was not met, or the API server refused an action for good: it is invalid, or what it is about does not exist.
pub const FAIL: u8 = 1;
/// The command line, a scenario or another file is wrong; nothing was run.
pub const USAGE: u8 = 2;
/// The environment, or labproof itself, failed: provisioning, an action that was not answered, the teardown, a report that could not be written.
pub const ENVIRONMENT: u8 = 3;
/// No scenario was selected.
pub const NOTHING_SELECTED: u8 = 4;
/// Something cannot be told, because nothing was observed when it mattered; nothing failed.
pub const INCONCLUSIVE: u8 = 5;
/// A signal ended the run (128 + SIGINT, as shells have it).
pub const INTERRUPTED: u8 = 130;

/// The list for `--help`.
pub const HELP: &str = "\
Exit codes:
  0    every expectation was met
  1    an expectation was not met, or an action was refused
  2    the command line or a scenario is wrong; nothing was run
  3    the environment failed: provisioning, an action without an answer, the teardown, a report that could not be written
  4    no scenario was selected
  5    inconclusive: nothing was observed when it mattered
  130  interrupted by a signal
If several are true, the first of 130, 3, 1, 5 is given.";

/// The exit code that a report stands for. It is [`PASS`] where the report's outcome is, and only there; [`USAGE`] where files are
/// wrong, because then nothing was run. A wrong command line leaves no report.
pub fn exit_code(report: &Report) -> u8 {
    match report.outcome() {
        _ if !report.diagnostics.is_empty() => USAGE,
        _ if report.interrupted => INTERRUPTED,
        Outcome::Error => ENVIRONMENT,
        Outcome::Fail => FAIL,
        Outcome::Inconclusive if report.scenarios.is_empty() => NOTHING_SELECTED,
        Outcome::Inconclusive => INCONCLUSIVE,
        Outcome::Pass => PASS,
    }
}
