//! Which scenarios a command is about, and the commands that only look at them.

use std::path::{Path, PathBuf};
use std::slice;

use labproof::diagnostic::{self, Diagnostic};
use labproof::exit_code;
use labproof::plan::Plan;
use labproof::report::escaped;
use labproof::scenario::{self, Scenario};
use serde::Serialize;
use workload::Workloads;

use super::args::{LookArgs, LookOutput, SelectArgs, WorkloadArgs};
use super::failure::Failure;
use super::reports;
use super::terminal::Terminal;

/// Where scenarios are looked for if no path is given.
const DEFAULT_FOLDER: &str = "scenarios";

/// Scenarios with this tag must fail; they are only run when they are named.
const NEGATIVE: &str = "negative";

/// The workloads that are known: those that labproof carries, and those of a folder, which win.
pub(crate) fn workloads(args: &WorkloadArgs) -> Result<Workloads, Failure> {
    let mut workloads = labproof::images::builtin();
    if let Some(folder) = &args.workloads {
        let wrong = |error: labproof::images::ImageError| vec![Diagnostic::about_file(folder, error.to_string(), None)];
        labproof::images::read_directory(folder, &mut workloads).map_err(wrong)?;
    }
    Ok(workloads)
}

/// The plan of the selected scenarios. Warnings are shown.
pub(crate) fn load(args: &SelectArgs, workloads: &Workloads, terminal: &Terminal) -> Result<Plan, Failure> {
    let by_default = args.paths.is_empty();
    let paths = if by_default { vec![PathBuf::from(DEFAULT_FOLDER)] } else { args.paths.clone() };
    if by_default && !Path::new(DEFAULT_FOLDER).is_dir() {
        return Err(Failure::nothing_selected(
            format!("there is no folder `{DEFAULT_FOLDER}` here"),
            "name the scenario files to use",
        ));
    }
    let is_empty = |path: &&PathBuf| scenario::find(slice::from_ref(path)).is_ok_and(|files| files.is_empty());
    if let Some(empty) = paths.iter().find(is_empty) {
        let text = format!("there is no scenario in {}", empty.display());
        return Err(Failure::nothing_selected(text, "a scenario's file name ends in `.yaml` or `.yml`"));
    }
    let loaded = scenario::load_all(&scenario::find(&paths)?);
    if loaded.has_errors() {
        // What is wrong with the manifests of the other scenarios is told too.
        let of_manifests = Plan::new(loaded.scenarios, &|_| true).err().unwrap_or_default();
        return Err(loaded.diagnostics.into_iter().chain(of_manifests).collect::<Vec<_>>().into());
    }
    let mut warnings = loaded.diagnostics;
    let is_selected = |scenario: &Scenario| is_filtered(scenario, &args.filter) && !(by_default && is_negative(scenario));
    let selected: Vec<_> = loaded.scenarios.into_iter().filter(is_selected).collect();
    if selected.is_empty() {
        let named: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let filters = if args.filter.is_empty() { String::new() } else { format!(" that is like {}", args.filter.join(" or ")) };
        let text = format!("there is no scenario in {}{filters}", named.join(", "));
        return Err(Failure::nothing_selected(text, "see what there is with `labproof list`"));
    }
    let plan = Plan::new(selected, &|image| workloads.get(image).is_some())?;
    warnings.extend(plan.warnings.iter().cloned());
    if !warnings.is_empty() {
        terminal.tell(&diagnostic::render(&warnings, terminal.notes_in_color()));
    }
    Ok(plan)
}

fn is_filtered(scenario: &Scenario, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|text| scenario.name.contains(text.as_str()) || scenario.tags.contains(text))
}

fn is_negative(scenario: &Scenario) -> bool {
    scenario.tags.iter().any(|tag| tag == NEGATIVE)
}

pub(crate) fn plan(args: &LookArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let plan = load(&args.select, &workloads(&args.select.workloads)?, terminal)?;
    match args.output {
        LookOutput::Text => terminal.data(&plan.to_string())?,
        LookOutput::Json => json(&plan, terminal)?,
    }
    Ok(exit_code::PASS)
}

fn json(data: &impl Serialize, terminal: &Terminal) -> Result<(), Failure> {
    terminal.data(&(serde_json::to_string_pretty(data).map_err(Failure::environment)? + "\n"))
}

pub(crate) fn lint(args: &SelectArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let plan = workloads(&args.workloads).and_then(|workloads| load(args, &workloads, terminal));
    let plan = plan.inspect_err(|failure| reports::annotate_failure(failure, terminal))?;
    let count = plan.scenarios.len();
    terminal.note(&format!("{count} scenario{} checked, no error\n", if count == 1 { "" } else { "s" }));
    Ok(exit_code::PASS)
}

/// A line of `labproof list`.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    title: Option<&'a str>,
    tags: &'a [String],
    file: &'a Path,
    nodes: u32,
}

impl<'a> Listed<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let Scenario { name, title, tags, file, nodes, .. } = scenario;
        Self { name, title: title.as_deref(), tags, file, nodes: *nodes }
    }

    fn text(&self, width: usize) -> String {
        let title = self.title.map_or_else(|| self.file.display().to_string(), str::to_owned);
        let tags = if self.tags.is_empty() { String::new() } else { format!("  [{}]", self.tags.join(", ")) };
        format!("{:width$}  {}\n", self.name, escaped(&format!("{title}{tags}")))
    }
}

pub(crate) fn list(args: &LookArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let plan = load(&args.select, &workloads(&args.select.workloads)?, terminal)?;
    let listed: Vec<_> = plan.scenarios.iter().map(|planned| Listed::new(&planned.scenario)).collect();
    match args.output {
        LookOutput::Text => {
            let width = listed.iter().map(|one| one.name.len()).max().unwrap_or(0);
            for one in &listed {
                terminal.data(&one.text(width))?;
            }
        }
        LookOutput::Json => json(&listed, terminal)?,
    }
    Ok(exit_code::PASS)
}
