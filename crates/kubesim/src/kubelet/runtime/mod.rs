//! The container runtime: sandboxes, containers, and the programs in them.

mod exec;
mod network;
mod process;
mod stop;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::Notify;
use workload::{FileSystem, Memory, Process, Start};

use crate::node_api::ContainerLog;

pub(super) use exec::ExecError;
pub(super) use network::NoAnswer;
pub(super) use process::{FolderMount, NODE_MEMORY, NewContainer};

/// The exit codes that the runtime gives itself.
const KILLED: i32 = 137;
const START_FAILED: i32 = 128;

/// The containers of one Pod as they are.
#[derive(Debug, Default)]
pub(super) struct PodRuntime {
    pub(super) sandbox: Option<Sandbox>,
    /// In the order in which they were made.
    instances: Vec<Instance>,
    /// When all containers were stopped to start anew.
    restarted: Option<Duration>,
    /// The folders of its `emptyDir` volumes, which last as long as the Pod does.
    folders: BTreeMap<String, Arc<Memory>>,
}

/// What the containers of a Pod share: its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sandbox {
    pub(super) ip: String,
    pub(super) ready: bool,
}

/// One container, from its making to its removal.
#[derive(Debug)]
struct Instance {
    record: Record,
    /// What it was started with; commands beside its program have the same environment and files.
    start: Start,
    process: Option<Process>,
    log: ContainerLog,
    /// Tells the task that drives the process to look anew.
    wake: Arc<Notify>,
    memory_limit: u64,
    /// The program has exited with this code; the runtime knows it at this time.
    ending: Option<(Duration, u8)>,
}

/// What the runtime says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) name: String,
    /// As the Pod wrote it.
    pub(super) image: String,
    pub(super) restart_count: i32,
    pub(super) state: State,
}

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs, since then.
    Running(Duration),
    /// It has ended.
    Exited(Exit),
}

/// How a container ended (containerd `internal/cri/server/container_status.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// Nothing if it could not be started.
    pub(super) started: Option<Duration>,
    pub(super) finished: Duration,
    pub(super) code: i32,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
}

/// What the runtime says of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuntimeStatus {
    pub(super) sandbox: Option<Sandbox>,
    /// In the order in which they were made.
    pub(super) containers: Vec<Record>,
    restarted: Option<Duration>,
}

impl RuntimeStatus {
    /// The newest container of a name, unless it ended before all containers were to start anew.
    pub(super) fn current(&self, name: &str) -> Option<&Record> {
        let is_over = |record: &Record| record.exit().is_some_and(|exit| self.restarted.is_some_and(|at| exit.finished <= at));
        self.newest(name).filter(|record| !is_over(record))
    }

    /// The newest container of a name.
    pub(super) fn newest(&self, name: &str) -> Option<&Record> {
        self.named(name).next()
    }

    /// The containers of a name, the newest first.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Record> {
        self.containers.iter().rev().filter(move |record| record.name == name)
    }

    /// The newest end of a container of a name.
    pub(super) fn newest_exit(&self, name: &str) -> Option<&Exit> {
        self.named(name).find_map(Record::exit)
    }
}

impl Record {
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    pub(super) fn exit(&self) -> Option<&Exit> {
        match &self.state {
            State::Running(_) => None,
            State::Exited(exit) => Some(exit),
        }
    }

    /// The ID as statuses show it.
    pub(super) fn full_id(&self) -> String {
        format!("containerd://{}", self.id)
    }
}

impl PodRuntime {
    /// All there is, as a relist sees it.
    pub(super) fn status(&self) -> RuntimeStatus {
        let containers = self.instances.iter().map(|instance| instance.record.clone()).collect();
        RuntimeStatus { sandbox: self.sandbox.clone(), containers, restarted: self.restarted }
    }

    /// Has all containers, which have ended, start anew, whatever their restart policies.
    pub(super) fn restart_all(&mut self, now: Duration) {
        self.restarted = Some(now);
    }

    /// The IDs of the containers that run, by name.
    pub(super) fn running(&self) -> Vec<(String, String)> {
        let running = self.instances.iter().filter(|instance| instance.record.is_running());
        running.map(|instance| (instance.record.name.clone(), instance.record.id.clone())).collect()
    }

    /// The log of a container, with or without the ID's scheme.
    pub(super) fn log(&self, id: &str) -> Option<ContainerLog> {
        let id = id.strip_prefix("containerd://").unwrap_or(id);
        self.instances.iter().find(|instance| instance.record.id == id).map(|instance| instance.log.clone())
    }

    /// The folder of an `emptyDir` volume.
    fn folder(&mut self, volume: &str) -> Arc<Memory> {
        Arc::clone(self.folders.entry(volume.to_owned()).or_insert_with(|| Arc::new(Memory::empty())))
    }

    /// The content of a file of a container.
    pub(super) fn file(&self, id: &str, path: &str) -> Option<String> {
        self.instances.get(self.find(id)?)?.start.file_system.read(path).ok()
    }

    /// The files of the containers that run, by the names of these.
    pub(super) fn file_systems(&self) -> Vec<(String, Arc<dyn FileSystem>)> {
        let running = self.instances.iter().filter(|instance| instance.record.is_running());
        running.map(|instance| (instance.record.name.clone(), Arc::clone(&instance.start.file_system))).collect()
    }

    /// Removes the ended containers of a name but the newest `keep`. Whether there were any.
    pub(super) fn remove_ended(&mut self, name: &str, keep: usize) -> bool {
        let has_ended = |instance: &Instance| instance.record.name == name && !instance.record.is_running();
        let mut surplus = self.instances.iter().filter(|instance| has_ended(instance)).count().saturating_sub(keep);
        let any = surplus > 0;
        // The oldest come first.
        self.instances.retain(|instance| {
            let goes = surplus > 0 && has_ended(instance);
            surplus -= usize::from(goes);
            !goes
        });
        any
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.instances.iter().position(|instance| instance.record.id == id)
    }

    fn memory_in_use(&self) -> u64 {
        self.instances.iter().filter_map(|instance| Some(instance.process.as_ref()?.memory())).fold(0, u64::saturating_add)
    }
}
