//! What exists in a cluster before anybody has made anything.

use serde_json::json;

use super::{ApiServer, Writer};
use crate::resource::{NAMESPACES, Resource, SERVICES};

impl ApiServer {
    /// Makes the namespaces that every cluster has, and the API server's own Service.
    pub(crate) fn bootstrap(&self, namespaces: &[&str]) {
        let make = |resource: &'static Resource, namespace: Option<&str>, value| {
            let made = self.create(resource, namespace, value, &Writer::component("kube-apiserver"));
            debug_assert!(made.is_ok(), "{made:?}");
        };
        for name in namespaces {
            make(&NAMESPACES, None, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
            "spec": {
                "clusterIP": "10.96.0.1",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            },
        });
        make(&SERVICES, Some("default"), service);
    }
}
