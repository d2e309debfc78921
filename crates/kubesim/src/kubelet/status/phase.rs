//! The phase of a Pod (`kubelet_pods.go:getPhase`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::kubelet::pod::{init_containers, is_sidecar, restart_policy};

/// What a container's status means for the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

fn progress(status: &ContainerStatus) -> Progress {
    let state = status.state.as_ref();
    let exit = |code| if code == 0 { Progress::Succeeded } else { Progress::Failed };
    if state.is_some_and(|state| state.running.is_some()) {
        return Progress::Running;
    }
    let ended = state.and_then(|state| state.terminated.as_ref());
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.or(last).map_or(Progress::Waiting, |terminated| exit(terminated.exit_code))
}

/// The phase that the statuses of containers make. `ended` says that they have all been stopped for good.
pub(super) fn phase(pod: &Pod, init: &[ContainerStatus], containers: &[ContainerStatus], ended: bool) -> &'static str {
    let (mut pending, mut failed, mut beside) = (false, false, false);
    for status in init {
        let sidecar = init_containers(pod).iter().any(|c| c.name == status.name && is_sidecar(pod, c));
        match progress(status) {
            Progress::Succeeded => {}
            Progress::Running => {
                pending |= !sidecar || status.started != Some(true);
                beside |= sidecar;
            }
            Progress::Waiting => pending = true,
            Progress::Failed => failed |= !sidecar,
        }
    }
    if failed && restart_policy(pod) == "Never" {
        return "Failed";
    }
    let all: Vec<Progress> = containers.iter().map(progress).collect();
    let waiting = all.contains(&Progress::Waiting);
    if waiting || (pending || failed) && !all.iter().any(|progress| *progress != Progress::Waiting) {
        return "Pending";
    }
    if beside || all.contains(&Progress::Running) {
        return "Running";
    }
    let succeeded = all.iter().all(|progress| *progress == Progress::Succeeded);
    match restart_policy(pod) {
        _ if ended && succeeded => "Succeeded",
        _ if ended => "Failed",
        "Always" => "Running",
        _ if succeeded => "Succeeded",
        "Never" => "Failed",
        _ => "Running",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn status(state: &str) -> ContainerStatus {
        let exit = |code: i32| json!({"terminated": {"exitCode": code}});
        let (state, last): (Value, Value) = match state {
            "run" => (json!({"running": {}}), json!({})),
            "wait" => (json!({"waiting": {}}), json!({})),
            "loop" => (json!({"waiting": {}}), exit(1)),
            "0" => (exit(0), json!({})),
            code => (exit(code.parse().unwrap()), json!({})),
        };
        let value = json!({
            "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state, "lastState": last
        });
        serde_json::from_value(value).unwrap()
    }

    #[rstest]
    #[case("Always", &["wait"], false, "Pending")]
    #[case("Always", &["run", "wait"], false, "Pending")]
    #[case("Always", &["run", "loop"], false, "Running")]
    #[case("Always", &["0"], false, "Running")]
    #[case("Always", &["0"], true, "Succeeded")]
    #[case("Always", &["2"], true, "Failed")]
    #[case("OnFailure", &["0", "0"], false, "Succeeded")]
    #[case("OnFailure", &["0", "1"], false, "Running")]
    #[case("Never", &["0", "1"], false, "Failed")]
    #[case("Never", &["0", "run"], false, "Running")]
    fn phases_follow_the_containers(#[case] policy: &str, #[case] states: &[&str], #[case] ended: bool, #[case] expected: &str) {
        let pod = serde_json::from_value(json!({"metadata": {}, "spec": {"restartPolicy": policy, "containers": []}})).unwrap();
        let statuses: Vec<_> = states.iter().map(|state| status(state)).collect();
        assert_eq!(phase(&pod, &[], &statuses, ended), expected);
    }
}
