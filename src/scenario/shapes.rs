//! The mappings of a scenario file and their keys. The schema is checked against this table.

/// A mapping of the file format.
#[derive(Debug)]
pub(super) struct Shape {
    /// Its name in the schema.
    pub(super) name: &'static str,
    /// What it is, in messages.
    pub(super) what: &'static str,
    /// The keys that it may have.
    pub(super) keys: &'static [&'static str],
    /// Keys that people put here although they belong elsewhere, with what to do.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
}

macro_rules! shapes {
    ($($constant:ident = $name:literal, $what:literal, [$($key:literal)*] $(, elsewhere [$($wrong:literal => $right:literal)*])?;)*) => {
        $(pub(super) const $constant: Shape = Shape {
            name: $name,
            what: $what,
            keys: &[$($key),*],
            elsewhere: &[$($(($wrong, $right)),*)?],
        };)*
        /// All of them.
        #[cfg(test)]
        pub(super) const ALL: &[Shape] = &[$($constant),*];
    };
}

shapes! {
    SCENARIO = "Scenario", "a scenario", ["name" "title" "tags" "nodes" "steps"], elsewhere [
        "expect" => "put it into a step, below `steps:`"
        "apply" => "put it into a step, below `steps:`"
    ];
    STEP = "Step", "a step",
        ["name" "apply" "delete" "patch" "set" "scale" "exec" "request" "observe" "expect"], elsewhere [
        "pod" => "put it into the step's `expect:`"
        "pods" => "put it into the step's `expect:`"
        "event" => "put it into the step's `expect:`"
        "log" => "put it into the step's `expect:`"
        "wait" => "nothing is waited for but expectations: say `observe: {}` with a `for:`"
        "sleep" => "nothing is waited for but expectations: say `observe: {}` with a `for:`"
        "by" => "times belong to an expectation"
    ];
    OBJECT = "Object", "an object", ["api-version" "kind" "name"], elsewhere [
        "apiVersion" => "write `api-version`"
        "namespace" => "leave it out: each scenario has a namespace of its own"
    ];
    PATCH = "Patch", "a patch", ["object" "type" "patch"];
    SET = "Set", "a `set`", ["object" "field" "from" "to"];
    SCALE = "Scale", "a `scale`", ["object" "replicas"];
    EXEC = "Exec", "an `exec`", ["pod" "container" "command" "exit-code" "stdout"];
    REQUEST = "Request", "a request", ["to" "port" "path" "status" "body"], elsewhere [
        "method" => "leave it out: requests are GET"
    ];
    OBSERVE = "Observe", "`observe`", [];
    OBJECT_EXPECTATION = "ObjectExpectation", "an expectation on objects", [
        "pod" "pods" "deployment" "deployments" "replicaset" "replicasets" "object" "objects"
        "row" "rows" "never" "printed" "by" "at" "for" "between" "tolerance"
    ], elsewhere [
        "ready" => "put it into `row: {…}`"
        "status" => "put it into `row: {…}`"
        "restarts" => "put it into `row: {…}`"
        "fields" => "put it into `row: {…}`"
        "columns" => "put it into `row: {…}`"
        "exists" => "put it into `row: {…}`"
        "last-termination" => "put it into `row: {…}`"
        "count" => "put it beside the selector"
        "match" => "put it beside the selector"
        "selector" => "say `pods: {selector: …}`"
        "line" => "lines are said of a `log`"
        "lines" => "lines are said of a `log`"
        "every" => "only events and log lines recur with `every`"
        "times" => "only events and log lines recur with `every`"
    ];
    EVENT_EXPECTATION = "EventExpectation", "an expectation on events",
        ["event" "never" "by" "at" "for" "every" "tolerance" "times"], elsewhere [
        "row" => "events have no rows: say `type`, `reason` and `message` in `event: {…}`"
        "count" => "put it into `event: {…}`"
        "line" => "lines are said of a `log`; an event has a `message`"
    ];
    LOG_EXPECTATION = "LogExpectation", "an expectation on a log",
        ["log" "line" "lines" "never" "by" "at" "for" "every" "tolerance" "times"], elsewhere [
        "row" => "logs have no rows: say `line:`"
        "rows" => "logs have no rows: say `lines:`"
    ];
    SELECTION = "Selection", "a selection", ["selector" "count" "match" "terminating"], elsewhere [
        "name" => "to name one object say `pod: NAME`"
    ];
    OBJECTS = "Objects", "a selection", ["api-version" "kind" "selector" "count" "match" "terminating"], elsewhere [
        "apiVersion" => "write `api-version`"
        "name" => "to name one object say `object: {…}`"
        "namespace" => "leave it out: each scenario has a namespace of its own"
    ];
    ROW = "Row", "a row", [
        "ready" "status" "restarts" "up-to-date" "available" "desired" "current"
        "columns" "fields" "exists" "last-termination"
    ], elsewhere [
        "by" => "put it beside `row`"
        "at" => "put it beside `row`"
        "for" => "put it beside `row`"
        "count" => "say how many beside the selector"
        "name" => "the object is named by the expectation"
        "age" => "the age is a time: say `at: 20s..30s` beside `row`"
    ];
    TIMED_ROW = "TimedRow", "a row", [
        "ready" "status" "restarts" "up-to-date" "available" "desired" "current"
        "columns" "fields" "exists" "last-termination" "by" "at" "for"
    ], elsewhere [
        "count" => "say how many beside the selector"
        "age" => "the age is a time: say `at: 20s..30s`"
    ];
    NEVER_ROW = "NeverRow", "a forbidden row", [
        "ready" "status" "restarts" "up-to-date" "available" "desired" "current"
        "columns" "fields" "exists" "last-termination" "count"
    ], elsewhere [
        "by" => "what must never be has no deadline: say `for` beside `never`"
        "at" => "what must never be has no window: say `for` beside `never`"
        "for" => "put it beside `never`"
    ];
    LAST_TERMINATION = "LastTermination", "`last-termination`", ["container" "reason" "exit-code"];
    EVENT = "Event", "an event", ["type" "reason" "message" "for-object" "source" "count"], elsewhere [
        "by" => "put it beside `event`"
        "object" => "write `for-object`"
        "involvedObject" => "write `for-object: pod/NAME`"
    ];
    LOG = "Log", "a log", ["pod" "selector" "container" "previous"], elsewhere [
        "line" => "put it beside `log`"
        "lines" => "put it beside `log`"
        "by" => "put it beside `log`"
    ];
    TIMED_LINE = "TimedLine", "a line", ["line" "by" "at"];
}
