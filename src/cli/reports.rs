//! The reports of a command: shown, written where they are asked for, and told to the CI.

use std::io;
use std::path::{Path, PathBuf};

use labproof::clock::Clock;
use labproof::exit_code::exit_code;
use labproof::report::{Destination, DestinationError, Report, check_all, console, github, write_all};

use super::args::DestinationArgs;
use super::failure::Failure;
use super::terminal::Terminal;

/// The reports that are asked for, which can be written as far as can be told beforehand.
pub(crate) fn destinations(args: &DestinationArgs) -> Result<Vec<Destination>, Failure> {
    let parsed: Result<Vec<Destination>, String> = args.report.iter().map(|text| text.parse()).collect();
    let destinations = parsed.map_err(Failure::usage)?;
    check_all(&destinations).map_err(|errors| Failure::usage(joined(&errors)))?;
    Ok(destinations)
}

/// Whether no report goes to standard output.
pub(crate) fn stdout_is_free(destinations: &[Destination]) -> bool {
    destinations.iter().all(|destination| destination.file.is_some())
}

/// Shows a finished report as data, writes those that are asked for, and gives its exit code.
pub(crate) fn finish(report: &Report, destinations: &[Destination], terminal: &Terminal) -> Result<u8, Failure> {
    if stdout_is_free(destinations) {
        let palette = terminal.data_palette();
        terminal.data(&if terminal.quiet { console::ending(report, palette) } else { console::full(report, palette) })?;
    }
    write(report, destinations, terminal)?;
    Ok(exit_code(report))
}

/// Writes every report that is asked for; on GitHub, annotations and the step summary too. One that cannot be written does not keep
/// the others from it.
pub(crate) fn write(report: &Report, destinations: &[Destination], terminal: &Terminal) -> Result<(), Failure> {
    let written = write_all(report, destinations, &mut io::stdout().lock()).map_err(|errors| joined(&errors));
    let told = tell_github(report, terminal);
    let problems: Vec<String> = [written, told].into_iter().filter_map(Result::err).collect();
    if problems.is_empty() { Ok(()) } else { Err(Failure::environment(problems.join("\n"))) }
}

/// Writes the reports of a command that did not get as far as to run anything, so that those of the run before are not taken for
/// its own. A wrong command line has none.
pub(crate) fn write_failure(failure: &Failure, destinations: &[Destination], terminal: &Terminal) {
    if let Some(report) = of_failure(failure)
        && let Err(other) = write(&report, destinations, terminal)
    {
        other.show(terminal);
    }
}

/// Annotates on GitHub what is wrong with the files that a command has read.
pub(crate) fn annotate_failure(failure: &Failure, terminal: &Terminal) {
    write_failure(failure, &[], terminal);
}

fn of_failure(failure: &Failure) -> Option<Report> {
    let report = Report::begun(Clock::from_wall_clock().epoch().to_string());
    match failure {
        Failure::Diagnostics(diagnostics) => Some(Report { diagnostics: diagnostics.clone(), ..report }),
        Failure::Message { code: labproof::exit_code::NOTHING_SELECTED, .. } => Some(report),
        Failure::Message { code: labproof::exit_code::ENVIRONMENT, text, .. } => {
            Some(Report { errors: vec![text.clone()], ..report })
        }
        Failure::Message { .. } => None,
    }
}

fn tell_github(report: &Report, terminal: &Terminal) -> Result<(), String> {
    if std::env::var_os("GITHUB_ACTIONS").is_none() {
        return Ok(());
    }
    let workspace = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    terminal.tell(&github::render(report, workspace.as_deref()));
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY") else { return Ok(()) };
    github::append_summary(report, Path::new(&file)).map_err(|error| format!("the step summary cannot be written: {error}"))
}

fn joined(errors: &[DestinationError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
