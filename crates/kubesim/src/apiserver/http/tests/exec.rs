//! Commands in containers, through `kube::Client` and with it over a connection inside the process.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachParams;
use tokio::io::AsyncReadExt;
use workload::{Workload, Workloads};

use super::*;

async fn run(pods: &Api<Pod>, command: &[&str]) -> (String, String, Status) {
    let mut process = pods.exec("a", command.to_vec(), &AttachParams::default()).await.unwrap();
    let status = process.take_status().unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    process.stdout().unwrap().read_to_string(&mut stdout).await.unwrap();
    process.stderr().unwrap().read_to_string(&mut stderr).await.unwrap();
    (stdout, stderr, status.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_in_a_container() {
    let shell = Workload::from_yaml("{image: 'shell:1', shell: true, run: [sh]}").unwrap();
    let cluster = Cluster::builder().workloads([shell].into_iter().collect::<Workloads>()).build();
    cluster.ready().await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let pod =
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "shell:1", "command": ["sleep", "99"]}]}});
    pods.create(&PostParams::default(), &of(pod)).await.unwrap();
    cluster.clock().sleep(Duration::from_secs(5)).await;

    let before = cluster.clock().elapsed();
    let (stdout, stderr, status) = run(&pods, &["sh", "-c", "sleep 2; echo yes"]).await;
    assert_eq!((stdout.as_str(), stderr.as_str(), status.status.as_deref()), ("yes\n", "", Some("Success")));
    assert_eq!(cluster.clock().elapsed().saturating_sub(before).as_secs(), 2);

    let (stdout, _, status) = run(&pods, &["sh", "-c", "echo no; exit 3"]).await;
    assert_eq!((stdout.as_str(), status.reason.as_deref()), ("no\n", Some("NonZeroExitCode")));
    let causes = status.details.unwrap().causes.unwrap();
    assert_eq!((causes[0].reason.as_deref(), causes[0].message.as_deref()), (Some("ExitCode"), Some("3")));

    let (.., status) = run(&pods, &["/absent"]).await;
    assert!(status.message.as_deref().unwrap_or_default().contains("failed to exec in container"), "{status:?}");

    let missing = pods.exec("b", ["true"], &AttachParams::default()).await.err().unwrap();
    assert_eq!(super::status(missing).message, "pods \"b\" not found");
}
