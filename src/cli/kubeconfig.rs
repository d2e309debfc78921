//! A kubeconfig file that is there as long as what it leads to.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use labproof::exit_code;

use super::failure::Failure;

/// The first line of such a file. A file without it is somebody else's, most likely the user's own kubeconfig.
const MARK: &str = "# Written by `labproof sim serve`, which removes it when it ends.\n";

/// Who may do what with it: its owner alone reads and writes it, for it has a credential.
const MODE: u32 = 0o600;

/// The file; it is removed when this is dropped.
pub(crate) struct KubeconfigFile {
    path: PathBuf,
    text: String,
}

impl KubeconfigFile {
    /// Writes it. A file that is there already is replaced only if labproof wrote it.
    pub(crate) fn write(path: &Path, kubeconfig: &str) -> Result<Self, Failure> {
        let path = std::path::absolute(path).map_err(|error| not_written(path, &error))?;
        match fs::read(&path) {
            Ok(found) if !found.starts_with(MARK.as_bytes()) => return Err(not_ours(&path)),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(not_written(&path, &error)),
            Ok(_) | Err(_) => {}
        }
        let file = Self { path, text: format!("{MARK}{kubeconfig}") };
        write_privately(&file.path, &file.text).map_err(|error| not_written(&file.path, &error))?;
        Ok(file)
    }

    /// Its path, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for KubeconfigFile {
    fn drop(&mut self) {
        // Another server may have been told to use the same file since.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write_privately(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(MODE).open(path)?;
    // One that was there already keeps the mode that it has.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())
}

fn not_ours(path: &Path) -> Failure {
    let text = format!("{} is there already, and labproof did not write it", path.display());
    let hint = "name another file with --kubeconfig, or leave the option out".to_owned();
    Failure::Message { code: exit_code::USAGE, text, hint: Some(hint) }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    let text = format!("the kubeconfig file {} cannot be written: {error}", path.display());
    let hint = "name a file in a folder that can be written to with --kubeconfig".to_owned();
    Failure::Message { code: exit_code::ENVIRONMENT, text, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(result: Result<KubeconfigFile, Failure>) -> (u8, String) {
        match result {
            Err(Failure::Message { code, text, .. }) => (code, text),
            Err(Failure::Diagnostics(_)) | Ok(_) => panic!("this must be refused in words"),
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_there_as_long_as_it_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let file = KubeconfigFile::write(&path, "a: b\n").unwrap_or_else(|_| panic!("it can be written"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{MARK}a: b\n"));
        assert_eq!(mode(&path), 0o600);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_server_left_is_replaced_and_what_another_wrote_since_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        fs::write(&path, MARK).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let first = KubeconfigFile::write(&path, "first").unwrap_or_else(|_| panic!("it can be written"));
        let second = KubeconfigFile::write(&path, "second").unwrap_or_else(|_| panic!("it can be written"));
        assert_eq!(mode(&path), 0o600);
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{MARK}second"));
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        fs::write(&path, "apiVersion: v1\n").unwrap();
        let (code, text) = wrong(KubeconfigFile::write(&path, "a: b\n"));
        assert_eq!(code, exit_code::USAGE);
        assert!(text.contains("labproof did not write it"), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "apiVersion: v1\n");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (code, text) = wrong(KubeconfigFile::write(&dir.path().join("no/config"), "a: b\n"));
        assert_eq!(code, exit_code::ENVIRONMENT);
        assert!(text.contains("/no/config cannot be written: No such file"), "{text}");
    }
}
