//! What passes validation must not kill what works with it: neither at once nor later.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Cluster;

fn container() -> impl Strategy<Value = Value> {
    let probe = prop_oneof![
        Just(json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": i32::MAX, "timeoutSeconds": i32::MAX})),
        Just(json!({"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1,
            "terminationGracePeriodSeconds": i64::MAX})),
        Just(json!({"tcpSocket": {"port": "http"}, "initialDelaySeconds": i32::MAX})),
        Just(json!({"grpc": {"port": 1}})),
    ];
    let command = prop::sample::select(vec![
        json!(["sh", "-c", "exit 256"]),
        json!(["sh", "-c", "kill -9 $$"]),
        json!(["sleep", "99999999999999"]),
        json!(["sleep", "1e300"]),
        json!(["sleep", "3"]),
        json!([]),
    ]);
    let lifecycle = prop::sample::select(vec![
        json!({"preStop": {"sleep": {"seconds": 25}}}),
        json!({"postStart": {"exec": {"command": ["sh", "-c", "sleep 1000000"]}}}),
        json!({"preStop": {"httpGet": {"port": 1}}}),
        json!({}),
    ]);
    (probe, command, lifecycle, any::<bool>()).prop_map(|(probe, command, lifecycle, is_probed)| {
        let mut container = json!({"name": "c", "image": "busybox:1.36.1", "command": command, "lifecycle": lifecycle});
        if is_probed {
            container["livenessProbe"] = probe;
        }
        container
    })
}

fn number() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![0, 1, 3, 59, 100_000, i64::from(i32::MAX), i64::MAX])
}

fn object() -> impl Strategy<Value = (&'static str, Value)> {
    let kind = prop::sample::select(vec!["Pod", "Deployment", "DaemonSet", "Job", "CronJob"]);
    (kind, container(), number(), number(), 0..40_u8).prop_map(|(kind, container, a, b, count)| {
        let policy = if matches!(kind, "Job" | "CronJob") { "Never" } else { "Always" };
        let pod = json!({"containers": [container], "restartPolicy": policy, "terminationGracePeriodSeconds": a,
            "activeDeadlineSeconds": b});
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
        let selector = json!({"matchLabels": {"a": "b"}});
        let job = json!({"template": template, "completions": count, "parallelism": a, "backoffLimit": b,
            "ttlSecondsAfterFinished": a});
        let spec = match kind {
            "Pod" => template["spec"].clone(),
            "Deployment" => json!({"replicas": count, "selector": selector, "template": template, "minReadySeconds": a,
                "progressDeadlineSeconds": b}),
            "DaemonSet" => json!({"selector": selector, "template": template, "minReadySeconds": a}),
            "Job" => job,
            _ => json!({"schedule": "* * * * *", "jobTemplate": {"spec": job}, "startingDeadlineSeconds": b}),
        };
        (kind, spec)
    })
}

async fn request(cluster: &Cluster, method: &str, path: &str, body: &Value) {
    let body = http_body_util::Full::from(body.to_string().into_bytes());
    let request = http::Request::builder().method(method).uri(path).header("content-type", "application/merge-patch+json");
    let answer = tower::ServiceExt::oneshot(cluster.api().http(), request.body(body).unwrap()).await.unwrap();
    assert_ne!(answer.status().as_u16(), 500, "{method} {path}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_admitted_kills_no_component(objects in prop::collection::vec(object(), 1..6), replicas in 0..20_u8) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let busybox = include_str!("../../../workloads/busybox-1.36.1.yaml");
            let workloads = [workload::Workload::from_yaml(busybox).unwrap()].into_iter().collect();
            let cluster = Cluster::builder().nodes(2).workloads(workloads).build();
            cluster.ready().await.unwrap();
            let collection = |kind: &str| match kind {
                "Pod" => "/api/v1/namespaces/default/pods".to_owned(),
                "Job" | "CronJob" => format!("/apis/batch/v1/namespaces/default/{}s", kind.to_lowercase()),
                _ => format!("/apis/apps/v1/namespaces/default/{}s", kind.to_lowercase()),
            };
            let life = async {
                for (index, (kind, spec)) in objects.iter().enumerate() {
                    let group = match *kind { "Pod" => "v1", "Job" | "CronJob" => "batch/v1", _ => "apps/v1" };
                    let object = json!({"apiVersion": group, "kind": kind, "metadata": {"name": format!("o{index}")}, "spec": spec});
                    request(&cluster, "POST", &collection(kind), &object).await;
                }
                cluster.clock().sleep(Duration::from_secs(100)).await;
                for (index, (kind, _)) in objects.iter().enumerate() {
                    let path = format!("{}/o{index}", collection(kind));
                    request(&cluster, "PATCH", &path, &json!({"spec": {"replicas": replicas}})).await;
                }
                cluster.clock().sleep(Duration::from_mins(1)).await;
                for (index, (kind, _)) in objects.iter().enumerate() {
                    request(&cluster, "DELETE", &format!("{}/o{index}", collection(kind)), &json!({})).await;
                }
                cluster.clock().sleep(Duration::from_secs(100)).await;
            };
            tokio::select! {
                biased;
                died = cluster.died() => panic!("{died}"),
                () = life => {}
            }
        });
    }
}
