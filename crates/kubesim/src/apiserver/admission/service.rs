//! Addresses and ports of Services (pkg/registry/core/service/storage).

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::{Value, json};

use super::super::{
    ApiServer,
    metadata::{fields, text},
    validation::is_reached_from_outside,
};
use crate::{
    resource::SERVICES,
    selector::Selection,
    status::{FieldError, StatusError},
};

/// The ports that nodes may open for Services.
const NODE_PORTS: std::ops::Range<usize> = 30_000..32_768;

impl ApiServer {
    pub(super) fn admit_service(&self, service: &mut Value) -> Result<(), StatusError> {
        let kind = text(service, "/spec/type").to_owned();
        service["status"] = json!({"loadBalancer": {}});
        self.check_wanted(service, &Value::Null)?;
        self.allocate(service, &kind);
        Ok(())
    }

    /// A changed Service keeps the addresses that it does not say, and loses what its new type has no use for.
    ///
    /// # Errors
    /// If an address or a port that it asks for cannot be had.
    pub(in crate::apiserver) fn readmit_service(&self, old: &Value, new: &mut Value) -> Result<(), StatusError> {
        drop_unneeded(&old["spec"], &mut new["spec"]);
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            let is_missing = new["spec"][field].is_null() || new["spec"][field] == "";
            if is_missing
                && let Some(value) = old["spec"].get(field)
                && new["spec"]["type"] != "ExternalName"
            {
                new["spec"][field] = value.clone();
            }
        }
        self.check_wanted(new, old)?;
        let kind = text(new, "/spec/type").to_owned();
        self.allocate(new, &kind);
        Ok(())
    }

    /// Whether the addresses and ports that a Service asks for, and had not before, are free.
    fn check_wanted(&self, service: &Value, old: &Value) -> Result<(), StatusError> {
        let refused = |error| Err(StatusError::invalid("", "Service", text(service, "/metadata/name"), vec![error]));
        let address = text(service, "/spec/clusterIP");
        // What is no address at all is found by validation.
        if let Ok(parsed) = address.parse::<Ipv4Addr>()
            && address != text(old, "/spec/clusterIP")
        {
            let problem = match parsed.octets() {
                [10, 96, ..] if !self.addresses().contains(address) => None,
                [10, 96, ..] => Some("provided IP is already allocated"),
                _ => Some("the provided IP () is not in the valid range. The range of valid IPs is 10.96.0.0/16"),
            };
            if let Some(problem) = problem {
                let problem = problem.replace("()", &format!("({address})"));
                let problem = format!("failed to allocate IP {address}: {problem}");
                return refused(FieldError::invalid("spec.clusterIPs", &json!([address]), &problem));
            }
        }
        let ports = |service: &Value| service["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let had: BTreeSet<u64> = ports(old).iter().filter_map(|port| port["nodePort"].as_u64()).collect();
        for (index, port) in ports(service).iter().enumerate() {
            let wanted = port["nodePort"].as_u64().filter(|number| *number != 0 && !had.contains(number));
            let Some(wanted) = wanted.and_then(|number| usize::try_from(number).ok()) else { continue };
            let problem = if !NODE_PORTS.contains(&wanted) {
                let (first, last) = (NODE_PORTS.start, NODE_PORTS.end - 1);
                format!("provided port is not in the valid range. The range of valid ports is {first}-{last}")
            } else if self.node_ports().contains(&wanted) {
                "provided port is already allocated".to_owned()
            } else {
                continue;
            };
            return refused(FieldError::invalid(format!("spec.ports[{index}].nodePort"), &port["nodePort"], &problem));
        }
        Ok(())
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
        let declined = kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] == false;
        if kind == "NodePort" || kind == "LoadBalancer" {
            if !declined {
                self.open_node_ports(service);
            }
            self.open_health_check(service);
        }
    }

    fn open_node_ports(&self, service: &mut Value) {
        let mut taken = self.node_ports();
        for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if port["nodePort"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            if let Some(free) = self.free_node_port(&taken) {
                taken.insert(free);
                fields(port).insert("nodePort".to_owned(), json!(free));
            }
        }
    }

    /// Opens a port that tells whether a node has an endpoint, where only such nodes are to get traffic.
    fn open_health_check(&self, service: &mut Value) {
        let is_local = service["spec"]["type"] == "LoadBalancer" && service["spec"]["externalTrafficPolicy"] == "Local";
        if is_local && service["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0) == 0 {
            let mut taken = self.node_ports();
            taken.extend(own_node_ports(service));
            if let Some(free) = self.free_node_port(&taken) {
                service["spec"]["healthCheckNodePort"] = json!(free);
            }
        }
    }

    fn free_node_port(&self, taken: &BTreeSet<usize>) -> Option<usize> {
        let start = NODE_PORTS.start + self.random().below(NODE_PORTS.len());
        (start..NODE_PORTS.end).chain(NODE_PORTS.start..start).find(|port| !taken.contains(port))
    }

    fn node_ports(&self) -> BTreeSet<usize> {
        let services = self.store().list(&SERVICES, &Selection::all()).0;
        services.iter().flat_map(|service| own_node_ports(service.value())).collect()
    }

    fn addresses(&self) -> BTreeSet<String> {
        let services = self.store().list(&SERVICES, &Selection::all()).0;
        services.iter().map(|service| service.text("/spec/clusterIP").to_owned()).collect()
    }

    /// A free address of 10.96.0.0/16, above the first 256, which are for those who ask for one.
    fn free_address(&self) -> String {
        let taken = self.addresses();
        let start = self.random().below(65_000);
        let address = |number: usize| format!("10.96.{}.{}", number / 256, number % 256);
        let mut candidates = (start..65_000).chain(0..start).map(|number| address(256 + number));
        candidates.find(|address| !taken.contains(address)).unwrap_or_default()
    }
}

/// The ports that a Service opens on nodes.
fn own_node_ports(service: &Value) -> Vec<usize> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
    let ports = ports.chain([&service["spec"]["healthCheckNodePort"]]);
    ports.filter_map(|port| usize::try_from(port.as_u64()?).ok()).collect()
}

/// What a type needs and another does not goes with a change of the type, unless it is changed, too
/// (pkg/registry/core/service/strategy.go:dropTypeDependentFields).
fn drop_unneeded(old: &Value, new: &mut Value) {
    let has_node_ports = |spec: &Value| spec["type"] == "NodePort" || spec["type"] == "LoadBalancer";
    if has_node_ports(old) && !has_node_ports(new) {
        let kept: Vec<Value> = old["ports"].as_array().into_iter().flatten().map(|port| port["nodePort"].clone()).collect();
        for port in new["ports"].as_array_mut().into_iter().flatten() {
            if kept.contains(&port["nodePort"]) {
                fields(port).remove("nodePort");
            }
        }
    }
    let drop = |new: &mut Value, field: &str| {
        if new.get(field) == old.get(field) {
            fields(new).remove(field);
        }
    };
    let is_local = |spec: &Value| spec["type"] == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local";
    if is_local(old) && !is_local(new) {
        drop(new, "healthCheckNodePort");
    }
    if is_reached_from_outside(old) && !is_reached_from_outside(new) {
        drop(new, "externalTrafficPolicy");
    }
    if old["type"] == "LoadBalancer" && new["type"] != "LoadBalancer" {
        drop(new, "allocateLoadBalancerNodePorts");
        drop(new, "loadBalancerClass");
    }
    if old["type"] != "ExternalName" && new["type"] == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            drop(new, field);
        }
    }
}
