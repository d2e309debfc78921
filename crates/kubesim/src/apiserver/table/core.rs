//! The printers of the core group and of what belongs to it.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{NAME, Printer, age, column, list, name, number, or_none, text, wide};

/// How many addresses of an endpoint are shown.
const MAX_ENDPOINTS: usize = 3;

pub(super) static NODES: Printer = Printer {
    columns: &[
        NAME,
        column("Status", "string"),
        column("Roles", "string"),
        column("Age", "string"),
        column("Version", "string"),
        wide("Internal-IP", "string"),
        wide("External-IP", "string"),
        wide("OS-Image", "string"),
        wide("Kernel-Version", "string"),
        wide("Container-Runtime", "string"),
    ],
    cells: node,
};

pub(super) static SERVICES: Printer = Printer {
    columns: &[
        NAME,
        column("Type", "string"),
        column("Cluster-IP", "string"),
        column("External-IP", "string"),
        column("Port(s)", "string"),
        column("Age", "string"),
        wide("Selector", "string"),
    ],
    cells: service,
};

pub(super) static EVENTS: Printer = Printer {
    columns: &[
        column("Last Seen", "string"),
        column("Type", "string"),
        column("Reason", "string"),
        column("Object", "string"),
        wide("Subobject", "string"),
        wide("Source", "string"),
        column("Message", "string"),
        wide("First Seen", "string"),
        wide("Count", "string"),
        super::Column { name: "Name", kind: "string", format: "name", priority: 1 },
    ],
    cells: event,
};

pub(super) static NAMESPACES: Printer = Printer {
    columns: &[NAME, column("Status", "string"), column("Age", "string")],
    cells: |object, now| vec![name(object), json!(text(object, "/status/phase")), age::since_creation(object, now)],
};

pub(super) static CONFIG_MAPS: Printer = Printer {
    columns: &[NAME, column("Data", "string"), column("Age", "string")],
    cells: |object, now| {
        let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
        vec![name(object), json!(count("data") + count("binaryData")), age::since_creation(object, now)]
    },
};

pub(super) static SECRETS: Printer = Printer {
    columns: &[NAME, column("Type", "string"), column("Data", "string"), column("Age", "string")],
    cells: |object, now| {
        let count = object["data"].as_object().map_or(0, serde_json::Map::len);
        vec![name(object), json!(text(object, "/type")), json!(count), age::since_creation(object, now)]
    },
};

pub(super) static ENDPOINTS: Printer = Printer {
    columns: &[NAME, column("Endpoints", "string"), column("Age", "string")],
    cells: |object, now| vec![name(object), endpoints(object), age::since_creation(object, now)],
};

pub(super) static ENDPOINT_SLICES: Printer = Printer {
    columns: &[
        NAME,
        column("AddressType", "string"),
        column("Ports", "string"),
        column("Endpoints", "string"),
        column("Age", "string"),
    ],
    cells: endpoint_slice,
};

pub(super) static LEASES: Printer = Printer {
    columns: &[NAME, column("Holder", "string"), column("Age", "string")],
    cells: |object, now| vec![name(object), json!(text(object, "/spec/holderIdentity")), age::since_creation(object, now)],
};

pub(super) static PRIORITY_CLASSES: Printer = Printer {
    columns: &[
        NAME,
        column("Value", "integer"),
        column("Global-Default", "boolean"),
        column("Age", "string"),
        column("PreemptionPolicy", "string"),
    ],
    cells: |object, now| {
        vec![
            name(object),
            json!(number(object, "/value")),
            json!(object["globalDefault"] == true),
            age::since_creation(object, now),
            json!(text(object, "/preemptionPolicy")),
        ]
    },
};

fn node(node: &Value, now: Timestamp) -> Vec<Value> {
    let ready = list(node, "/status/conditions").iter().find(|condition| condition["type"] == "Ready");
    let mut status = match ready.map(|condition| condition["status"] == "True") {
        Some(true) => "Ready".to_owned(),
        Some(false) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .collect();
    let address = |kind: &str| {
        let found = list(node, "/status/addresses").iter().find(|address| address["type"] == kind);
        or_none(found.map_or("", |address| text(address, "/address")))
    };
    let info = |field: &str| text(node, &format!("/status/nodeInfo/{field}")).to_owned();
    let unknown = |text: String| json!(if text.is_empty() { "<unknown>".to_owned() } else { text });
    let kernel = match (info("kernelVersion"), info("architecture")) {
        (kernel, architecture) if kernel.is_empty() || architecture.is_empty() => kernel,
        (kernel, architecture) => format!("{kernel} ({architecture})"),
    };
    vec![
        name(node),
        json!(status),
        or_none(&roles.join(",")),
        age::since_creation(node, now),
        json!(info("kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        unknown(info("osImage")),
        unknown(kernel),
        unknown(info("containerRuntimeVersion")),
    ]
}

fn service(service: &Value, now: Timestamp) -> Vec<Value> {
    let kind = text(service, "/spec/type");
    let ingress: Vec<&str> = list(service, "/status/loadBalancer/ingress")
        .iter()
        .map(|ingress| if text(ingress, "/ip").is_empty() { text(ingress, "/hostname") } else { text(ingress, "/ip") })
        .collect();
    let external = match kind {
        "ExternalName" => json!(text(service, "/spec/externalName")),
        "LoadBalancer" if ingress.is_empty() => json!("<pending>"),
        "LoadBalancer" => json!(ingress.join(",")),
        _ => {
            let given: Vec<&str> = list(service, "/spec/externalIPs").iter().filter_map(Value::as_str).collect();
            or_none(&given.join(","))
        }
    };
    let ports: Vec<String> = list(service, "/spec/ports")
        .iter()
        .map(|port| {
            let (number_, node, protocol) = (number(port, "/port"), number(port, "/nodePort"), text(port, "/protocol"));
            if node > 0 { format!("{number_}:{node}/{protocol}") } else { format!("{number_}/{protocol}") }
        })
        .collect();
    let selector = service["spec"]["selector"].as_object().into_iter().flatten();
    let selector: Vec<String> = selector.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    vec![
        name(service),
        json!(kind),
        or_none(text(service, "/spec/clusterIP")),
        external,
        or_none(&ports.join(",")),
        age::since_creation(service, now),
        or_none(&selector.join(",")),
    ]
}

fn event(event: &Value, now: Timestamp) -> Vec<Value> {
    let ago = |field: &str| age::since(&event[field], now).map(age::human);
    let first = ago("firstTimestamp").or_else(|| ago("eventTime")).unwrap_or_else(|| "<unknown>".to_owned());
    let series = &event["series"];
    let last = match age::since(&series["lastObservedTime"], now).map(age::human) {
        Some(last) => last,
        None => ago("lastTimestamp").unwrap_or_else(|| first.clone()),
    };
    let count = series["count"].as_i64().or_else(|| event["count"].as_i64()).filter(|count| *count > 0).unwrap_or(1);
    let object = match (text(event, "/involvedObject/kind"), text(event, "/involvedObject/name")) {
        (kind, "") => kind.to_lowercase(),
        (kind, name) => format!("{}/{name}", kind.to_lowercase()),
    };
    let source = match (text(event, "/source/component"), text(event, "/reportingComponent")) {
        ("", reporting) => reporting.to_owned(),
        (component, _) => component.to_owned(),
    };
    let host = match text(event, "/source/host") {
        "" if text(event, "/source/component").is_empty() => text(event, "/reportingInstance"),
        host => host,
    };
    let source = if host.is_empty() { source } else { format!("{source}, {host}") };
    vec![
        json!(last),
        json!(text(event, "/type")),
        json!(text(event, "/reason")),
        json!(object),
        json!(text(event, "/involvedObject/fieldPath")),
        json!(source),
        json!(text(event, "/message").trim()),
        json!(first),
        json!(count),
        name(event),
    ]
}

fn endpoints(endpoints: &Value) -> Value {
    let mut all = Vec::new();
    for subset in list(endpoints, "/subsets") {
        for port in list(subset, "/ports") {
            for address in list(subset, "/addresses") {
                all.push(format!("{}:{}", text(address, "/ip"), number(port, "/port")));
            }
        }
    }
    shortened(&all, MAX_ENDPOINTS)
}

fn endpoint_slice(slice: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = list(slice, "/ports")
        .iter()
        .map(|port| match (port["port"].as_i64(), text(port, "/name")) {
            (Some(number), _) => number.to_string(),
            (None, "") => "*".to_owned(),
            (None, name) => name.to_owned(),
        })
        .collect();
    let addresses: Vec<String> = list(slice, "/endpoints")
        .iter()
        .flat_map(|endpoint| list(endpoint, "/addresses").iter().filter_map(Value::as_str).map(str::to_owned))
        .collect();
    let unset = |list: &[String], shown: Value| if list.is_empty() { json!("<unset>") } else { shown };
    vec![
        name(slice),
        json!(text(slice, "/addressType")),
        unset(&ports, shortened(&ports, MAX_ENDPOINTS)),
        unset(&addresses, shortened(&addresses, MAX_ENDPOINTS)),
        age::since_creation(slice, now),
    ]
}

fn shortened(all: &[String], shown: usize) -> Value {
    if all.len() > shown {
        return json!(format!("{} + {} more...", all[..shown].join(","), all.len() - shown));
    }
    or_none(&all.join(","))
}
