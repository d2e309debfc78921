//! What labproof remembers of the things it makes, so that what a killed run left behind can be found: a directory for each
//! cluster, written before the cluster is made, with a lock that is held as long as the run lives.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};

use super::ProvisionError;

/// The version of the record; one with another version is left alone.
const RECORD_VERSION: u32 = 1;

/// The file of a record.
const RECORD: &str = "record.json";

/// The directory in which labproof remembers what it has made.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

/// What is remembered of a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The id of the run that made it.
    pub run: String,
    /// When it was about to be made, RFC 3339, UTC.
    pub made: String,
    /// What it is.
    pub subject: Subject,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A kind cluster of the record's name.
    Kind(KindRecord),
    /// Namespaces with the run's id as their label, in a kubeconfig context.
    Namespaces(NamespacesRecord),
}

/// What is remembered of the namespaces of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacesRecord {
    /// The context's name.
    pub context: String,
    /// The kubeconfig file that was named; none if it was the user's own.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Which cluster it is: the uid of its namespace `kube-system`, where that may be read. Another kubeconfig may have a context of
    /// the same name.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Whether they were kept on purpose.
    #[serde(default)]
    pub kept: bool,
}

impl NamespacesRecord {
    /// The options of `clean` that look there.
    pub(crate) fn clean_options(&self) -> String {
        let kubeconfig = self.kubeconfig.as_ref().map(|file| format!(" --kubeconfig {}", file.display())).unwrap_or_default();
        format!("--context {}{kubeconfig}", self.context)
    }
}

/// What is remembered of a kind cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindRecord {
    /// How it was asked for.
    pub wish: KindWish,
    /// How far it has come.
    pub stage: Stage,
    /// The SHA-256 of the archive of stand-in images that was loaded last.
    pub loaded: Option<String>,
}

/// How a kind cluster was asked for. A kept cluster is used again for an equal wish only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindWish {
    /// The node image; kind's default if none.
    pub node_image: Option<String>,
    /// How many nodes.
    pub nodes: u32,
    /// The text of the user's kind config.
    pub config: Option<String>,
}

/// How far a kind cluster has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is being made, or its making was cut off.
    Creating,
    /// A run uses it, or was killed while it did.
    InUse,
    /// It was kept on purpose.
    Kept,
}

/// Something of labproof's, locked against other runs.
#[derive(Debug)]
pub struct Claim {
    name: String,
    dir: PathBuf,
    lock: File,
    record: Option<Record>,
}

/// What is not to be had from the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither an option nor the environment says where it is.
    #[error("there is no place for labproof's state: neither LABPROOF_STATE_DIR nor XDG_STATE_HOME nor HOME is set")]
    NoPlace,
    /// A running labproof holds it.
    #[error("`{0}` is in use by another labproof")]
    InUse(String),
    /// It is there already.
    #[error("`{0}` is in labproof's records already")]
    Exists(String),
    /// The system refuses.
    #[error("cannot {attempt} {path}: {source}", path = path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record that this version cannot read.
    #[error("the record {path} cannot be read: {problem}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<StateError> for ProvisionError {
    fn from(error: StateError) -> Self {
        let hint = match &error {
            StateError::InUse(_) => "wait for it to end, or choose another name",
            StateError::Exists(_) => {
                "`labproof clean --kept` removes it; `--reuse` uses a kept cluster again if it is like what is asked for"
            }
            StateError::NoPlace | StateError::Io { .. } => "name a directory that can be written to in LABPROOF_STATE_DIR",
            StateError::Unreadable { .. } => "remove its directory after looking whether what it names is gone",
        };
        Self::new(error.to_string(), hint)
    }
}

fn io(attempt: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { attempt, path, source }
}

impl Record {
    /// A record of what is about to be made.
    pub fn new(run: &str, made: String, subject: Subject) -> Self {
        Self { version: RECORD_VERSION, run: run.to_owned(), made, subject }
    }
}

impl StateDir {
    /// The state directory at this place; it need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The usual place, from the variables of the environment: `LABPROOF_STATE_DIR`, else `labproof` in `XDG_STATE_HOME`, else
    /// `.local/state/labproof` in `HOME`.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, StateError> {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        path("LABPROOF_STATE_DIR")
            .or_else(|| path("XDG_STATE_HOME").map(|dir| dir.join("labproof")))
            .or_else(|| path("HOME").map(|dir| dir.join(".local/state/labproof")))
            .map(Self::new)
            .ok_or(StateError::NoPlace)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The names of all that is remembered, sorted.
    pub fn names(&self) -> Result<Vec<String>, StateError> {
        let dir = self.clusters();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io("list", &dir))?,
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(io("list", &dir))?;
        names.sort();
        Ok(names)
    }

    /// Remembers something new that is about to be made, and locks it.
    pub fn claim(&self, name: &str, record: Record) -> Result<Claim, StateError> {
        let dir = self.clusters().join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io("create", &dir))?;
        let mut claim = self.lock(name)?;
        if claim.record.is_some() {
            return Err(StateError::Exists(name.to_owned()));
        }
        claim.write(record)?;
        Ok(claim)
    }

    /// Locks something that is remembered. Nothing if it has just been removed.
    pub fn take(&self, name: &str) -> Result<Option<Claim>, StateError> {
        match self.lock(name) {
            Err(StateError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// What is remembered of something that a run may hold; nothing if there is no record that can be read.
    pub(crate) fn look(&self, name: &str) -> Option<Record> {
        read_record(&self.clusters().join(name).join(RECORD)).ok().flatten()
    }

    fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    fn lock(&self, name: &str) -> Result<Claim, StateError> {
        let dir = self.clusters().join(name);
        let path = dir.join("lock");
        loop {
            let lock =
                File::options().create(true).truncate(false).write(true).read(true).open(&path).map_err(io("open", &path))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StateError::InUse(name.to_owned())),
                Err(TryLockError::Error(source)) => return Err(io("lock", &path)(source)),
            }
            // Its holder may have removed the file between our opening and our locking it: then we hold nothing.
            let held = lock.metadata().map_err(io("look at", &path))?;
            let found = fs::metadata(&path).map_err(io("look at", &path))?;
            if (held.dev(), held.ino()) == (found.dev(), found.ino()) {
                let record = read_record(&dir.join(RECORD))?;
                return Ok(Claim { name: name.to_owned(), dir, lock, record });
            }
        }
    }
}

/// None if there is no record: the run was killed before it wrote it, so it had made nothing.
fn read_record(path: &Path) -> Result<Option<Record>, StateError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io("read", path))?,
    };
    let unreadable = |problem: String| StateError::Unreadable { path: path.to_owned(), problem };
    let record: Record = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    match record.version {
        RECORD_VERSION => Ok(Some(record)),
        other => Err(unreadable(format!("its version is {other}, this labproof knows {RECORD_VERSION}"))),
    }
}

/// Closing the file is not enough: a child that is being started at this moment has it open, too.
impl Drop for Claim {
    fn drop(&mut self) {
        // It is unlocked at the end of this process at the latest.
        let _ = self.lock.unlock();
    }
}

impl Claim {
    /// What it is called: the name of the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is remembered of it; nothing if its run was killed before it made anything.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// What is remembered of it as a kind cluster.
    pub fn kind(&self) -> Option<&KindRecord> {
        match &self.record.as_ref()?.subject {
            Subject::Kind(kind) => Some(kind),
            Subject::Namespaces(_) => None,
        }
    }

    /// What is remembered of it as namespaces in a context.
    pub fn namespaces(&self) -> Option<&NamespacesRecord> {
        match &self.record.as_ref()?.subject {
            Subject::Namespaces(namespaces) => Some(namespaces),
            Subject::Kind(_) => None,
        }
    }

    /// Its kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// A file of its own, removed with it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The lock as the stdin of a child: it is then held until both this process and the child have ended.
    pub(crate) fn lock_as_stdin(&self) -> Result<Stdio, StateError> {
        self.lock.try_clone().map(Stdio::from).map_err(io("share", &self.dir.join("lock")))
    }

    /// Changes what is remembered of a kind cluster.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut KindRecord)) -> Result<(), StateError> {
        let Some(mut record) = self.record.clone() else { return Ok(()) };
        if let Subject::Kind(kind) = &mut record.subject {
            change(kind);
        }
        self.write(record)
    }

    /// Remembers that its namespaces were kept on purpose.
    pub(crate) fn keep_namespaces(&mut self) -> Result<(), StateError> {
        let Some(mut record) = self.record.clone() else { return Ok(()) };
        if let Subject::Namespaces(namespaces) = &mut record.subject {
            namespaces.kept = true;
        }
        self.write(record)
    }

    /// Forgets it: what it was about is gone.
    pub fn forget(self) -> Result<(), StateError> {
        fs::remove_dir_all(&self.dir).map_err(io("remove", &self.dir))
    }

    /// In a way that leaves either the old record or the new one.
    fn write(&mut self, record: Record) -> Result<(), StateError> {
        let path = self.dir.join(RECORD);
        let new = self.dir.join("record.json.new");
        let text = serde_json::to_vec_pretty(&record).map_err(|error| io("write", &path)(error.into()))?;
        fs::write(&new, text).map_err(io("write", &new))?;
        fs::rename(&new, &path).map_err(io("write", &path))?;
        self.record = Some(record);
        Ok(())
    }
}
