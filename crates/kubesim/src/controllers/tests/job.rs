//! Jobs: how often, how many at a time, and when they are over.

use k8s_openapi::api::batch::v1::Job;
use rstest::rstest;

use super::*;

fn job(spec: Value, ends: &str) -> Value {
    let mut job = json!({
        "metadata": {"name": "work", "namespace": "default"},
        "spec": {
            "template": {
                "metadata": {"annotations": {"ends": ends}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
            },
        },
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut job["spec"], spec) {
        all.extend(more);
    }
    job
}

fn conditions(job: &Job) -> Vec<String> {
    let conditions = job.status.as_ref().unwrap().conditions.as_ref().unwrap();
    conditions.iter().map(|condition| format!("{} {}", condition.type_, condition.reason.as_deref().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_completes_when_its_pods_have_succeeded() {
    let bench = Bench::new(1).await;
    bench.create::<Job>(job(json!({"completions": 3, "parallelism": 2}), "Succeeded")).await;
    bench.wait(1).await;
    assert_eq!(bench.pods().await.len(), 2, "two at a time");
    bench.wait(30).await;
    let work = bench.get::<Job>("work").await.unwrap();
    let status = work.status.as_ref().unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(3), None, None));
    assert!(status.start_time.is_some() && status.completion_time.is_some());
    assert_eq!(conditions(&work), ["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]);
    let pods = bench.pods().await;
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| pod.metadata.finalizers.iter().flatten().next().is_none()), "all are counted");
    assert!(bench.events("Job").await.contains(&"Completed: Job completed".to_owned()));
}

/// Written with the Pods that are about to be counted.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_is_announced_first() {
    let bench = Bench::new(1).await;
    bench.create::<Job>(job(json!({}), "Succeeded")).await;
    let status = loop {
        bench.clock.sleep(Duration::from_millis(1)).await;
        let work = bench.get::<Job>("work").await.unwrap();
        let status = work.status.clone().unwrap_or_default();
        if status.conditions.is_some() {
            assert_eq!(conditions(&work), ["SuccessCriteriaMet CompletionsReached"]);
            break status;
        }
    };
    assert_eq!((status.active, status.succeeded), (None, None));
    assert_eq!(status.uncounted_terminated_pods.unwrap().succeeded.unwrap().len(), 1);
}

/// Each further failure doubles the wait: 10 s, 20 s, 40 s …
#[tokio::test(start_paused = true)]
async fn a_failing_job_gives_up_at_its_back_off_limit() {
    let bench = Bench::new(2).await;
    bench.create::<Job>(job(json!({"backoffLimit": 2}), "Failed")).await;
    bench.wait(120).await;
    let work = bench.get::<Job>("work").await.unwrap();
    assert_eq!(work.status.as_ref().unwrap().failed, Some(3));
    assert_eq!(conditions(&work), ["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]);
    let mut starts: Vec<_> =
        bench.pods().await.iter().map(|pod| pod.metadata.creation_timestamp.as_ref().unwrap().0.as_second()).collect();
    starts.sort_unstable();
    let gaps: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((11..=14).contains(&gaps[0]) && (21..=24).contains(&gaps[1]), "{gaps:?}");
    let last = bench.events("Job").await.pop().unwrap();
    assert_eq!(last, "BackoffLimitExceeded: Job has reached the specified backoff limit");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_too_long_fails_and_its_pods_go() {
    let bench = Bench::new(3).await;
    bench.create::<Job>(job(json!({"activeDeadlineSeconds": 20}), "never")).await;
    bench.patch::<Job>("work", json!({"metadata": {"labels": {"a": "b"}}})).await;
    bench.wait(40).await;
    let work = bench.get::<Job>("work").await.unwrap();
    assert_eq!(conditions(&work), ["FailureTarget DeadlineExceeded", "Failed DeadlineExceeded"]);
    assert_eq!(work.status.as_ref().unwrap().failed, Some(1), "its Pod has not ended, so it has failed");
}

#[tokio::test(start_paused = true)]
async fn a_finished_job_goes_when_its_time_has_come() {
    let bench = Bench::new(4).await;
    bench.create::<Job>(job(json!({"ttlSecondsAfterFinished": 30}), "Succeeded")).await;
    bench.wait(20).await;
    assert_eq!(conditions(&bench.get::<Job>("work").await.unwrap()).len(), 2);
    bench.wait(30).await;
    assert!(bench.get::<Job>("work").await.unwrap_err().is_not_found());
    assert!(bench.pods().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_indexed_job_runs_each_index_once() {
    let bench = Bench::new(5).await;
    let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"});
    bench.create::<Job>(job(spec, "Succeeded")).await;
    bench.wait(20).await;
    let work = bench.get::<Job>("work").await.unwrap();
    assert_eq!(work.status.as_ref().unwrap().completed_indexes.as_deref(), Some("0-2"));
    let mut names: Vec<_> = bench.pods().await.iter().map(|pod| pod.spec.as_ref().unwrap().hostname.clone().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["work-0", "work-1", "work-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_says_no_labels_has_those_by_which_its_pods_are_found() {
    let bench = Bench::new(1).await;
    let work = bench.create::<Job>(job(json!({"suspend": true}), "Succeeded")).await;
    let labels: Vec<&str> = work.metadata.labels.iter().flatten().map(|(key, _)| key.as_str()).collect();
    assert_eq!(labels, ["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_grows_by_five_hundred_pods_at_a_time() {
    let bench = Bench::empty(6);
    bench.create::<Job>(job(json!({"parallelism": i32::MAX, "completions": i32::MAX}), "never")).await;
    bench.clock.sleep(Duration::from_millis(900)).await;
    assert_eq!(bench.pods().await.len(), 500);
}

/// A Job whose Pods end with exit code 42, which a rule is for.
fn with_rule(action: &str) -> Value {
    let rule = json!({"action": action, "onExitCodes": {"operator": "In", "values": [42]}});
    let mut job = job(json!({"backoffLimit": 1, "podFailurePolicy": {"rules": [rule]}}), "Failed");
    job["spec"]["template"]["metadata"]["annotations"]["code"] = json!("42");
    job
}

#[tokio::test(start_paused = true)]
async fn a_rule_fails_the_job_at_the_first_failure() {
    let bench = Bench::new(7).await;
    bench.create::<Job>(with_rule("FailJob")).await;
    bench.wait(20).await;
    let work = bench.get::<Job>("work").await.unwrap();
    assert_eq!(conditions(&work), ["FailureTarget PodFailurePolicy", "Failed PodFailurePolicy"]);
    let pod = bench.pods().await.pop().unwrap().metadata.name.clone().unwrap();
    let message = work.status.as_ref().unwrap().conditions.as_ref().unwrap()[1].message.clone().unwrap();
    let expected = format!("Container c for pod default/{pod} failed with exit code 42 matching FailJob rule at index 0");
    assert_eq!((message, work.status.as_ref().unwrap().failed), (expected, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn ignored_failures_do_not_count() {
    let bench = Bench::new(8).await;
    bench.create::<Job>(with_rule("Ignore")).await;
    bench.wait(100).await;
    let work = bench.get::<Job>("work").await.unwrap();
    assert!(bench.pods().await.len() > 3, "beyond the back-off limit");
    assert_eq!((work.status.as_ref().unwrap().failed, work.status.as_ref().unwrap().conditions.clone()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_index_fails_alone() {
    let bench = Bench::new(9).await;
    let spec = json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimitPerIndex": 1});
    bench.create::<Job>(job(spec, "Succeeded Failed")).await;
    bench.wait(60).await;
    let work = bench.get::<Job>("work").await.unwrap();
    let status = work.status.as_ref().unwrap();
    assert_eq!((status.completed_indexes.as_deref(), status.failed_indexes.as_deref()), (Some("0"), Some("1")));
    assert_eq!(
        (status.failed, conditions(&work)),
        (Some(2), vec!["FailureTarget FailedIndexes".into(), "Failed FailedIndexes".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_success_policy_ends_the_job_early() {
    let bench = Bench::new(10).await;
    let spec = json!({
        "completions": 2, "parallelism": 2, "completionMode": "Indexed",
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]},
    });
    bench.create::<Job>(job(spec, "Succeeded Running")).await;
    bench.wait(20).await;
    let work = bench.get::<Job>("work").await.unwrap();
    assert_eq!(conditions(&work), ["SuccessCriteriaMet SuccessPolicy", "Complete SuccessPolicy"]);
    assert_eq!(work.status.as_ref().unwrap().failed, None, "what success has made needless has not failed");
    assert!(bench.pods().await.iter().all(|pod| crate::controllers::pods::phase(pod) == "Succeeded"));
}

/// How many Pods are there while one of them goes, and how many have failed by then.
#[rstest]
#[case::at_once("TerminatingOrFailed", 1, 2)]
#[case::once_it_has_ended("Failed", 0, 1)]
#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_is_replaced(#[case] policy: &str, #[case] failed: i32, #[case] pods: usize) {
    let bench = Bench::new(11).await;
    bench.create::<Job>(job(json!({"podReplacementPolicy": policy}), "Running")).await;
    bench.wait(5).await;
    let pod = bench.pods().await.pop().unwrap().metadata.name.clone().unwrap();
    // A finalizer keeps it, as a long grace would.
    bench.patch::<Pod>(&pod, json!({"metadata": {"finalizers": ["batch.kubernetes.io/job-tracking", "a.b/c"]}})).await;
    bench.client.delete::<Pod>("default", &pod, &crate::DeleteOptions::default()).await.unwrap();
    bench.clock.sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bench.get::<Job>("work").await.unwrap().status.as_ref().unwrap().failed.unwrap_or(0), failed);
    bench.wait(15).await;
    assert!(bench.pods().await.len() >= pods);
}

#[tokio::test(start_paused = true)]
async fn what_a_suspended_job_deletes_is_no_failure() {
    let bench = Bench::new(12).await;
    bench.create::<Job>(job(json!({}), "Running")).await;
    bench.wait(5).await;
    bench.patch::<Job>("work", json!({"spec": {"suspend": true}})).await;
    bench.wait(10).await;
    assert_eq!(bench.get::<Job>("work").await.unwrap().status.as_ref().unwrap().failed, None);
    assert!(bench.pods().await.is_empty());
}
