//! The hooks `postStart` and `preStop` (`pkg/kubelet/lifecycle/handlers.go`).

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::{Kubelet, pod::PodEntry, prober::port_number, runtime::NoAnswer};
use crate::node_api::ExecOutput;

/// The longest that an HTTP hook waits for its answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a hook.
///
/// # Errors
/// What went wrong.
pub(super) async fn run(
    kubelet: &Arc<Kubelet>,
    entry: &Arc<PodEntry>,
    container: &Container,
    hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(sleep) = &hook.sleep {
        let seconds = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
        kubelet.clock.sleep(seconds).await;
        return Ok(());
    }
    let failed = |kind: &str, handler: &str, error: &str| {
        let (container, pod) = (&container.name, entry.full_name());
        format!("{kind} lifecycle hook ({handler}) for Container \"{container}\" in Pod \"{pod}\" failed - error: {error}")
    };
    if let Some(exec) = &hook.exec {
        let command = exec.command.as_deref().unwrap_or_default();
        let words = command.join(" ");
        let (error, said) = match entry.exec(kubelet, &container.name, command, None).await {
            Ok(output) if output.exit_code == 0 => return Ok(()),
            Ok(ExecOutput { stdout, stderr, exit_code }) => {
                (format!("command '{words}' exited with {exit_code}: {stderr}"), stdout + &stderr)
            }
            Err(error) => (error.text(kubelet.version), String::new()),
        };
        return Err(format!("{}, message: {said:?}", failed("Exec", &format!("[{words}]"), &error)));
    }
    if let Some(get) = &hook.http_get {
        let path = get.path.as_deref().unwrap_or("/");
        let port = port_number(container, &get.port).map_err(|error| failed("HTTP", path, &error))?;
        // Any answer will do: the status is not looked at.
        let Err(reason) = entry.answer(kubelet, port, path, HTTP_TIMEOUT).await else { return Ok(()) };
        let address = format!("{}:{port}", entry.ip());
        let problem = match reason {
            NoAnswer::Refused => format!("dial tcp {address}: connect: connection refused"),
            NoAnswer::Closed => "EOF".to_owned(),
            NoAnswer::Timeout => "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned(),
        };
        return Err(failed("HTTP", path, &format!("Get \"http://{address}{path}\": {problem}")));
    }
    Ok(())
}
