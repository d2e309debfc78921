//! Where the timelines of a run are recorded if nobody says where: a folder a run, of which the newest are kept.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use labproof::clock::Clock;
use labproof::cluster::new_run_id;
use labproof::cluster::state::StateDir;

/// So many runs can be looked at again.
const KEPT: usize = 20;

/// The folder of this run. It is locked as long as this lives, so that no other run takes it for an old one.
pub(crate) struct OwnTimelines {
    folder: PathBuf,
    _lock: File,
}

impl OwnTimelines {
    /// Makes it, and removes those of the oldest runs.
    ///
    /// # Errors
    /// If it cannot be made; the error names it.
    pub(crate) fn create(state: &StateDir) -> Result<Self, String> {
        let parent = state.path().join("timelines");
        // Ordered as the runs are.
        let begun = Clock::from_wall_clock().epoch().to_string().replace(':', "");
        let folder = parent.join(format!("{begun}-{}", new_run_id()));
        let failed = |error: io::Error| format!("{} cannot be made: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::open(&folder).and_then(|lock| lock.lock_shared().map(|()| lock)).map_err(failed)?;
        remove_oldest(&parent);
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What cannot be removed is left: it is in nobody's way.
fn remove_oldest(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders.iter().rev().skip(KEPT) {
        if File::open(folder).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(state: &StateDir) -> usize {
        fs::read_dir(state.path().join("timelines")).unwrap().count()
    }

    #[test]
    fn each_run_has_its_own_and_the_newest_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path());
        let first = OwnTimelines::create(&state).unwrap();
        let mut last = first.folder().to_owned();
        for _ in 0..KEPT + 5 {
            let next = OwnTimelines::create(&state).unwrap();
            assert_ne!(next.folder(), last);
            last = next.folder().to_owned();
        }
        assert_eq!(folders(&state), KEPT + 1, "the first run still goes on");
        assert!(first.folder().exists() && last.exists());
        drop(first);
        drop(OwnTimelines::create(&state).unwrap());
        assert_eq!(folders(&state), KEPT);
    }

    #[test]
    fn a_place_that_cannot_be_used_is_named() {
        let problem = OwnTimelines::create(&StateDir::new("/proc/labproof")).err().unwrap();
        assert!(problem.starts_with("/proc/labproof/timelines/"), "{problem}");
    }
}
