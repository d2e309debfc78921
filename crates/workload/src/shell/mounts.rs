//! Folders that several containers share.

use std::sync::Arc;

use super::files::{FileSystem, Memory};

/// Files in memory, of which some folders are shared with other containers.
#[derive(Debug)]
pub struct Mounts {
    own: Memory,
    /// The deepest first.
    shared: Vec<Mount>,
}

/// A folder that is shared.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Where it is seen: an absolute path.
    pub path: String,
    /// What is seen there.
    pub files: Arc<dyn FileSystem>,
    /// The folder of `files` that is seen; empty for all of them.
    pub within: String,
}

impl Mounts {
    /// A container's own files, and the folders that it shares. What is missing of their paths is made.
    pub fn new(own: Memory, mut shared: Vec<Mount>) -> Self {
        for mount in &mut shared {
            mount.path.truncate(mount.path.trim_end_matches('/').len());
            make_folders(&own, &mount.path);
            make_folders(&*mount.files, &format!("/{}", mount.within));
        }
        shared.sort_by_key(|mount| std::cmp::Reverse(mount.path.len()));
        Self { own, shared }
    }

    /// Whose file it is, under which path.
    fn find(&self, path: &str) -> (&dyn FileSystem, String) {
        for mount in &self.shared {
            if let Some(rest) = path.strip_prefix(&mount.path)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                let within = if mount.within.is_empty() { String::new() } else { format!("/{}", mount.within) };
                return (&*mount.files, within + rest);
            }
        }
        (&self.own, path.to_owned())
    }
}

fn make_folders(files: &dyn FileSystem, path: &str) {
    let ends = path.match_indices('/').map(|(end, _)| end).skip(1).chain([path.len()]);
    for end in ends {
        // What is there already is as good.
        let _ = files.make_folder(&path[..end]);
    }
}

impl FileSystem for Mounts {
    fn read(&self, path: &str) -> Result<String, String> {
        let (files, path) = self.find(path);
        files.read(&path)
    }

    fn write(&self, path: &str, content: &str, append: bool) -> Result<(), String> {
        let (files, path) = self.find(path);
        files.write(&path, content, append)
    }

    fn make_folder(&self, path: &str) -> Result<(), String> {
        let (files, path) = self.find(path);
        files.make_folder(&path)
    }

    fn remove(&self, path: &str) -> Result<(), String> {
        let trimmed = path.trim_end_matches('/');
        if self
            .shared
            .iter()
            .any(|mount| mount.path.strip_prefix(trimmed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        {
            return Err("Device or resource busy".to_owned());
        }
        let (files, path) = self.find(path);
        files.remove(&path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, String> {
        let (files, path) = self.find(path);
        files.list(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_folder_has_the_same_files_at_each_of_its_paths() {
        let shared: Arc<dyn FileSystem> = Arc::new(Memory::empty());
        let mount =
            |path: &str, within: &str| Mount { path: path.to_owned(), files: Arc::clone(&shared), within: within.to_owned() };
        let one = Mounts::new(Memory::default(), vec![mount("/srv/www/", ""), mount("/srv/www/deep", "logs/today")]);
        let other = Mounts::new(Memory::default(), vec![mount("/data", "")]);
        one.write("/srv/www/index.html", "hello", false).unwrap();
        one.write("/srv/www/deep/log", "line", false).unwrap();
        one.write("/tmp/own", "mine", false).unwrap();
        assert_eq!(other.read("/data/index.html").unwrap(), "hello");
        assert_eq!(other.read("/data/logs/today/log").unwrap(), "line");
        assert_eq!(other.list("/data").unwrap(), ["index.html", "logs"]);
        assert!(other.read("/tmp/own").is_err());
        assert_eq!(one.list("/srv").unwrap(), ["www"]);
        assert_eq!(one.remove("/srv").unwrap_err(), "Device or resource busy");
        other.remove("/data/index.html").unwrap();
        assert!(one.read("/srv/www/index.html").is_err());
    }
}
