//! What is refused because of its form, or of what else there is.

use super::*;

async fn refused<K>(api: &Api<K>, object: Value) -> String
where
    K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
{
    status(api.create(&PostParams::default(), &of(object)).await.unwrap_err()).message
}

#[tokio::test(start_paused = true)]
async fn quantities_are_stored_in_canonical_form_or_refused() {
    let cluster = cluster();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let asking = |cpu: &str| {
        json!({"metadata": {"name": "p"}, "spec": {"schedulerName": "nobody", "containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": "0.5Gi"}}},
        ]}})
    };
    assert_eq!(
        refused(&pods, asking("64Mb")).await,
        "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    let made = pods.create(&PostParams::default(), &of(asking("1000m"))).await.unwrap();
    let requests = made.spec.unwrap().containers.remove(0).resources.unwrap().requests.unwrap();
    assert_eq!((requests["cpu"].0.as_str(), requests["memory"].0.as_str()), ("1", "512Mi"));
}

#[tokio::test(start_paused = true)]
async fn addresses_and_ports_of_services_must_be_free() {
    let cluster = cluster();
    let services: Api<Service> = Api::default_namespaced(cluster.client());
    let service = |name: &str, address: &str, port: u16| {
        json!({"metadata": {"name": name}, "spec": {
            "type": "NodePort", "clusterIP": address, "ports": [{"port": 80, "nodePort": port}],
        }})
    };
    services.create(&PostParams::default(), &of(service("a", "10.96.7.7", 30_080))).await.unwrap();
    let refusals = [
        (
            service("b", "1.2.3.4", 30_081),
            "spec.clusterIPs: Invalid value: [\"1.2.3.4\"]: failed to allocate IP 1.2.3.4: the \
          provided IP (1.2.3.4) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            service("b", "10.96.7.7", 30_081),
            "spec.clusterIPs: Invalid value: [\"10.96.7.7\"]: failed to allocate IP 10.96.7.7: \
          provided IP is already allocated",
        ),
        (
            service("b", "10.96.7.8", 80),
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The \
          range of valid ports is 30000-32767",
        ),
        (service("b", "10.96.7.8", 30_080), "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"),
    ];
    for (service, expected) in refusals {
        assert_eq!(refused(&services, service).await, format!("Service \"b\" is invalid: {expected}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_becomes_internal_loses_its_ports_on_nodes() {
    let cluster = cluster();
    let services: Api<Service> = Api::default_namespaced(cluster.client());
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let mut service = services.create(&PostParams::default(), &of(service)).await.unwrap();
    let address = service.spec.as_ref().unwrap().cluster_ip.clone();
    service.spec.as_mut().unwrap().type_ = Some("ClusterIP".to_owned());
    let spec = services.replace("s", &PostParams::default(), &service).await.unwrap().spec.unwrap();
    assert_eq!((spec.ports.unwrap()[0].node_port, spec.external_traffic_policy), (None, None));
    assert_eq!(spec.cluster_ip, address);
}

#[tokio::test(start_paused = true)]
async fn the_priority_comes_from_the_class() {
    let cluster = cluster();
    let pods: Api<Pod> = Api::default_namespaced(cluster.client());
    let pod = json!({"metadata": {"name": "p"}, "spec": {"priority": 5, "containers": [{"name": "c", "image": "i"}]}});
    assert_eq!(
        refused(&pods, pod).await,
        "pods \"p\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission \
         controller computed 0 from the given PriorityClass name"
    );
}
