//! The cases: scenarios that are run on simulated and on real clusters.

use std::path::{Path, PathBuf};

use labproof::diagnostic;
use labproof::images;
use labproof::plan::Plan;
use labproof::scenario::{self, Scenario};
use workload::Workloads;

/// Where cases are; the first are those of the course.
pub(crate) const FOLDERS: [&str; 2] = ["scenarios/chapter-07", "tests/conformance/cases"];
/// Workload files of the images that only cases use.
pub(crate) const WORKLOADS: &str = "tests/conformance/workloads";

/// A scenario that both arms run.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
}

impl Case {
    pub(crate) fn name(&self) -> &str {
        &self.scenario.name
    }

    /// What it shows, in a sentence.
    pub(crate) fn title(&self) -> &str {
        self.scenario.title.as_deref().unwrap_or_default()
    }

    /// The plan that runs it alone.
    pub(crate) fn plan(&self) -> Plan {
        // What no workload plays is not there on purpose.
        Plan::new(vec![self.scenario.clone()], &|_| true).unwrap_or_else(|wrong| panic!("{}", diagnostic::render(&wrong, false)))
    }
}

/// All cases, by folder and name.
pub(crate) fn all() -> Vec<Case> {
    let files = scenario::find(&FOLDERS.map(PathBuf::from)).expect("the cases are there");
    let loaded = scenario::load_all(&files);
    assert!(!loaded.has_errors(), "{}", diagnostic::render(&loaded.diagnostics, false));
    loaded.scenarios.into_iter().map(|scenario| Case { scenario }).collect()
}

/// The images that exist in all clusters of the comparison.
pub(crate) fn workloads() -> Workloads {
    let mut workloads = images::builtin();
    images::read_directory(Path::new(WORKLOADS), &mut workloads).expect("the workload files can be read");
    workloads
}
