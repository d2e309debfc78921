//! Many Pods.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_thousand_pods_come_and_go() {
    let bench = Bench::new(1).await;
    for index in 0..10 {
        let mut deployment = web(100, "a", true);
        let name = format!("web-{index}");
        deployment["metadata"]["name"] = json!(name);
        deployment["spec"]["selector"]["matchLabels"]["app"] = json!(name);
        deployment["spec"]["template"]["metadata"]["labels"]["app"] = json!(name);
        bench.create::<Deployment>(deployment).await;
    }
    bench.wait(30).await;
    for deployment in bench.list::<Deployment>().await {
        assert_eq!(deployment.status.as_ref().unwrap().available_replicas, Some(100));
    }
    for index in 0..10 {
        bench.patch::<Deployment>(&format!("web-{index}"), json!({"spec": {"replicas": 0}})).await;
    }
    bench.wait(30).await;
    assert!(bench.pods().await.is_empty());
}
