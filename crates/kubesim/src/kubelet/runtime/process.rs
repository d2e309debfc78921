//! Programs in virtual time: starting them, driving them, and what their effects lead to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::Notify;
use workload::{Effect, FileSystem, Memory, Mount, Mounts, Process, Start, Workload};

use super::{Exit, Instance, KILLED, PodRuntime, Record, START_FAILED, State};
use crate::{
    kubelet::{
        Kubelet,
        pod::{PodEntry, lock},
        timing,
    },
    node_api::ContainerLog,
};

/// The memory of a node: a program that has no limit is killed when it has taken this much.
pub(crate) const NODE_MEMORY: u64 = 16 << 30;

/// What a container is made of.
#[derive(Debug)]
pub(in crate::kubelet) struct NewContainer {
    pub(in crate::kubelet) name: String,
    pub(in crate::kubelet) image: String,
    pub(in crate::kubelet) restart_count: i32,
    pub(in crate::kubelet) workload: Arc<Workload>,
    pub(in crate::kubelet) command: Vec<String>,
    pub(in crate::kubelet) args: Vec<String>,
    pub(in crate::kubelet) env: BTreeMap<String, String>,
    pub(in crate::kubelet) files: BTreeMap<String, String>,
    /// Where it sees the Pod's `emptyDir` volumes.
    pub(in crate::kubelet) folders: Vec<FolderMount>,
    /// In bytes.
    pub(in crate::kubelet) memory_limit: Option<u64>,
}

/// Where a container sees a folder that the containers of its Pod share.
#[derive(Debug)]
pub(in crate::kubelet) struct FolderMount {
    pub(in crate::kubelet) volume: String,
    pub(in crate::kubelet) path: String,
    /// Empty for all of it.
    pub(in crate::kubelet) sub_path: String,
}

impl PodEntry {
    /// Starts a container. Gives its ID.
    ///
    /// # Errors
    /// The runtime's words, if its program does not exist. The container is there even so, and has ended.
    pub(in crate::kubelet) fn start_container(
        self: &Arc<Self>,
        kubelet: &Arc<Kubelet>,
        mut new: NewContainer,
    ) -> Result<String, String> {
        let id = self.chance(|random| random.hex(64));
        let now = kubelet.clock.elapsed();
        let file_system = self.file_system(&new);
        for path in new.workload.files() {
            if let Ok(text) = file_system.read(path) {
                new.files.entry(path.to_owned()).or_insert(text);
            }
        }
        let time = since_epoch(kubelet);
        let start = Start { command: new.command, args: new.args, env: new.env, files: new.files, file_system, time };
        let record = |state| Record {
            id: id.clone(),
            name: new.name.clone(),
            image: new.image.clone(),
            restart_count: new.restart_count,
            state,
        };
        let mut instance = Instance {
            record: record(State::Running(now)),
            start: start.clone(),
            process: None,
            log: ContainerLog::default(),
            wake: Arc::new(Notify::new()),
            ending: None,
            memory_limit: new.memory_limit.unwrap_or(NODE_MEMORY),
        };
        let (process, effects) = match Process::start(new.workload, &start) {
            Ok(started) => started,
            Err(error) => {
                let message = format!(
                    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
                     unable to start container process: {error}"
                );
                let exit =
                    Exit { started: None, finished: now, code: START_FAILED, reason: "StartError", message: Some(message.clone()) };
                instance.record.state = State::Exited(exit);
                instance.log.close();
                lock(&self.runtime).instances.push(instance);
                kubelet.pleg.mark(self, kubelet.clock.elapsed());
                return Err(message);
            }
        };
        instance.process = Some(process);
        let wake = Arc::clone(&instance.wake);
        {
            let mut runtime = lock(&self.runtime);
            runtime.instances.push(instance);
            let index = runtime.instances.len() - 1;
            self.apply(kubelet, &mut runtime, index, effects);
        }
        kubelet.pleg.mark(self, kubelet.clock.elapsed());
        kubelet.spawn(drive(Arc::clone(kubelet), Arc::clone(self), id.clone(), wake));
        Ok(id)
    }

    /// The files of a new container, with the folders that it shares.
    fn file_system(&self, new: &NewContainer) -> Arc<dyn FileSystem> {
        let own = Memory::with(&new.files);
        if new.folders.is_empty() {
            return Arc::new(own);
        }
        let mut runtime = lock(&self.runtime);
        let mount = |mount: &FolderMount| Mount {
            path: mount.path.clone(),
            files: runtime.folder(&mount.volume),
            within: mount.sub_path.clone(),
        };
        Arc::new(Mounts::new(own, new.folders.iter().map(mount).collect()))
    }

    /// Does something to a running program, now. Nothing if the container does not run.
    pub(super) fn with_process<T>(
        self: &Arc<Self>,
        kubelet: &Kubelet,
        id: &str,
        act: impl FnOnce(&mut Process, Duration) -> (T, Vec<Effect>),
    ) -> Option<T> {
        let now = kubelet.clock.elapsed();
        let mut runtime = lock(&self.runtime);
        let index = runtime.find(id)?;
        let instance = runtime.instances.get_mut(index)?;
        let State::Running(started) = instance.record.state else { return None };
        let (result, effects) = act(instance.process.as_mut()?, now.saturating_sub(started));
        self.apply(kubelet, &mut runtime, index, effects);
        Some(result)
    }

    /// Lets a program do what is due, or lets it be known that it has exited.
    fn advance(self: &Arc<Self>, kubelet: &Kubelet, id: &str) {
        let ending = {
            let mut runtime = lock(&self.runtime);
            let Some(index) = runtime.find(id) else { return };
            let ending = runtime.instances[index].ending;
            if let Some((_, code)) = ending {
                let reason = if code == 0 { "Completed" } else { "Error" };
                self.finish(kubelet, &mut runtime, index, i32::from(code), reason);
            }
            ending
        };
        if ending.is_none() {
            self.with_process(kubelet, id, |process, now| ((), process.advance(now)));
        }
    }

    /// Ends a running container from outside.
    pub(super) fn kill_process(self: &Arc<Self>, kubelet: &Kubelet, id: &str) {
        let mut runtime = lock(&self.runtime);
        if let Some(index) = runtime.find(id) {
            self.finish(kubelet, &mut runtime, index, KILLED, "Error");
        }
    }

    fn apply(self: &Arc<Self>, kubelet: &Kubelet, runtime: &mut PodRuntime, index: usize, effects: Vec<Effect>) {
        let now = kubelet.clock.now();
        for effect in effects {
            match effect {
                Effect::Log(line) => runtime.instances[index].log.append(now, line),
                Effect::Listen(port) => self.listen(kubelet, runtime, index, port),
                Effect::Memory(bytes) => {
                    if bytes > runtime.instances[index].memory_limit || runtime.memory_in_use() > NODE_MEMORY {
                        self.finish(kubelet, runtime, index, KILLED, "OOMKilled");
                    }
                }
                Effect::Exit(code) => {
                    let at = kubelet.clock.elapsed() + self.draw(timing::EXIT);
                    runtime.instances[index].ending = Some((at, code));
                }
            }
        }
        if let Some(instance) = runtime.instances.get(index) {
            instance.wake.notify_one();
        }
    }

    /// The containers of a Pod share one network: a port can be listened on once.
    fn listen(self: &Arc<Self>, kubelet: &Kubelet, runtime: &mut PodRuntime, index: usize, port: u16) {
        let listens = |instance: &Instance| instance.process.as_ref().and_then(Process::listening) == Some(port);
        let taken = runtime.instances.iter().enumerate().any(|(other, instance)| other != index && listens(instance));
        if !taken {
            return;
        }
        let now = kubelet.clock.elapsed();
        let instance = &mut runtime.instances[index];
        if let (State::Running(started), Some(process)) = (&instance.record.state, &mut instance.process) {
            let effects = process.port_taken(now.saturating_sub(*started));
            self.apply(kubelet, runtime, index, effects);
        }
    }

    fn finish(self: &Arc<Self>, kubelet: &Kubelet, runtime: &mut PodRuntime, index: usize, code: i32, reason: &'static str) {
        let instance = &mut runtime.instances[index];
        let State::Running(started) = instance.record.state else { return };
        let exit = Exit { started: Some(started), finished: kubelet.clock.elapsed(), code, reason, message: None };
        instance.record.state = State::Exited(exit);
        instance.process = None;
        instance.log.close();
        instance.wake.notify_one();
        self.exits.set(());
        kubelet.pleg.mark(self, kubelet.clock.elapsed());
    }
}

/// The time of day, since the Unix epoch.
pub(super) fn since_epoch(kubelet: &Kubelet) -> Duration {
    u64::try_from(kubelet.clock.now().as_millisecond()).map(Duration::from_millis).unwrap_or_default()
}

/// Lets a program do what it does by itself, when it does it, until it ends.
async fn drive(kubelet: Arc<Kubelet>, pod: Arc<PodEntry>, id: String, wake: Arc<Notify>) {
    loop {
        let next = {
            let runtime = lock(&pod.runtime);
            let Some(instance) = runtime.find(&id).and_then(|index| runtime.instances.get(index)) else { return };
            let State::Running(started) = instance.record.state else { return };
            let wakeup = || instance.process.as_ref()?.next_wakeup().map(|after| started.saturating_add(after));
            instance.ending.map(|(at, _)| at).or_else(wakeup)
        };
        match next {
            None => wake.notified().await,
            Some(at) => {
                tokio::select! {
                    biased;
                    () = wake.notified() => {}
                    () = kubelet.clock.sleep_until(at) => {
                        pod.advance(&kubelet, &id);
                    }
                }
            }
        }
    }
}
