//! Keeps a scenario's timeline in memory and on disk while it grows.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::timeline::{Entry, write_entry};

/// A timeline that grows. A disk that fails costs the file, never the run.
pub(super) struct Recording {
    pub(super) entries: Vec<Entry>,
    file: Option<File>,
    path: PathBuf,
    problem: Option<String>,
}

impl Recording {
    /// Begins the file, in a folder that is made if need be; without a folder the timeline is in memory only.
    pub(super) fn create(folder: Option<&Path>, scenario: &str) -> Self {
        let Some(folder) = folder else {
            return Self { entries: Vec::new(), file: None, path: PathBuf::new(), problem: None };
        };
        let path = folder.join(format!("{scenario}.jsonl"));
        let created = fs::create_dir_all(folder).and_then(|()| File::create(&path));
        let problem =
            created.as_ref().err().map(|error| format!("the timeline could not be written to {}: {error}", path.display()));
        Self { entries: Vec::new(), file: created.ok(), path, problem }
    }

    /// Appends an entry and gives its position. Its time is not before that of the entry above.
    pub(super) fn append(&mut self, mut entry: Entry) -> usize {
        if let Some(last) = self.entries.last() {
            entry.t = entry.t.max(last.t);
        }
        if let Some(file) = &mut self.file
            && let Err(error) = write_line(file, &entry)
        {
            self.problem = Some(format!("the timeline could not be written on to {}: {error}", self.path.display()));
            self.file = None;
        }
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// Where the timeline is, if it is whole.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.is_some().then_some(&self.path)
    }

    /// Why it is not.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

/// One write a line, so that a killed run leaves whole lines.
fn write_line(file: &mut File, entry: &Entry) -> io::Result<()> {
    let mut line = Vec::new();
    write_entry(&mut line, entry)?;
    file.write_all(&line)
}
