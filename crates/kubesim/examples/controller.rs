//! How to test a controller: a small one, which keeps a `ConfigMap` for each Deployment that asks for it, runs against a simulated
//! cluster. Six minutes of the cluster's life take milliseconds, and the test says exactly when things happen.
//!
//! ```text
//! cargo run -p kubesim --example controller
//! cargo test -p kubesim --example controller
//! ```

use std::{error::Error, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{
        controller::{Action, Controller},
        wait::{await_condition, conditions},
        watcher,
    },
};
use kubesim::Cluster;
use serde_json::json;
use workload::{Workload, Workloads};

/// How often the controller looks whether everything is still there.
const PERIOD: Duration = Duration::from_mins(5);

/// The image of the Deployment, and what a container of it does.
const SERVER: &str = "{image: 'server:1', listen: {port: 8080}, http: {/: [{body: OK}]}}";

// The controller. Nothing in it knows of the simulation.

async fn control(client: Client) {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let selected = watcher::Config::default().labels("settings=wanted");
    let reconciled = Controller::new(deployments, selected).run(reconcile, retry, Arc::new(client));
    reconciled.for_each(|_| std::future::ready(())).await;
}

async fn reconcile(deployment: Arc<Deployment>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let settings = ConfigMap {
        metadata: ObjectMeta {
            name: Some(format!("{}-settings", deployment.name_any())),
            owner_references: Some(deployment.controller_owner_ref(&()).into_iter().collect()),
            ..ObjectMeta::default()
        },
        data: Some([("colour".to_owned(), "green".to_owned())].into()),
        ..ConfigMap::default()
    };
    let api: Api<ConfigMap> = Api::default_namespaced(client.as_ref().clone());
    api.patch(&settings.name_any(), &PatchParams::apply("settings-controller"), &Patch::Apply(&settings)).await?;
    Ok(Action::requeue(PERIOD))
}

fn retry(_: Arc<Deployment>, _: &kube::Error, _: Arc<Client>) -> Action {
    Action::requeue(Duration::from_secs(1))
}

// The test.

async fn settings_are_made_and_made_again() -> Result<(), Box<dyn Error>> {
    let workloads: Workloads = [Workload::from_yaml(SERVER)?].into_iter().collect();
    let cluster = Cluster::builder().workloads(workloads).build();
    cluster.ready().await?;
    let _controller = tokio::spawn(control(cluster.client()));
    let deployments: Api<Deployment> = Api::default_namespaced(cluster.client());
    let settings: Api<ConfigMap> = Api::default_namespaced(cluster.client());

    let start = cluster.clock().elapsed();
    deployments.create(&PostParams::default(), &serde_json::from_value(deployment())?).await?;
    let exists = |settings: Option<&ConfigMap>| settings.is_some();
    await_condition(settings.clone(), "web-settings", exists).await?;
    let taken = cluster.clock().elapsed().saturating_sub(start);
    assert!(taken < Duration::from_secs(1), "the settings took {taken:?}");

    // Each change of the Deployment is looked at too, so wait until it has settled.
    await_condition(deployments.clone(), "web", conditions::is_deployment_completed()).await?;
    cluster.clock().sleep(Duration::from_secs(10)).await;
    let settled = cluster.clock().elapsed();
    settings.delete("web-settings", &DeleteParams::default()).await?;
    await_condition(settings.clone(), "web-settings", exists).await?;
    let taken = cluster.clock().elapsed().saturating_sub(settled);
    let period = PERIOD.saturating_sub(Duration::from_secs(30))..PERIOD;
    assert!(period.contains(&taken), "the settings were back after {taken:?}");

    // The garbage collector removes what belongs to the Deployment.
    deployments.delete("web", &DeleteParams::default()).await?;
    await_condition(settings, "web-settings", |settings: Option<&ConfigMap>| settings.is_none()).await?;
    Ok(())
}

fn deployment() -> serde_json::Value {
    json!({
        "metadata": {"name": "web", "labels": {"settings": "wanted"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "server", "image": "server:1"}]},
            },
        },
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    // Time is paused: it jumps from timer to timer.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(settings_are_made_and_made_again())
}

#[test]
fn the_controller_keeps_its_promise() {
    main().unwrap();
}
