//! The kubelet: what runs the Pods of one node.

use crate::Component;

/// Runs the kubelet of the node `node` for as long as the cluster lives.
pub(crate) async fn run(node: String, component: Component) {
    let _ = (node, component);
}
