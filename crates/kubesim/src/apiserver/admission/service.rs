//! Addresses and ports of Services (pkg/registry/core/service/storage).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{
    ApiServer,
    metadata::{fields, text},
};
use crate::{resource::SERVICES, selector::Selection};

/// The ports that nodes may open for Services.
const NODE_PORTS: std::ops::Range<usize> = 30_000..32_768;

impl ApiServer {
    pub(super) fn admit_service(&self, service: &mut Value) {
        let kind = text(service, "/spec/type").to_owned();
        service["status"] = json!({"loadBalancer": {}});
        self.allocate(service, &kind);
    }

    /// Gives a Service the addresses and ports that its type needs and that it has not yet.
    pub(in crate::apiserver) fn allocate(&self, service: &mut Value, kind: &str) {
        if kind == "ExternalName" {
            return;
        }
        let mut address = text(service, "/spec/clusterIP").to_owned();
        if address.is_empty() {
            address = self.free_address();
        }
        let spec = fields(&mut service["spec"]);
        spec.insert("clusterIP".to_owned(), json!(address));
        spec.insert("clusterIPs".to_owned(), json!([address]));
        spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
        spec.entry("ipFamilyPolicy").or_insert_with(|| json!("SingleStack"));
        if kind == "NodePort" || kind == "LoadBalancer" {
            self.open_node_ports(service);
        }
    }

    fn open_node_ports(&self, service: &mut Value) {
        let mut taken = self.node_ports();
        for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if port["nodePort"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            let start = NODE_PORTS.start + self.random().below(NODE_PORTS.len());
            let free = (start..NODE_PORTS.end).chain(NODE_PORTS.start..start).find(|port| !taken.contains(port));
            if let Some(free) = free {
                taken.insert(free);
                fields(port).insert("nodePort".to_owned(), json!(free));
            }
        }
    }

    fn node_ports(&self) -> BTreeSet<usize> {
        let services = self.store().list(&SERVICES, &Selection::all()).0;
        let ports = services.iter().flat_map(|service| service.value()["spec"]["ports"].as_array().into_iter().flatten());
        ports.filter_map(|port| usize::try_from(port["nodePort"].as_u64()?).ok()).collect()
    }

    /// A free address of 10.96.0.0/16, above the first 256, which are for those who ask for one.
    fn free_address(&self) -> String {
        let services = self.store().list(&SERVICES, &Selection::all()).0;
        let taken: BTreeSet<&str> = services.iter().map(|service| service.text("/spec/clusterIP")).collect();
        let start = self.random().below(65_000);
        let address = |number: usize| format!("10.96.{}.{}", number / 256, number % 256);
        let mut candidates = (start..65_000).chain(0..start).map(|number| address(256 + number));
        candidates.find(|address| !taken.contains(address.as_str())).unwrap_or_default()
    }
}
