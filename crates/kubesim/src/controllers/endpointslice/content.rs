//! What the endpoints of a Service are (`endpointslice/utils.go`).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{
            EndpointAddress, EndpointPort as CorePort, EndpointSubset, Endpoints, ObjectReference, Pod, Service, ServicePort,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::{
    controllers::{ownership, pods},
    selector::LabelSelector,
};

/// The label by which a slice names its Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What a Service selects; nothing of one without a selector, whose endpoints are somebody else's business.
pub(super) fn selector(service: &Service) -> Option<LabelSelector> {
    let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() != Some("ExternalName"))?;
    spec.selector.as_ref().filter(|selector| !selector.is_empty()).map(LabelSelector::from_labels)
}

/// Whether two versions of a Pod are the same to those who want to reach it.
pub(super) fn same_endpoint(a: &Pod, b: &Pod) -> bool {
    let seen = |pod: &Pod| (address(pod).map(str::to_owned), pods::is_ready(pod), pods::is_deleting(pod), pods::is_terminal(pod));
    seen(a) == seen(b)
}

fn address(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|address| !address.is_empty())
}

fn publishes_unready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

/// The number of a Service's port on a Pod: its own, or that of the container port with the name.
fn port_number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
            let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
            let same = |own: &&k8s_openapi::api::core::v1::ContainerPort| own.name.as_ref() == Some(name);
            ports.find(same).map(|own| own.container_port)
        }
    }
}

type Ports = Vec<(Option<String>, String, i32)>;

fn ports(service: &Service, pod: &Pod) -> Ports {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let numbered = ports.filter_map(|port| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((port.name.clone(), protocol, port_number(port, pod)?))
    });
    numbered.collect()
}

fn target(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// The Pods that can be reached at all, with their addresses.
fn reachable(pods: &[Arc<Pod>]) -> impl Iterator<Item = (&Arc<Pod>, String)> {
    let alive = pods.iter().filter(|pod| !pods::is_terminal(pod));
    alive.filter_map(|pod| address(pod).map(|address| (pod, address.to_owned())))
}

/// The slices of a Service with these Pods: one for each set of ports, because a named port may have different numbers; one
/// without ports and endpoints if there are no Pods.
pub(super) fn slices(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSlice> {
    let mut by_ports: BTreeMap<Ports, Vec<Endpoint>> = BTreeMap::new();
    for (pod, address) in reachable(pods) {
        by_ports.entry(ports(service, pod)).or_default().push(endpoint(service, pod, address));
    }
    if by_ports.is_empty() {
        by_ports.insert(Ports::new(), Vec::new());
    }
    by_ports.into_iter().map(|(ports, endpoints)| slice(service, ports, endpoints)).collect()
}

fn endpoint(service: &Service, pod: &Pod, address: String) -> Endpoint {
    let (serving, terminating) = (pods::is_ready(pod), pods::is_deleting(pod));
    Endpoint {
        addresses: vec![address],
        conditions: Some(EndpointConditions {
            ready: Some(publishes_unready(service) || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        node_name: Some(pods::node_name(pod).to_owned()),
        target_ref: Some(target(pod)),
        ..Endpoint::default()
    }
}

fn slice(service: &Service, ports: Ports, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let name = ownership::name(&service.metadata);
    let port = |(name, protocol, number): (Option<String>, String, i32)| EndpointPort {
        name: Some(name.unwrap_or_default()),
        protocol: Some(protocol),
        port: Some(number),
        app_protocol: None,
    };
    let mut labels: BTreeMap<String, String> = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), name.to_owned());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![ownership::controller_reference::<Service>(&service.metadata)]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports.into_iter().map(port).collect()),
    }
}

/// Whether a slice is of this Service and this controller: others may make slices of their own.
pub(super) fn is_own(slice: &EndpointSlice, service: &str) -> bool {
    let label = |name: &str| slice.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    label(SERVICE_NAME) == Some(service) && label(MANAGED_BY) == Some(CONTROLLER)
}

/// The Endpoints of a Service with these Pods.
pub(super) fn endpoints(service: &Service, pods: &[Arc<Pod>]) -> Endpoints {
    let mut by_ports: BTreeMap<Ports, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for (pod, ip) in reachable(pods).filter(|(pod, _)| !pods::is_deleting(pod)) {
        let address =
            EndpointAddress { ip, hostname: None, node_name: Some(pods::node_name(pod).to_owned()), target_ref: Some(target(pod)) };
        let (ready, unready) = by_ports.entry(ports(service, pod)).or_default();
        if pods::is_ready(pod) || publishes_unready(service) { ready.push(address) } else { unready.push(address) }
    }
    let port = |(name, protocol, number): (Option<String>, String, i32)| CorePort {
        name,
        protocol: Some(protocol),
        port: number,
        app_protocol: None,
    };
    let some = |mut addresses: Vec<EndpointAddress>| {
        addresses.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!addresses.is_empty()).then_some(addresses)
    };
    let subset = |(ports, (ready, unready)): (Ports, (Vec<_>, Vec<_>))| EndpointSubset {
        addresses: some(ready),
        not_ready_addresses: some(unready),
        ports: Some(ports.into_iter().map(port).collect()),
    };
    let subsets: Vec<_> = by_ports.into_iter().map(subset).collect();
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert("endpoints.kubernetes.io/managed-by".to_owned(), "endpoint-controller".to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}
