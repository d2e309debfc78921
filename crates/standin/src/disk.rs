//! The container's real files.

use std::{fs, io, path::Path};

use workload::FileSystem;

/// The files of the container: shared by all that runs in it.
#[derive(Debug)]
pub(crate) struct Disk;

impl FileSystem for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| words(&error))
    }

    fn write(&self, path: &str, content: &str, append: bool) -> Result<(), String> {
        let mut options = fs::OpenOptions::new();
        let opened = options.create(true).write(true).append(append).truncate(!append).open(path);
        opened.and_then(|mut file| io::Write::write_all(&mut file, content.as_bytes())).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "nonexistent directory".to_owned(),
            _ => words(&error),
        })
    }

    fn make_folder(&self, path: &str) -> Result<(), String> {
        fs::create_dir(path).map_err(|error| words(&error))
    }

    fn remove(&self, path: &str) -> Result<(), String> {
        let removed = if Path::new(path).is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.map_err(|error| words(&error))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(path).map_err(|error| words(&error))?;
        let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }
}

/// The error without its number, as commands print it.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
