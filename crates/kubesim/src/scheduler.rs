//! The scheduler: what assigns Pods to nodes.

use crate::Component;

/// Runs the scheduler for as long as the cluster lives.
pub(crate) async fn run(component: Component) {
    let _ = component;
}
