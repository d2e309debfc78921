//! Stopping containers and sandboxes.

use std::{sync::Arc, time::Duration};

use workload::Signal;

use crate::{
    kubelet::{
        Kubelet,
        pod::{PodEntry, lock},
        timing,
    },
    watched::Watcher,
};

impl PodEntry {
    /// Stops a container: SIGTERM, then its grace, then SIGKILL. A program without a handler ignores SIGTERM, since it is
    /// PID 1. `deadline` may bring the end forward while it waits.
    pub(in crate::kubelet) async fn stop_container(
        self: &Arc<Self>,
        kubelet: &Kubelet,
        id: &str,
        grace: Duration,
        mut deadline: Watcher<Duration>,
    ) {
        kubelet.clock.sleep(timing::SIGNAL).await;
        let began = kubelet.clock.elapsed();
        self.with_process(kubelet, id, |process, now| ((), process.signal(now, Signal::Term)));
        let expire = async {
            loop {
                let until = began.saturating_add(grace).min(deadline.see());
                tokio::select! {
                    biased;
                    () = deadline.changed() => {}
                    () = kubelet.clock.sleep_until(until) => return,
                }
            }
        };
        tokio::select! {
            biased;
            () = self.exited(id) => {}
            () = expire => self.kill_process(kubelet, id),
        }
        kubelet.clock.sleep(self.draw(timing::STOP)).await;
    }

    /// Stops the sandbox.
    pub(in crate::kubelet) async fn stop_sandbox(self: &Arc<Self>, kubelet: &Kubelet) {
        let stops = lock(&self.runtime).sandbox.as_ref().is_some_and(|sandbox| sandbox.ready);
        if stops {
            kubelet.clock.sleep(self.draw(timing::STOP_SANDBOX)).await;
            if let Some(sandbox) = &mut lock(&self.runtime).sandbox {
                sandbox.ready = false;
            }
            kubelet.pleg.mark(self, kubelet.clock.elapsed());
        }
    }
}
