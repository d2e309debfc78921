//! The printers of what makes Pods, and of disruption budgets.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{NAME, Printer, age, column, containers, list, name, number, or_none, selector, text, wide};

const TEMPLATE: &str = "/spec/template/spec/containers";

pub(super) static DEPLOYMENTS: Printer = Printer {
    columns: &[
        NAME,
        column("Ready", "string"),
        column("Up-to-date", "string"),
        column("Available", "string"),
        column("Age", "string"),
        wide("Containers", "string"),
        wide("Images", "string"),
        wide("Selector", "string"),
    ],
    cells: |object, now| {
        let [names, images] = containers(object, TEMPLATE);
        vec![
            name(object),
            json!(format!("{}/{}", number(object, "/status/readyReplicas"), number(object, "/spec/replicas"))),
            json!(number(object, "/status/updatedReplicas")),
            json!(number(object, "/status/availableReplicas")),
            age::since_creation(object, now),
            names,
            images,
            selector(object.pointer("/spec/selector")),
        ]
    },
};

pub(super) static REPLICA_SETS: Printer = Printer {
    columns: &[
        NAME,
        column("Desired", "integer"),
        column("Current", "integer"),
        column("Ready", "integer"),
        column("Age", "string"),
        wide("Containers", "string"),
        wide("Images", "string"),
        wide("Selector", "string"),
    ],
    cells: |object, now| {
        let [names, images] = containers(object, TEMPLATE);
        vec![
            name(object),
            json!(number(object, "/spec/replicas")),
            json!(number(object, "/status/replicas")),
            json!(number(object, "/status/readyReplicas")),
            age::since_creation(object, now),
            names,
            images,
            selector(object.pointer("/spec/selector")),
        ]
    },
};

pub(super) static DAEMON_SETS: Printer = Printer {
    columns: &[
        NAME,
        column("Desired", "integer"),
        column("Current", "integer"),
        column("Ready", "integer"),
        column("Up-to-date", "integer"),
        column("Available", "integer"),
        column("Node Selector", "string"),
        column("Age", "string"),
        wide("Containers", "string"),
        wide("Images", "string"),
        wide("Selector", "string"),
    ],
    cells: |object, now| {
        let [names, images] = containers(object, TEMPLATE);
        let nodes = object.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object).into_iter().flatten();
        let nodes: Vec<String> = nodes.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        vec![
            name(object),
            json!(number(object, "/status/desiredNumberScheduled")),
            json!(number(object, "/status/currentNumberScheduled")),
            json!(number(object, "/status/numberReady")),
            json!(number(object, "/status/updatedNumberScheduled")),
            json!(number(object, "/status/numberAvailable")),
            or_none(&nodes.join(",")),
            age::since_creation(object, now),
            names,
            images,
            selector(object.pointer("/spec/selector")),
        ]
    },
};

pub(super) static REVISIONS: Printer = Printer {
    columns: &[NAME, column("Controller", "string"), column("Revision", "string"), column("Age", "string")],
    cells: |object, now| {
        let owner = list(object, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true);
        let owner = owner.map(|owner| {
            let group = text(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
            format!("{}.{group}/{}", text(owner, "/kind").to_lowercase(), text(owner, "/name"))
        });
        vec![
            name(object),
            or_none(&owner.unwrap_or_default()),
            json!(number(object, "/revision")),
            age::since_creation(object, now),
        ]
    },
};

pub(super) static JOBS: Printer = Printer {
    columns: &[
        NAME,
        column("Status", "string"),
        column("Completions", "string"),
        column("Duration", "string"),
        column("Age", "string"),
        wide("Containers", "string"),
        wide("Images", "string"),
        wide("Selector", "string"),
    ],
    cells: job,
};

pub(super) static CRON_JOBS: Printer = Printer {
    columns: &[
        NAME,
        column("Schedule", "string"),
        column("Timezone", "string"),
        column("Suspend", "boolean"),
        column("Active", "integer"),
        column("Last Schedule", "string"),
        column("Age", "string"),
        wide("Containers", "string"),
        wide("Images", "string"),
        wide("Selector", "string"),
    ],
    cells: |object, now| {
        let [names, images] = containers(object, "/spec/jobTemplate/spec/template/spec/containers");
        let last = &object["status"]["lastScheduleTime"];
        vec![
            name(object),
            json!(text(object, "/spec/schedule")),
            or_none(text(object, "/spec/timeZone")),
            json!(if object["spec"]["suspend"] == true { "True" } else { "False" }),
            json!(list(object, "/status/active").len()),
            if last.is_null() { json!("<none>") } else { json!(age::ago(last, now)) },
            age::since_creation(object, now),
            names,
            images,
            selector(object.pointer("/spec/jobTemplate/spec/selector")),
        ]
    },
};

pub(super) static BUDGETS: Printer = Printer {
    columns: &[
        NAME,
        column("Min Available", "string"),
        column("Max Unavailable", "string"),
        column("Allowed Disruptions", "integer"),
        column("Age", "string"),
    ],
    cells: |object, now| {
        let amount = |field: &str| match &object["spec"][field] {
            Value::String(text) => json!(text),
            Value::Number(number) => json!(number.to_string()),
            _ => json!("N/A"),
        };
        vec![
            name(object),
            amount("minAvailable"),
            amount("maxUnavailable"),
            json!(number(object, "/status/disruptionsAllowed")),
            age::since_creation(object, now),
        ]
    },
};

fn job(job: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(job, TEMPLATE);
    let is = |kind: &str| {
        list(job, "/status/conditions").iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    let status = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if job["metadata"].get("deletionTimestamp").is_some() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    let succeeded = number(job, "/status/succeeded");
    let completions = match (job["spec"]["completions"].as_i64(), number(job, "/spec/parallelism")) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let start = age::since(&job["status"]["startTime"], now);
    let duration = match (start, age::since(&job["status"]["completionTime"], now)) {
        (Some(start), Some(end)) => age::human(start - end),
        (Some(start), None) => age::human(start),
        (None, _) => String::new(),
    };
    vec![
        name(job),
        json!(status),
        json!(completions),
        json!(duration),
        age::since_creation(job, now),
        names,
        images,
        selector(job.pointer("/spec/selector")),
    ]
}
