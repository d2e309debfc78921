//! `labproof judge` and `labproof report`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use labproof::judge::report_of_recording;
use labproof::report::json;
use labproof::scenario;
use labproof::timeline;

use super::args::{JudgeArgs, ReportArgs};
use super::failure::Failure;
use super::reports::{destinations, finish};
use super::terminal::Terminal;

pub(crate) fn judge(args: &JudgeArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let destinations = destinations(&args.report)?;
    let scenario = scenario::load(&args.scenario)?;
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", args.timeline.display()));
    let reader = open(&args.timeline).map_err(|error| named(&error))?;
    let entries = timeline::read(reader).map_err(|error| named(&error))?;
    let report = report_of_recording(&scenario, &entries, &args.timeline).map_err(|error| named(&error))?;
    finish(&report, &destinations, terminal)
}

pub(crate) fn report(args: &ReportArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let destinations = destinations(&args.report)?;
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", args.file.display()));
    let mut bytes = Vec::new();
    open(&args.file).and_then(|mut reader| reader.read_to_end(&mut bytes)).map_err(|error| named(&error))?;
    finish(&json::read(&bytes).map_err(|error| named(&error))?, &destinations, terminal)
}

/// The file, or standard input for `-`.
fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    if file == Path::new("-") { Ok(Box::new(io::stdin().lock())) } else { Ok(Box::new(BufReader::new(fs::File::open(file)?))) }
}
