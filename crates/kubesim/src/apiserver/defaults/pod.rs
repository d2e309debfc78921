//! The defaults of Pods and of the templates that make them (pkg/apis/core/v1/defaults.go).

use serde_json::{Value, json};

use super::{default, elements, fields, nested};

/// Fills in the spec of a Pod itself, which has more defaults than one in a template.
pub(super) fn default_pod(spec: &mut Value) {
    default_spec(spec);
    default(spec, "enableServiceLinks", true);
    // What is negative was once taken for one second.
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        spec["terminationGracePeriodSeconds"] = json!(1);
    }
    for list in ["initContainers", "containers"] {
        elements(spec, list).for_each(|container| default_requests(nested(container, "resources")));
    }
}

/// Fills in a Pod's spec, also in a template.
pub(super) fn default_spec(spec: &mut Value) {
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "schedulerName", "default-scheduler");
    nested(spec, "securityContext");
    let host_network = spec["hostNetwork"] == true;
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in elements(spec, list) {
            default_container(container, host_network);
        }
    }
    for volume in elements(spec, "volumes") {
        default_volume(volume);
    }
    // What was once called serviceAccount is kept in step (pkg/apis/core/v1/conversion.go).
    let name =
        if spec["serviceAccountName"].is_string() { spec["serviceAccountName"].clone() } else { spec["serviceAccount"].clone() };
    if name.as_str().is_some_and(|name| !name.is_empty()) {
        fields(spec).insert("serviceAccountName".to_owned(), name.clone());
        fields(spec).insert("serviceAccount".to_owned(), name);
    }
}

fn default_container(container: &mut Value, host_network: bool) {
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", policy);
    default(container, "terminationMessagePath", "/dev/termination-log");
    default(container, "terminationMessagePolicy", "File");
    nested(container, "resources");
    for port in elements(container, "ports") {
        default(port, "protocol", "TCP");
        if host_network {
            let number = port["containerPort"].clone();
            default(port, "hostPort", number);
        }
    }
    for variable in elements(container, "env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(field, "apiVersion", "v1");
        }
        if let Some(resource) = variable.pointer_mut("/valueFrom/resourceFieldRef") {
            default(resource, "divisor", "0");
        }
    }
    drop_stop_signal(container);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).filter(|probe| probe.is_object()) {
            default_probe(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(get) = container.pointer_mut(&format!("/lifecycle/{hook}/httpGet")) {
            default_http_get(get);
        }
    }
}

/// The signal to stop with is a feature that is off by default (`ContainerStopSignals`).
fn drop_stop_signal(container: &mut Value) {
    let Some(lifecycle) = container.get_mut("lifecycle").filter(|lifecycle| lifecycle.is_object()) else { return };
    let had = fields(lifecycle).remove("stopSignal").is_some();
    if had && fields(lifecycle).is_empty() {
        fields(container).remove("lifecycle");
    }
}

/// Whether an image's tag is `latest`, also by having none (pkg/util/parsers). A digest is not.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// What is limited and not requested is requested as much.
fn default_requests(resources: &mut Value) {
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    let requests = nested(resources, "requests");
    for (name, limit) in limits {
        default(requests, &name, limit);
    }
}

fn default_probe(probe: &mut Value) {
    default(probe, "timeoutSeconds", 1);
    default(probe, "periodSeconds", 10);
    default(probe, "successThreshold", 1);
    default(probe, "failureThreshold", 3);
    // Zero means the default, too, except for the threshold of the initial delay.
    for (field, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
        if probe[field] == 0 {
            probe[field] = json!(value);
        }
    }
    if probe["initialDelaySeconds"] == 0 {
        fields(probe).remove("initialDelaySeconds");
    }
    if let Some(get) = probe.get_mut("httpGet").filter(|get| get.is_object()) {
        default_http_get(get);
    }
    if let Some(grpc) = probe.get_mut("grpc").filter(|grpc| grpc.is_object()) {
        default(grpc, "service", "");
    }
}

fn default_http_get(get: &mut Value) {
    default(get, "path", "/");
    if get["path"] == "" {
        get["path"] = json!("/");
    }
    default(get, "scheme", "HTTP");
}

fn default_volume(volume: &mut Value) {
    const SOURCES: [&str; 3] = ["secret", "configMap", "downwardAPI"];
    if fields(volume).keys().all(|key| key == "name") {
        fields(volume).insert("emptyDir".to_owned(), json!({}));
    }
    for source in SOURCES {
        if let Some(source) = volume.get_mut(source).filter(|source| source.is_object()) {
            default(source, "defaultMode", 420);
            default_items(source);
        }
    }
    if let Some(projected) = volume.get_mut("projected").filter(|projected| projected.is_object()) {
        default(projected, "defaultMode", 420);
        for source in elements(projected, "sources") {
            if let Some(token) = source.get_mut("serviceAccountToken").filter(|token| token.is_object()) {
                default(token, "expirationSeconds", 3_600);
            }
            if let Some(downward) = source.get_mut("downwardAPI") {
                default_items(downward);
            }
        }
    }
    if let Some(image) = volume.get_mut("image").filter(|image| image.is_object()) {
        let policy = if is_latest(image["reference"].as_str().unwrap_or_default()) { "Always" } else { "IfNotPresent" };
        default(image, "pullPolicy", policy);
    }
    if let Some(host) = volume.get_mut("hostPath").filter(|host| host.is_object()) {
        default(host, "type", "");
    }
}

fn default_items(source: &mut Value) {
    for item in elements(source, "items") {
        if let Some(field) = item.get_mut("fieldRef") {
            default(field, "apiVersion", "v1");
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("busybox", true)]
    #[case("busybox:latest", true)]
    #[case("localhost:5000/busybox", true)]
    #[case("localhost:5000/busybox:1", false)]
    #[case("busybox@sha256:0", false)]
    fn the_latest_image_is_always_pulled(#[case] image: &str, #[case] latest: bool) {
        assert_eq!(is_latest(image), latest);
    }

    #[test]
    fn a_probe_gets_its_defaults() {
        let mut spec = json!({"containers": [{"name": "c", "image": "i:1", "livenessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 0}}]});
        default_spec(&mut spec);
        let expected = json!({
            "httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        });
        assert_eq!(spec["containers"][0]["livenessProbe"], expected);
        assert_eq!(spec["terminationGracePeriodSeconds"], 30);
    }

    #[test]
    fn what_is_limited_is_requested() {
        let mut spec = json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]});
        default_pod(&mut spec);
        assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "500m", "memory": "1Gi"}));
    }
}
