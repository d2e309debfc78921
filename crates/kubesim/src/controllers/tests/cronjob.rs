//! CronJobs: Jobs at their times.

use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::*;

fn cron(policy: &str, ends: &str) -> Value {
    let template = json!({
        "metadata": {"annotations": {"ends": ends}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    });
    json!({
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {
            "schedule": "*/1 * * * *",
            "concurrencyPolicy": policy,
            "successfulJobsHistoryLimit": 2,
            "jobTemplate": {"spec": {"template": template}},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_job_is_made_every_minute_and_the_old_ones_go() {
    let bench = Bench::new(1).await;
    bench.create::<CronJob>(cron("Allow", "Succeeded")).await;
    bench.wait(59).await;
    assert!(bench.list::<Job>().await.is_empty());
    bench.wait(2).await;
    let first = bench.list::<Job>().await.pop().unwrap();
    // The minutes since 1970 of 2026-01-01T00:01.
    assert_eq!(first.metadata.name.as_deref(), Some("tick-29453761"));
    bench.wait(240).await;
    assert_eq!(bench.list::<Job>().await.len(), 3, "two that have completed, and the one that has just begun");
    let status = bench.get::<CronJob>("tick").await.unwrap().status.clone().unwrap();
    assert_eq!(status.last_schedule_time.unwrap().0.to_string(), "2026-01-01T00:05:00Z");
    assert!(
        bench
            .events("CronJob")
            .await
            .contains(&"SawCompletedJob: Saw completed job: tick-29453761, condition: Complete".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_overlap_is_left_out() {
    let bench = Bench::new(2).await;
    bench.create::<CronJob>(cron("Forbid", "Running")).await;
    bench.wait(200).await;
    assert_eq!(bench.list::<Job>().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_job_goes_with_its_pod() {
    let bench = Bench::new(3).await;
    bench.create::<CronJob>(cron("Replace", "Running")).await;
    bench.wait(200).await;
    assert_eq!(bench.list::<Job>().await.len(), 1);
    assert_eq!(bench.pods().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_somebody_else_has_made_is_told_of() {
    let bench = Bench::new(4).await;
    let tick = bench.create::<CronJob>(cron("Allow", "Running")).await;
    let mut job = cron("Allow", "Running")["spec"]["jobTemplate"].clone();
    let owner = crate::controllers::ownership::controller_reference::<CronJob>(&tick.metadata);
    job["metadata"] = json!({"name": "by-hand", "namespace": "default", "ownerReferences": [owner]});
    bench.create::<Job>(job).await;
    bench.wait(61).await;
    let events: Vec<_> = bench.events("CronJob").await.into_iter().filter(|event| event.starts_with("Unexpected")).collect();
    assert_eq!(events, ["UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand"]);
}
