//! What exists in a cluster before anybody has made anything.

use serde_json::json;

use super::{ApiServer, Writer};
use crate::resource::{NAMESPACES, PRIORITY_CLASSES, Resource, SERVICE_ACCOUNTS, SERVICES};

impl ApiServer {
    /// Makes the namespaces that every cluster has, with their service accounts as their controller has left them, the
    /// priority classes of the system, and the API server's own Service.
    pub(crate) fn bootstrap(&self, namespaces: &[&str]) {
        let make = |resource: &'static Resource, namespace: Option<&str>, value| {
            let made = self.create(resource, namespace, value, &Writer::component("kube-apiserver"));
            debug_assert!(made.is_ok(), "{made:?}");
        };
        for name in namespaces {
            make(&NAMESPACES, None, json!({"metadata": {"name": name}}));
            make(&SERVICE_ACCOUNTS, Some(name), json!({"metadata": {"name": "default"}}));
        }
        for (name, value) in [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)] {
            make(&PRIORITY_CLASSES, None, json!({"metadata": {"name": name}, "value": value}));
        }
        let service = json!({
            "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "clusterIP": "10.96.0.1",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            },
        });
        make(&SERVICES, Some("default"), service);
    }
}
