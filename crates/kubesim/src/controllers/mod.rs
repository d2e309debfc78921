//! The controllers of kube-controller-manager.

use crate::Component;

/// Runs all controllers for as long as the cluster lives.
pub(crate) async fn run(component: Component) {
    let _ = component;
}
