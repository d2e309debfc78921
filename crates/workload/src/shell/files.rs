//! The files that commands see.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A container's files, shared by its program and the commands that are executed beside it. Paths are absolute. Errors are in the
/// words of busybox, such as `No such file or directory`.
pub trait FileSystem: Debug + Send + Sync {
    /// The content of a file.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;

    /// Makes a file of this content, or appends to the one that is there.
    ///
    /// # Errors
    /// If its folder does not exist, or it cannot be written.
    fn write(&self, path: &str, content: &str, append: bool) -> Result<(), String>;

    /// Makes a folder.
    ///
    /// # Errors
    /// If something is there already, or its own folder does not exist.
    fn make_folder(&self, path: &str) -> Result<(), String>;

    /// Removes a file, or a folder with all that is in it.
    ///
    /// # Errors
    /// If there is nothing, or it cannot be removed.
    fn remove(&self, path: &str) -> Result<(), String>;

    /// The names in a folder, in their order.
    ///
    /// # Errors
    /// If it is no folder.
    fn list(&self, path: &str) -> Result<Vec<String>, String>;
}

const MISSING: &str = "No such file or directory";

/// Files in memory.
#[derive(Debug)]
pub struct Memory {
    /// By path without a slash at the end; a folder has no content.
    entries: Mutex<BTreeMap<String, Option<String>>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with(&BTreeMap::new())
    }
}

impl Memory {
    /// The usual folders, and these files by their paths.
    pub fn with(files: &BTreeMap<String, String>) -> Self {
        let mut entries: BTreeMap<String, Option<String>> =
            ["", "/bin", "/dev", "/etc", "/home", "/root", "/tmp", "/usr", "/var"].map(|path| (path.to_owned(), None)).into();
        for (path, content) in files {
            let path = trimmed(path);
            for (end, _) in path.match_indices('/') {
                entries.insert(path[..end].to_owned(), None);
            }
            entries.insert(path.to_owned(), Some(content.clone()));
        }
        Self { entries: Mutex::new(entries) }
    }

    /// A folder without any files.
    pub fn empty() -> Self {
        Self { entries: Mutex::new([(String::new(), None)].into()) }
    }

    /// A map that nobody can leave in a bad state.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSystem for Memory {
    fn read(&self, path: &str) -> Result<String, String> {
        match self.entries().get(trimmed(path)) {
            None => Err(MISSING.to_owned()),
            Some(None) => Err("Is a directory".to_owned()),
            Some(Some(content)) => Ok(content.clone()),
        }
    }

    fn write(&self, path: &str, content: &str, append: bool) -> Result<(), String> {
        let path = trimmed(path);
        let mut entries = self.entries();
        if entries.get(folder(path)) != Some(&None) {
            return Err("nonexistent directory".to_owned());
        }
        match entries.get_mut(path) {
            Some(None) => Err("Is a directory".to_owned()),
            Some(Some(old)) if append => {
                old.push_str(content);
                Ok(())
            }
            _ => {
                entries.insert(path.to_owned(), Some(content.to_owned()));
                Ok(())
            }
        }
    }

    fn make_folder(&self, path: &str) -> Result<(), String> {
        let path = trimmed(path);
        let mut entries = self.entries();
        if entries.contains_key(path) {
            return Err("File exists".to_owned());
        }
        if entries.get(folder(path)) != Some(&None) {
            return Err(MISSING.to_owned());
        }
        entries.insert(path.to_owned(), None);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), String> {
        let path = trimmed(path);
        let inside = format!("{path}/");
        let mut entries = self.entries();
        if entries.remove(path).is_none() {
            return Err(MISSING.to_owned());
        }
        entries.retain(|other, _| !other.starts_with(&inside));
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, String> {
        let path = trimmed(path);
        let entries = self.entries();
        match entries.get(path) {
            Some(None) => {
                let inside = entries.keys().filter(|other| !other.is_empty() && folder(other) == path);
                Ok(inside.map(|other| other[path.len() + 1..].to_owned()).collect())
            }
            Some(Some(_)) => Err("Not a directory".to_owned()),
            None => Err(MISSING.to_owned()),
        }
    }
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// The folder that a path lies in.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
