//! Timelines in a small language, one observation a line, in seconds since the step's action:
//!
//! ```text
//! -5   pod web 0/1 Running 0 app=web     a Pod with its cells; more words set other things, see `word`
//! 3..9 pod web 1/1 Running 0             seen at 9, but it may have happened at any time since 3
//! 4    gone pod web                      it is deleted
//! 4    deployment web 0/3 3 0            READY, UP-TO-DATE, AVAILABLE
//! 5    event Warning Unhealthy web x2    an event about pod/web that has occurred twice
//! 6    log web/app[0] Starting           a line of the container's first instance
//! 7    lost Pod                          the watch of Pods is interrupted (`lost log web/app[0]` for a log)
//! 8    back Pod                          it goes on; `back Pod gap` if changes may be missing
//! 9    acted                             the action is answered; at 0 if nothing is said
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use labproof::judge::{RunningStep, World};
use labproof::scenario::{self, Scenario, Step};
use labproof::timeline::{
    ActionResult, Begun, Change, Entry, Instance, LogLine, ObjectObservation, Observation, Stream, TIMELINE_VERSION,
};
use labproof::verdict::Verdict;
use serde_json::{Map, Value, json};

/// The time of the timeline at which the step's action is sent.
pub(crate) const ZERO: Duration = Duration::from_secs(1000);

/// A scenario of one step that observes, with the expectations given in YAML, as items of a list.
pub(crate) fn scenario_of(expectations: &str) -> Scenario {
    let indented: String = expectations.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!("name: mini\nsteps:\n- observe: {{}}\n  expect:\n{indented}");
    scenario::parse(&text, Path::new("mini.yaml")).unwrap_or_else(|errors| panic!("{text}\n{errors:?}"))
}

/// The whole timeline of one step, from its head on.
pub(crate) fn timeline(lines: &str) -> Vec<Entry> {
    let mut before = vec![Entry { t: Duration::ZERO, after: None, what: Observation::Begun(begun()) }];
    let mut after = Vec::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let entry = entry(line).unwrap_or_else(|| panic!("not a line of a mini timeline: `{line}`"));
        if entry.t < ZERO { before.push(entry) } else { after.push(entry) }
    }
    before.push(Entry { t: ZERO, after: None, what: Observation::StepStarted { step: 0, action: "observe".to_owned() } });
    if !after.iter().any(|entry| matches!(entry.what, Observation::Acted { .. })) {
        before.push(Entry { t: ZERO, after: None, what: acted() });
    }
    before.extend(after);
    before
}

pub(crate) fn begun() -> Begun {
    Begun {
        version: TIMELINE_VERSION,
        scenario: "mini".to_owned(),
        provider: "sim".to_owned(),
        kubernetes: "v1.37.2".to_owned(),
        epoch: "2026-11-23T18:00:00Z".to_owned(),
        namespace: "mini".to_owned(),
        stand_ins: Vec::new(),
        watched: None,
    }
}

pub(crate) fn acted() -> Observation {
    Observation::Acted { step: 0, result: ActionResult::Done }
}

/// The verdicts on a whole timeline, after which nothing happens any more.
pub(crate) fn judge(step: &Step, entries: &[Entry]) -> Vec<Option<Verdict>> {
    let mut running = RunningStep::new(step, World::default());
    for (position, entry) in entries.iter().enumerate() {
        running.take(position, entry);
    }
    let_time_pass(&mut running);
    running.verdicts()
}

/// Advances to each time that is due, until nothing is.
pub(crate) fn let_time_pass(running: &mut RunningStep<'_>) {
    let mut last = None;
    while let Some(due) = running.due() {
        assert!(last.is_none_or(|last| due >= last), "{due:?} is due after {last:?}");
        last = Some(due);
        running.advance(due);
        assert!(running.due() != last || running.is_over(), "{due:?} stays due");
    }
}

/// A verdict in one line and what belongs to it.
pub(crate) fn words(verdict: Option<&Verdict>) -> String {
    let Some(verdict) = verdict else { return "undecided\n".to_owned() };
    let deviation = verdict.deviation.map(|d| format!(" ({})", d.words())).unwrap_or_default();
    let decided = verdict.decided.as_secs_f64();
    let facts = [("expected", &verdict.expected), ("nearest miss", &verdict.nearest_miss), ("cause", &verdict.cause)];
    let facts: String = facts.into_iter().filter_map(|(name, fact)| Some(format!("  {name}: {}\n", fact.as_ref()?))).collect();
    format!("{}{deviation} at t+{decided:.1}s: {}\n{facts}", verdict.outcome.word(), verdict.message)
}

fn entry(line: &str) -> Option<Entry> {
    let (time, rest) = line.trim().split_once(char::is_whitespace)?;
    let (after, t) = match time.split_once("..") {
        Some((after, t)) => (Some(at(after)?), at(t)?),
        None => (None, at(time)?),
    };
    Some(Entry { t, after, what: observation(rest.trim())? })
}

fn at(seconds: &str) -> Option<Duration> {
    let seconds: f64 = seconds.parse().ok()?;
    Duration::try_from_secs_f64(1000.0 + seconds).ok()
}

fn observation(text: &str) -> Option<Observation> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match kind {
        "acted" => acted(),
        "log" => {
            let (instance, line) = rest.split_once(' ')?;
            Observation::Log(LogLine { instance: self::instance(instance)?, line: line.to_owned() })
        }
        "lost" => Observation::Interrupted { stream: stream(rest)?, reason: "broken".to_owned() },
        "back" => {
            let gap = rest.ends_with(" gap");
            Observation::Resumed { stream: stream(rest.trim_end_matches(" gap"))?, gap }
        }
        "gone" => {
            let Observation::Object(object) = observation(&format!("{rest} - - -"))? else { return None };
            Observation::Object(Arc::new(ObjectObservation { change: Change::Deleted, ..(*object).clone() }))
        }
        "event" => Observation::Object(Arc::new(event(rest)?)),
        _ => Observation::Object(Arc::new(object(kind, rest)?)),
    })
}

fn instance(text: &str) -> Option<Instance> {
    let (pod, rest) = text.split_once('/')?;
    let (container, restart) = rest.strip_suffix(']')?.split_once('[')?;
    Some(Instance {
        pod: pod.to_owned(),
        uid: format!("pod-{pod}-1"),
        container: container.to_owned(),
        restart: restart.parse().ok()?,
    })
}

fn stream(text: &str) -> Option<Stream> {
    if let Some(name) = text.strip_prefix("log ") {
        return Some(Stream::Log(instance(name)?));
    }
    let api_version = if text == "Deployment" { "apps/v1" } else { "v1" };
    Some(Stream::Watch { api_version: api_version.to_owned(), kind: text.to_owned() })
}

fn event(text: &str) -> Option<ObjectObservation> {
    let mut words = text.split(' ');
    let (event_type, reason, pod) = (words.next()?, words.next()?, words.next()?);
    let rest: Vec<_> = words.collect();
    let count = rest.iter().find_map(|word| word.strip_prefix('x')?.parse::<u32>().ok());
    let message: Vec<_> = rest.iter().filter(|word| count.is_none() || !word.starts_with('x')).copied().collect();
    let name = format!("{pod}.{reason}");
    let object = json!({
        "metadata": {"name": name}, "type": event_type, "reason": reason, "message": message.join(" "), "count": count.unwrap_or(1),
        "involvedObject": {"kind": "Pod", "name": pod}, "source": {"component": "kubelet"},
    });
    Some(observed("Event", "v1", &name, &format!("event-{name}"), object))
}

fn object(kind: &str, text: &str) -> Option<ObjectObservation> {
    let (kind, api_version, headers) = match kind {
        "pod" => ("Pod", "v1", ["READY", "STATUS", "RESTARTS"]),
        "deployment" => ("Deployment", "apps/v1", ["READY", "UP-TO-DATE", "AVAILABLE"]),
        _ => return None,
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let name = *words.first()?;
    let metadata = json!({"name": name, "labels": {"app": "web"}, "creationTimestamp": "2026-11-23T18:16:40Z"});
    let selector = json!({"matchLabels": {"app": "web"}});
    let spec = json!({"selector": selector, "containers": [{"name": "app"}]});
    let object = json!({"metadata": metadata, "spec": spec, "status": {}});
    let uid = format!("{}-{name}-1", kind.to_lowercase());
    let mut observed = observed(kind, api_version, name, &uid, object);
    let cells = headers.iter().zip(words.iter().skip(1));
    observed.columns = cells.map(|(header, cell)| ((*header).to_owned(), (*cell).to_owned())).collect();
    words.iter().skip(4).try_for_each(|text| word(&mut observed, text))?;
    Some(observed)
}

fn observed(kind: &str, api_version: &str, name: &str, uid: &str, object: Value) -> ObjectObservation {
    ObjectObservation {
        change: Change::Modified,
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        columns: [].into(),
        object,
    }
}

/// `app=other` sets a label, `uid=2` makes it another object, `initial`, `terminating`, `owned`, `unschedulable`, `phase=Failed`,
/// `waiting=ErrImagePull` (`waiting=ErrImagePull:the_message`), `ended=Error:2`, `terminated=Error:2` if no other instance has taken its
/// place (of container `app`, with as many restarts as RESTARTS says), `two-containers`, `port=80`, `ends` (it runs on a node, and is not restarted).
fn word(observed: &mut ObjectObservation, text: &str) -> Option<()> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let restarts: u32 = observed.columns.get("RESTARTS").and_then(|cell| cell.parse().ok()).unwrap_or(0);
    let object = &mut observed.object;
    let status = |container: Value| {
        let mut all = json!({"name": "app", "image": "web:1", "restartCount": restarts});
        all.as_object_mut()?.extend(container.as_object()?.clone());
        Some(all)
    };
    match key {
        "uid" => observed.uid = format!("{}-{}-{value}", observed.kind.to_lowercase(), observed.name),
        "initial" => observed.change = Change::Initial,
        "app" => object["metadata"]["labels"]["app"] = json!(value),
        "terminating" => object["metadata"]["deletionTimestamp"] = json!("2026-11-23T18:00:00Z"),
        "owned" => object["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "controller": true}]),
        "unschedulable" => {
            object["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]);
        }
        "phase" => object["status"]["phase"] = json!(value),
        "waiting" => {
            let (reason, message) = value.split_once(':').unwrap_or((value, "web:1: not found"));
            let waiting = json!({"state": {"waiting": {"reason": reason, "message": message.replace('_', " ")}}});
            object["status"]["containerStatuses"] = json!([status(waiting)?]);
        }
        "port" => object["spec"]["containers"][0]["ports"] = json!([{"containerPort": value.parse::<u16>().ok()?}]),
        "two-containers" => object["spec"]["containers"] = json!([{"name": "app"}, {"name": "sidecar"}]),
        "ends" => {
            object["spec"]["restartPolicy"] = json!("Never");
            object["spec"]["nodeName"] = json!("node");
        }
        "ended" => {
            let (reason, code) = value.split_once(':')?;
            let code: i64 = code.parse().ok()?;
            let last = json!({"lastState": {"terminated": {"reason": reason, "exitCode": code}}, "state": {"running": Map::new()}});
            object["status"]["containerStatuses"] = json!([status(last)?]);
        }
        "terminated" => {
            let (reason, code) = value.split_once(':')?;
            let code: i64 = code.parse().ok()?;
            object["status"]["containerStatuses"] =
                json!([status(json!({"state": {"terminated": {"reason": reason, "exitCode": code}}}))?]);
        }
        _ => return None,
    }
    Some(())
}
