//! Recorded timelines: judged again they give what the live run gave.

use labproof::judge::{RecordingError, RunningStep, World, judge_recording};
use labproof::report::{FailureContext, StepReport, StepState};
use labproof::scenario::Scenario;
use labproof::timeline::{ActionResult, Begun, Entry, Observation};
use labproof::verdict::{Deviation, Outcome};
use rstest::rstest;

use crate::mini::{self, ZERO};

const LIVENESS: &str = "\
- pod: web
  rows:
  - {ready: 1/1, status: Running, restarts: 0, by: 15s}
  - {ready: 1/1, restarts: 1, at: 20s..30s}
- event: {reason: Killing}
  by: 40s
- pod: web
  never: {status: OOMKilled}
";

const RECORDING: &str = "\
-1 pod web 0/1 Pending 0
2 pod web 1/1 Running 0
2.5 log web/app[0] Starting server...
25 event Warning Unhealthy web Liveness probe failed
25.8 event Normal Killing web Container app failed liveness probe
30.3 pod web 1/1 Running 1
31 log web/app[1] Starting server...
";

/// What a live run does: it advances when something is due before the next entry, and ends the step when all is decided.
fn run_live(scenario: &Scenario, entries: &[Entry]) -> (StepReport, Vec<Entry>) {
    let mut running = RunningStep::new(&scenario.steps[0], World::default());
    let mut recorded: Vec<Entry> = Vec::new();
    let mut now = ZERO;
    let mut coming = entries.iter().cloned().peekable();
    while !running.is_over() {
        let due = running.due().filter(|due| coming.peek().is_none_or(|next| *due <= next.t));
        if let Some(due) = due {
            running.advance(due);
            now = due;
            continue;
        }
        let entry = coming.next().expect("something is due as long as nothing is decided");
        running.take(recorded.len(), &entry);
        now = entry.t;
        recorded.push(entry);
    }
    let end = Entry { t: now, after: None, what: Observation::StepEnded { step: 0 } };
    running.take(recorded.len(), &end);
    recorded.push(end);
    (running.report(StepState::Done, &recorded), recorded)
}

#[rstest]
#[case::as_it_was(RECORDING)]
#[case::nothing_happens("")]
#[case::it_never_restarts("2 pod web 1/1 Running 0\n")]
#[case::it_is_killed_for_memory("2 pod web 1/1 Running 0\n9 pod web 0/1 OOMKilled 0\n")]
#[case::the_connection_is_lost("2 pod web 1/1 Running 0\n9 lost Pod\n12 back Pod gap\n")]
fn a_recording_is_judged_as_the_live_run(#[case] lines: &str) {
    let scenario = mini::scenario_of(LIVENESS);
    let (live, recorded) = run_live(&scenario, &mini::timeline(lines));
    let replayed = judge_recording(&scenario, &recorded).expect("the scenario's timeline");
    assert_eq!(replayed, [live]);
}

#[test]
fn a_failure_shows_what_was_seen_around_it() {
    let scenario = mini::scenario_of(LIVENESS);
    let (report, _) = run_live(&scenario, &mini::timeline(RECORDING));
    let expectation = &report.expectations[0];
    let verdict = expectation.verdict.as_ref().expect("a verdict");
    assert_eq!((verdict.outcome, verdict.deviation), (Outcome::Fail, Some(Deviation::TooLate)));
    insta::assert_snapshot!(words(expectation.context.as_ref().expect("a failure has a context")));
    assert_eq!(report.expectations[1].context, None, "what passed needs none");
}

fn words(context: &FailureContext) -> String {
    let rows = context.rows.iter().map(|row| {
        let cells: Vec<_> = row.cells.iter().map(|(header, cell)| format!("{header} {cell}")).collect();
        format!("{}{:.1} {} {}", if row.decisive { "> " } else { "  " }, row.t, row.object, cells.join(", "))
    });
    let events = context.events.iter().map(|line| format!("event: {line}"));
    let log = context.log.iter().map(|line| format!("log: {line}"));
    let hint = context.hint.iter().map(|line| format!("hint: {line}"));
    rows.chain(events).chain(log).chain(hint).collect::<Vec<_>>().join("\n")
}

/// What is told of the first expectation if it fails so.
fn context(expectations: &str, lines: &str) -> FailureContext {
    let (report, _) = run_live(&mini::scenario_of(expectations), &mini::timeline(lines));
    report.expectations[0].context.clone().expect("a failure has a context")
}

const NOT_READY: &str = "- pod: web\n  row: {ready: 1/1}\n  by: 10s";

#[rstest]
#[case::a_wrong_port(
    NOT_READY,
    "1 pod web 0/1 Running 0 port=8080\n5 event Warning Unhealthy web Readiness probe failed: Get \"http://10.0.0.1:8081/health\": dial tcp: connect: connection refused\n",
    "the readiness probe asks port 8081, where nothing listens; its container ports are 8080"
)]
#[case::another_warning(
    NOT_READY,
    "1 pod web 0/1 Running 0\n5 event Warning Unhealthy web Readiness probe failed: 503\n",
    "the last warning about it is Unhealthy: Readiness probe failed: 503"
)]
#[case::case_matters(
    "- pod: web\n  row: {status: running}\n  by: 10s",
    "1 pod web 1/1 Running 0\n",
    "it says `Running`, not `running`: upper and lower case differ"
)]
#[case::another_reason(
    "- event: {reason: Unhealty, for-object: pod/web}\n  by: 10s",
    "1 pod web 0/1 Running 0\n5 event Warning Unhealthy web 503\n",
    "the events about these objects since the action had the reasons Unhealthy"
)]
#[case::another_rhythm(
    "- log: {pod: web}\n  line: OK\n  every: 5s\n  times: 3\n  by: 10s",
    "1 log web/app[0] OK\n4 log web/app[0] OK\n",
    "the last two came 3s apart: compare the period with the object's, or allow more `tolerance`"
)]
#[case::no_log_at_all(
    "- log: {pod: web}\n  line: OK\n  by: 10s",
    "1 pod web 0/1 Running 0\n",
    "no log line was seen at all: does the container run, and does it write to its standard output?"
)]
fn a_hint_fits_what_went_wrong(#[case] expectations: &str, #[case] lines: &str, #[case] hint: &str) {
    assert_eq!(context(expectations, lines).hint.as_deref(), Some(hint));
}

#[test]
fn each_event_is_shown_as_it_was_last() {
    let counts: String = (1..=9).map(|i| format!("{i} event Warning Unhealthy web x{i}\n")).collect();
    let context = context(NOT_READY, &format!("1 event Normal Pulled web done\n{counts}"));
    assert_eq!(context.events, ["t+1.0s  Normal  Pulled  pod/web  done", "t+9.0s  Warning  Unhealthy  pod/web   (x9)"]);
}

#[test]
fn a_failure_is_told_at_its_own_row() {
    let scenario = mini::scenario_of("- pod: web\n  rows:\n  - {ready: 0/1}\n  - {ready: 1/1, by: 10s}");
    let (report, _) = run_live(&scenario, &mini::timeline("1 pod web 0/1 Running 0\n"));
    assert_eq!(report.expectations[0].location.line, scenario.steps[0].expect[0].location.line + 3);
}

#[test]
fn a_context_shows_no_more_than_helps_and_always_what_decided() {
    let scenario = mini::scenario_of("- pod: web\n  row: {ready: 1/1}\n  by: 5s\n  for: 60s");
    let changes: String = (0..40).map(|i| format!("{} pod web 1/1 Running {i}\n", 4 + i)).collect();
    let entries = mini::timeline(&format!("{changes}50 pod web 0/1 Running 40\n"));
    let (report, _) = run_live(&scenario, &entries);
    let rows = &report.expectations[0].context.as_ref().expect("a context").rows;
    assert_eq!(rows.len(), 12);
    assert!(rows[0].decisive && (rows[0].t - 4.0).abs() < 1e-6, "{:?}", rows[0]);
    assert!(rows[11].decisive && (rows[11].t - 50.0).abs() < 1e-6, "{:?}", rows[11]);
    assert!(rows[1..11].iter().all(|row| !row.decisive));
}

#[test]
fn what_the_timeline_does_not_begin_is_not_run_and_what_it_does_not_end_is_cut_short() {
    let text = "name: mini\nsteps:\n- observe: {}\n  expect: [{pod: web, row: {ready: 1/1}}]\n- delete: pod/web\n";
    let scenario = labproof::scenario::parse(text, "mini.yaml".as_ref()).expect("a scenario");
    let reports = judge_recording(&scenario, &mini::timeline("2 pod web 0/1 Running 0\n")).expect("its timeline");
    let states: Vec<_> = reports.iter().map(|report| report.state).collect();
    assert_eq!(states, [StepState::CutShort, StepState::NotRun]);
    assert_eq!(reports[0].expectations[0].verdict, None);
    assert_eq!(reports[0].outcome(), Outcome::Inconclusive);
}

#[test]
fn nothing_is_said_of_times_after_an_answer_that_was_lost() {
    let scenario = mini::scenario_of("- pod: web\n  row: {ready: 1/1}\n  by: 5s");
    let mut entries = mini::timeline("2 pod web 1/1 Running 0\n");
    for entry in &mut entries {
        if let Observation::Acted { result, .. } = &mut entry.what {
            *result = ActionResult::Unsure { reason: "connection reset".to_owned() };
        }
    }
    let reports = judge_recording(&scenario, &entries).expect("its timeline");
    assert_eq!(reports[0].outcome(), Outcome::Inconclusive);
}

#[test]
fn what_was_not_watched_is_inconclusive() {
    let scenario = mini::scenario_of("- deployment: web\n  row: {exists: false}\n- pod: web\n  row: {exists: false}");
    let mut entries = mini::timeline("");
    let outcomes = |entries: &[Entry]| {
        let reports = judge_recording(&scenario, entries).expect("its timeline");
        let outcome = |report: &labproof::report::ExpectationReport| report.verdict.as_ref().map(|verdict| verdict.outcome);
        reports[0].expectations.iter().map(outcome).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&entries), [Some(Outcome::Pass), Some(Outcome::Pass)]);
    let kind = |kind: &str| ("v1".to_owned(), kind.to_owned());
    let watched = Some(vec![kind("Event"), kind("Pod")]);
    entries[0].what = Observation::Begun(Begun { watched, ..mini::begun() });
    assert_eq!(outcomes(&entries), [Some(Outcome::Inconclusive), Some(Outcome::Pass)]);
}

/// The container's first instance has written `bye`, and has been replaced, before the second step.
#[test]
fn a_previous_log_is_that_of_the_instance_before_whenever_it_ended() {
    let expect = "expect:\n  - {log: {pod: web, previous: true}, line: bye, by: 5s}\n  - {log: {pod: web, previous: true}, never: bye, for: 5s}\n";
    let text = format!(
        "name: mini\nsteps:\n- observe: {{}}\n  expect: [{{pod: web, row: {{exists: true}}}}]\n- observe: {{}}\n  {expect}"
    );
    let scenario = labproof::scenario::parse(&text, "mini.yaml".as_ref()).expect("a scenario");
    let ticks = "4 log web/app[0] tick\n".repeat(10_000);
    let lines = format!(
        "1 pod web 1/1 Running 0\n{ticks}5 log web/app[0] bye\n6 pod web 1/1 Running 1 ended=Error:2\n7 log web/app[1] hi\n"
    );
    let mut entries = mini::timeline(&lines);
    let at = |seconds, what| Entry { t: ZERO + std::time::Duration::from_secs(seconds), after: None, what };
    entries.push(at(8, Observation::StepEnded { step: 0 }));
    entries.push(at(8, Observation::StepStarted { step: 1, action: "observe".to_owned() }));
    entries.push(at(8, Observation::Acted { step: 1, result: ActionResult::Done }));
    entries.push(at(20, Observation::StepEnded { step: 1 }));
    let reports = judge_recording(&scenario, &entries).expect("its timeline");
    let verdicts: Vec<_> = reports[1].expectations.iter().map(|report| report.verdict.as_ref().expect("a verdict")).collect();
    assert_eq!(verdicts[0].message, "seen at t+0.0s");
    assert_eq!(verdicts[1].message, "the line `bye` was there already when the action was sent, which must never be");
    // Twice restarted, it is no longer the previous one.
    let again = mini::timeline("7.5 pod web 1/1 Running 2 ended=Error:2\n").pop().expect("an entry");
    let ended = entries.iter().position(|entry| matches!(entry.what, Observation::StepEnded { step: 0 })).expect("an end");
    entries.insert(ended, again);
    let reports = judge_recording(&scenario, &entries).expect("its timeline");
    let outcomes: Vec<_> =
        reports[1].expectations.iter().map(|report| report.verdict.as_ref().expect("a verdict").outcome).collect();
    assert_eq!(outcomes, [Outcome::Fail, Outcome::Pass]);
}

#[test]
fn a_cut_off_line_is_left_out_and_a_later_version_is_told() {
    let head = "{\"t\":0.0,\"what\":{\"begun\":{\"version\":1,\"scenario\":\"mini\",\"provider\":\"sim\",\"kubernetes\":\"v1.37.2\",\"epoch\":\"2026-11-23T18:00:00Z\",\"namespace\":\"mini\",\"stand_ins\":[]}}}\n";
    let cut = [head.as_bytes(), "{\"t\":1.0,\"what\":{\"log\":{\"line\":\"é".as_bytes()].concat();
    let read = |bytes: &[u8]| labproof::timeline::read(bytes).map(|entries| entries.len()).map_err(|error| error.to_string());
    assert_eq!(read(&cut), Ok(1));
    assert_eq!(read(&cut[..cut.len() - 1]), Ok(1));
    let later = "{\"t\":\"0\",\"what\":{\"begun\":{\"version\":2}}}\n{\"what\":\"new\"}\n";
    assert_eq!(
        read(later.as_bytes()),
        Err("line 1: the timeline has version 2, this program reads up to 1; use a newer labproof".to_owned())
    );
}

#[test]
fn a_timeline_of_something_else_is_refused() {
    let scenario = mini::scenario_of(LIVENESS);
    let begun = mini::timeline("").remove(0);
    let other = Observation::Begun(Begun { scenario: "other".to_owned(), ..mini::begun() });
    let acting = |step, action: &str| Observation::StepStarted { step, action: action.to_owned() };
    let started = |step| acting(step, "observe");
    let judged = |whats: &[Observation]| {
        let entries: Vec<_> = whats.iter().map(|what| Entry { t: ZERO, after: None, what: what.clone() }).collect();
        judge_recording(&scenario, &entries).expect_err("a refusal").to_string()
    };
    assert_eq!(judged(&[]), RecordingError::Head.to_string());
    assert_eq!(judged(&[started(0)]), RecordingError::Head.to_string());
    assert_eq!(
        judged(&[other]),
        "the timeline is one of the scenario `other`, not of `mini`; judge it with the file that it was recorded with"
    );
    let end = Observation::StepEnded { step: 0 };
    assert_eq!(
        judged(&[begun.what.clone(), started(0), end.clone(), started(1)]),
        "the timeline has a step 2 (observe), but the scenario `mini` has 1; judge it with the file that it was recorded with"
    );
    assert_eq!(
        judged(&[begun.what.clone(), acting(0, "delete pod/web")]),
        "step 1 of the timeline is `delete pod/web`, but that of the scenario `mini` is `observe`; judge it with the file that it was recorded with"
    );
    assert_eq!(
        judged(&[begun.what.clone(), end]),
        "entry 2 of the timeline: step 1 ends without having begun; the file was changed, or it is two timelines in one"
    );
    assert_eq!(
        judged(&[begun.what, started(0), started(1)]),
        "entry 3 of the timeline: step 2 begins before the one before it has ended; the file was changed, or it is two timelines in one"
    );
}
