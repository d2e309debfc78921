//! `labproof judge` and `labproof report`.

use std::fs;
use std::io::{self, BufReader, Read};
use std::path::Path;

use labproof::judge::report_of_recording;
use labproof::report::json;
use labproof::scenario;
use labproof::timeline;

use super::args::{JudgeArgs, ReportArgs};
use super::failure::Failure;
use super::run::{destinations, finish};
use super::terminal::Terminal;

pub(crate) fn judge(args: &JudgeArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let destinations = destinations(&args.report)?;
    let scenario = scenario::load(&args.scenario)?;
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", args.timeline.display()));
    let file = fs::File::open(&args.timeline).map_err(|error| named(&error))?;
    let entries = timeline::read(BufReader::new(file)).map_err(|error| named(&error))?;
    let report = report_of_recording(&scenario, &entries, &args.timeline).map_err(|error| named(&error))?;
    finish(&report, &destinations, terminal)
}

pub(crate) fn report(args: &ReportArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let destinations = destinations(&args.report)?;
    let named = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", args.file.display()));
    let bytes = read(&args.file).map_err(|error| named(&error))?;
    finish(&json::read(&bytes).map_err(|error| named(&error))?, &destinations, terminal)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = fs::read(file)?;
    }
    Ok(bytes)
}
