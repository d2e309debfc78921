//! The real arm as it was recorded: `recordings/VERSION/CASE.jsonl.gz`, written by `scripts/record-conformance`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use kubesim::Version;
use labproof::timeline::{self, Entry, Observation};

use crate::case::Case;

const FOLDER: &str = "tests/conformance/recordings";
/// The version of which there is a recording of every case.
const WHOLE: &str = "v1.37";

/// A case on a real cluster.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// The minor version, as the folder is named.
    pub(crate) version: String,
    /// The case's name.
    pub(crate) case: String,
    path: PathBuf,
}

impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.case)
    }
}

impl Recording {
    /// Its timeline.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        read(BufReader::new(GzDecoder::new(File::open(&self.path).expect("the recording can be read"))), &self.path)
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads a timeline.
pub(crate) fn read(input: impl std::io::BufRead, path: &Path) -> Vec<Entry> {
    timeline::read(input).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The version of the cluster that a timeline was recorded on.
pub(crate) fn version(entries: &[Entry]) -> Version {
    let Some(Observation::Begun(begun)) = entries.first().map(|entry| &entry.what) else { panic!("a timeline has a head") };
    begun.kubernetes.parse().expect("the version is one that can be simulated")
}

/// All recordings, by version and case.
pub(crate) fn all() -> Vec<Recording> {
    let mut recordings = Vec::new();
    for folder in children(Path::new(FOLDER)) {
        let version = name(&folder).to_owned();
        for path in children(&folder) {
            let case = name(&path).strip_suffix(".jsonl.gz").expect("recordings are named CASE.jsonl.gz").to_owned();
            recordings.push(Recording { version: version.clone(), case, path });
        }
    }
    recordings
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of recordings can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder of recordings can be read").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("recordings have names")
}

/// Every case was recorded, and every recording is of a case.
pub(crate) fn covers(cases: &[Case], recordings: &[Recording]) -> Result<(), String> {
    let cases: BTreeSet<&str> = cases.iter().map(Case::name).collect();
    let recorded = recordings.iter().filter(|recording| recording.version == WHOLE).map(|recording| recording.case.as_str());
    let recorded: BTreeSet<&str> = recorded.collect();
    let missing: Vec<_> = cases.difference(&recorded).collect();
    let unknown: Vec<_> = recordings.iter().filter(|recording| !cases.contains(recording.case.as_str())).collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(format!("not recorded on {WHOLE}: {missing:?}; recorded, but no case: {unknown:?}; `scripts/record-conformance` records"))
}
