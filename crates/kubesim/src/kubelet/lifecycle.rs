//! The hooks `postStart` and `preStop` (`pkg/kubelet/lifecycle/handlers.go`).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::{Kubelet, pod::PodEntry, prober::port_number, runtime::ExecError};

/// The longest that an HTTP hook waits for its answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a hook, for at most `limit`.
///
/// # Errors
/// What went wrong.
pub(super) async fn run(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    container: &Container,
    hook: &LifecycleHandler,
    limit: Option<Duration>,
) -> Result<(), String> {
    let most = limit.unwrap_or(Duration::MAX);
    if let Some(sleep) = &hook.sleep {
        let seconds = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
        kubelet.clock.sleep(seconds.min(most)).await;
        return Ok(());
    }
    if let Some(exec) = &hook.exec {
        let command = exec.command.as_deref().unwrap_or_default();
        return match entry.exec(kubelet, &container.name, command, limit).await {
            Ok(output) if output.exit_code == 0 => Ok(()),
            Ok(output) => Err(format!("command '{}' exited with {}: {}", command.join(" "), output.exit_code, output.stdout)),
            Err(error @ (ExecError::NotRunning(_) | ExecError::NotStarted(_) | ExecError::Timeout(..))) => Err(error.to_string()),
        };
    }
    if let Some(get) = &hook.http_get {
        let port = port_number(container, &get.port)?;
        let path = get.path.as_deref().unwrap_or("/");
        return match entry.answer(kubelet, port, path, HTTP_TIMEOUT.min(most)).await {
            Ok((status, _)) if status < 400 => Ok(()),
            Ok((status, _)) => Err(format!("HTTP hook failed with statuscode: {status}")),
            Err(reason) => Err(format!("HTTP hook had no answer: {reason:?}")),
        };
    }
    Ok(())
}
