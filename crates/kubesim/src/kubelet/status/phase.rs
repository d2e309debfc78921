//! The phase of a Pod (`kubelet_pods.go:getPhase`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::{
    Version,
    kubelet::{
        actions::restarts_after,
        pod::{find_container, is_sidecar},
    },
};

/// What a container's status means for the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running,
    /// It has ended with this code.
    Ended(i32),
}

fn progress(status: &ContainerStatus) -> Progress {
    let state = status.state.as_ref();
    if state.is_some_and(|state| state.running.is_some()) {
        return Progress::Running;
    }
    let ended = state.and_then(|state| state.terminated.as_ref());
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.or(last).map_or(Progress::Waiting, |terminated| Progress::Ended(terminated.exit_code))
}

/// The phase that the statuses of containers make. `ended` says that they have all been stopped for good.
pub(super) fn phase(
    version: Version,
    pod: &Pod,
    init: &[ContainerStatus],
    containers: &[ContainerStatus],
    ended: bool,
) -> &'static str {
    let restarts = |status: &ContainerStatus, code| {
        find_container(pod, &status.name).is_some_and(|container| restarts_after(version, pod, container, code))
    };
    let (mut pending, mut failed, mut beside) = (false, false, false);
    for status in init {
        let sidecar = find_container(pod, &status.name).is_some_and(|container| is_sidecar(pod, container));
        match progress(status) {
            Progress::Running => {
                pending |= !sidecar || status.started != Some(true);
                beside |= sidecar;
            }
            Progress::Waiting => pending = true,
            Progress::Ended(code) if code != 0 && !sidecar => {
                if !restarts(status, code) {
                    return "Failed";
                }
                failed = true;
            }
            Progress::Ended(_) => {}
        }
    }
    let all: Vec<Progress> = containers.iter().map(progress).collect();
    let waiting = all.contains(&Progress::Waiting);
    if waiting || (pending || failed) && !all.iter().any(|progress| *progress != Progress::Waiting) {
        return "Pending";
    }
    if beside || all.contains(&Progress::Running) {
        return "Running";
    }
    let comes_back = |(status, progress): (&ContainerStatus, &Progress)| match progress {
        Progress::Ended(code) => restarts(status, *code),
        Progress::Waiting | Progress::Running => false,
    };
    if !ended && containers.iter().zip(&all).any(comes_back) {
        "Running"
    } else if all.iter().all(|progress| *progress == Progress::Ended(0)) {
        "Succeeded"
    } else {
        "Failed"
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

    fn pod(policy: &str, container: Value) -> Pod {
        let mut container = container;
        container["name"] = json!("c");
        serde_json::from_value(json!({"metadata": {}, "spec": {"restartPolicy": policy, "containers": [container]}})).unwrap()
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
        let statuses: Vec<_> = states.iter().map(|state| status(state)).collect();
        assert_eq!(phase(Version::LATEST, &pod(policy, json!({})), &[], &statuses, ended), expected);
    }

    #[rstest]
    #[case("1.37", json!({"restartPolicy": "Always"}), "Never", "1", "Running")]
    #[case("1.34", json!({"restartPolicy": "Always"}), "Never", "1", "Failed")]
    #[case("1.37", json!({"restartPolicy": "Never"}), "Always", "1", "Failed")]
    #[case("1.37", json!({"restartPolicy": "Never"}), "Always", "0", "Succeeded")]
    fn a_container_may_have_its_own_policy(
        #[case] version: &str,
        #[case] container: Value,
        #[case] policy: &str,
        #[case] state: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(phase(version.parse().unwrap(), &pod(policy, container), &[], &[status(state)], false), expected);
    }
}
