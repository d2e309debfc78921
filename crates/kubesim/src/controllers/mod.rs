//! The controllers of kube-controller-manager.

pub(crate) mod control_loop;
mod cronjob;
mod daemonset;
mod deployment;
mod disruption;
mod endpointslice;
mod garbage_collector;
mod job;
mod namespace;
mod node_lifecycle;
mod owned_pods;
pub(crate) mod ownership;
mod pod_gc;
pub(crate) mod pods;
mod replicaset;
mod service_account;
mod taint_eviction;
mod workqueue;

use std::{future::Future, pin::Pin};

use tokio::task::JoinSet;

use crate::{Component, StatusError};

type Running = Pin<Box<dyn Future<Output = Result<(), StatusError>> + Send>>;

/// Runs all controllers for as long as the cluster lives.
pub(crate) async fn run(component: Component) {
    let mut controllers = JoinSet::new();
    let mut start = |name: &'static str, run: fn(Component) -> Running| {
        controllers.spawn(component.deaths.clone().component(format!("controller {name}"), run(component.part(name))));
    };
    start("cronjob", |component| Box::pin(cronjob::run(component)));
    start("daemonset", |component| Box::pin(daemonset::run(component)));
    start("deployment", |component| Box::pin(deployment::run(component)));
    start("garbage-collector", |component| Box::pin(garbage_collector::run(component)));
    start("disruption", |component| Box::pin(disruption::run(component)));
    start("endpointslice", |component| Box::pin(endpointslice::run(component)));
    start("node-lifecycle", |component| Box::pin(node_lifecycle::run(component)));
    start("job", |component| Box::pin(job::run(component)));
    start("namespace", |component| Box::pin(namespace::run(component)));
    start("pod-gc", |component| Box::pin(pod_gc::run(component)));
    start("service-account", |component| Box::pin(service_account::run(component)));
    start("replicaset", |component| Box::pin(replicaset::run(component)));
    start("taint-eviction", |component| Box::pin(taint_eviction::run(component)));
    while controllers.join_next().await.is_some() {}
}

#[cfg(test)]
pub(crate) mod tests;
