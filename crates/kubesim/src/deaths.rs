//! Components that died: a fault of the simulation, which must not pass for one of what is simulated.

use std::{any::Any, panic::AssertUnwindSafe};

use futures::FutureExt;

use crate::{StatusError, watched::Watched};

/// A component of the simulated cluster died.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated {component} died: {problem}")]
pub struct ComponentDied {
    component: String,
    problem: String,
}

/// The first death in a cluster. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deaths {
    first: Watched<Option<ComponentDied>>,
}

impl Deaths {
    /// Runs a component, which is dead if it ends.
    pub(crate) async fn component(self, name: String, run: impl Future<Output = Result<(), StatusError>>) {
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(())) => self.note(name, "it ended".to_owned()),
            Ok(Err(error)) => self.note(name, format!("it could not start: {error}")),
            Err(panic) => self.note(name, message(panic.as_ref())),
        }
    }

    /// Runs a task of a component, which dies with a panic of its task.
    pub(crate) async fn task(self, name: String, run: impl Future<Output = ()>) {
        if let Err(panic) = AssertUnwindSafe(run).catch_unwind().await {
            self.note(name, message(panic.as_ref()));
        }
    }

    fn note(&self, component: String, problem: String) {
        let died = ComponentDied { component, problem };
        self.first.update(|first| {
            first.get_or_insert(died);
        });
    }

    /// Waits for the first death.
    pub(crate) async fn first(&self) -> ComponentDied {
        let mut first = self.first.watch();
        loop {
            if let Some(died) = first.see() {
                return died;
            }
            first.changed().await;
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_task_is_told_and_an_end_is_not() {
        let deaths = Deaths::default();
        deaths.clone().task("kubelet".to_owned(), async {}).await;
        deaths.clone().task("kubelet".to_owned(), async { panic!("user-provided comparison function") }).await;
        deaths.clone().task("recorder".to_owned(), async { panic!("later") }).await;
        assert_eq!(deaths.first().await.to_string(), "the simulated kubelet died: user-provided comparison function");
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_ends_is_dead() {
        let deaths = Deaths::default();
        deaths.clone().component("scheduler".to_owned(), async { Ok(()) }).await;
        assert_eq!(deaths.first().await.to_string(), "the simulated scheduler died: it ended");
    }
}
