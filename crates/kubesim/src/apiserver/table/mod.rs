//! Tables: what `kubectl get` prints, rendered by the server (pkg/printers/internalversion/printers.go).

mod age;
mod core;
mod pod;
mod workloads;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::ApiServer;
use crate::resource::Resource;

/// A column: name, type, format, whether it is shown by default.
struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    priority: u8,
}

const fn column(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, format: "", priority: 0 }
}

const fn wide(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, format: "", priority: 1 }
}

const NAME: Column = Column { name: "Name", kind: "string", format: "name", priority: 0 };

/// How the objects of a resource are printed.
struct Printer {
    columns: &'static [Column],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
}

/// The columns of what has no columns of its own.
static PLAIN: Printer = Printer {
    columns: &[NAME, column("Age", "string")],
    cells: |object, now| vec![name(object), age::since_creation(object, now)],
};

static SCALES: Printer = Printer {
    columns: &[NAME, column("Desired", "integer"), column("Available", "integer"), column("Age", "string")],
    cells: |scale, now| {
        let [desired, available] = ["/spec/replicas", "/status/replicas"].map(|pointer| json!(number(scale, pointer)));
        vec![name(scale), desired, available, age::since_creation(scale, now)]
    },
};

fn printer(resource: &Resource) -> &'static Printer {
    match (resource.group, resource.plural) {
        ("", "pods") => &pod::PODS,
        ("", "nodes") => &core::NODES,
        ("", "services") => &core::SERVICES,
        ("" | "events.k8s.io", "events") => &core::EVENTS,
        ("", "namespaces") => &core::NAMESPACES,
        ("", "configmaps") => &core::CONFIG_MAPS,
        ("", "secrets") => &core::SECRETS,
        ("", "endpoints") => &core::ENDPOINTS,
        ("discovery.k8s.io", "endpointslices") => &core::ENDPOINT_SLICES,
        ("coordination.k8s.io", "leases") => &core::LEASES,
        ("scheduling.k8s.io", "priorityclasses") => &core::PRIORITY_CLASSES,
        ("policy", "poddisruptionbudgets") => &workloads::BUDGETS,
        ("apps", "deployments") => &workloads::DEPLOYMENTS,
        ("apps", "replicasets") => &workloads::REPLICA_SETS,
        ("apps", "daemonsets") => &workloads::DAEMON_SETS,
        ("apps", "controllerrevisions") => &workloads::REVISIONS,
        ("batch", "jobs") => &workloads::JOBS,
        ("batch", "cronjobs") => &workloads::CRON_JOBS,
        _ => &PLAIN,
    }
}

impl ApiServer {
    /// Objects as a table. `include` is the request's `includeObject`; the columns are described if asked for.
    pub(super) fn table(&self, resource: &'static Resource, objects: Vec<Value>, include: &str, with_columns: bool) -> Value {
        self.print(printer(resource), resource, objects, include, with_columns)
    }

    /// The scale of an object as a table.
    pub(super) fn scale_table(&self, resource: &'static Resource, scale: Value, include: &str) -> Value {
        self.print(&SCALES, resource, vec![scale], include, true)
    }

    fn print(
        &self,
        printer: &Printer,
        resource: &'static Resource,
        objects: Vec<Value>,
        include: &str,
        with_columns: bool,
    ) -> Value {
        let now = self.clock().now();
        let revision = match objects.as_slice() {
            [one] => one["metadata"]["resourceVersion"].clone(),
            _ => json!(self.store().revision().to_string()),
        };
        // What is printed of an event is the same in both groups; the stored form is the one that is printed.
        let stored = |object: &Value| {
            let mut object = object.clone();
            super::events::to_stored(resource, &mut object);
            object
        };
        let rows = objects.into_iter().map(|object| {
            let cells =
                if resource == resource.stored() { (printer.cells)(&object, now) } else { (printer.cells)(&stored(&object), now) };
            let mut row = json!({"cells": cells});
            // Assigned, for `json!` would copy the object.
            match include {
                "Object" => row["object"] = object,
                "None" => {}
                _ => row["object"] = partial(&object),
            }
            row
        });
        let columns = with_columns.then(|| printer.columns.iter().map(describe).collect::<Vec<_>>());
        let mut table = json!({
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": revision}, "columnDefinitions": columns,
        });
        table["rows"] = rows.collect();
        table
    }
}

fn describe(column: &Column) -> Value {
    json!({
        "name": column.name, "type": column.kind, "format": column.format, "description": column.name,
        "priority": column.priority,
    })
}

/// An object's metadata only.
pub(super) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn name(object: &Value) -> Value {
    json!(text(object, "/metadata/name"))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A text, or `<none>`.
fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { "<none>" } else { text })
}

/// The names and images of a template's containers.
fn containers(object: &Value, pointer: &str) -> [Value; 2] {
    ["name", "image"].map(|field| {
        let all: Vec<&str> = list(object, pointer).iter().filter_map(|container| container[field].as_str()).collect();
        json!(all.join(","))
    })
}

/// A label selector as text (apimachinery/pkg/apis/meta/v1:FormatLabelSelector).
fn selector(selector: Option<&Value>) -> Value {
    let Some(selector) = selector.filter(|selector| !selector.is_null()) else { return json!("<none>") };
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in list(selector, "/matchExpressions") {
        let key = text(expression, "/key");
        let values: Vec<&str> = list(expression, "/values").iter().filter_map(Value::as_str).collect();
        parts.push(match text(expression, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.sort();
    or_none(&parts.join(","))
}

#[cfg(test)]
mod tests;
