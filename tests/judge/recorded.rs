//! Recorded timelines: judged again they give what the live run gave.

use std::time::{Duration, Instant};

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
fn a_timeline_of_something_else_is_refused() {
    let scenario = mini::scenario_of(LIVENESS);
    let begun = mini::timeline("").remove(0);
    let other = Observation::Begun(Begun { scenario: "other".to_owned(), ..mini::begun() });
    let started = |step| Observation::StepStarted { step, action: "delete pod/web".to_owned() };
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
        "the timeline has a step 2 (delete pod/web), but the scenario `mini` has 1; judge it with the file that it was recorded with"
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

/// `cargo test --release --test judge -- --ignored --nocapture` tells how long it takes.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn judging_is_linear() {
    let kinds = [
        "- pods: {selector: app=web, count: 10}\n  row: {status: Never}\n  by: 20000s\n",
        "- pods: {selector: app=web, count: 10, match: each}\n  row: {status: Never}\n  by: 20000s\n",
        "- pod: web-1\n  row: {status: Never}\n  by: 20000s\n",
        "- pods: {selector: app=web}\n  never: {status: Never}\n  for: 20000s\n",
        "- log: {pod: web-1}\n  line: Never\n  by: 20000s\n",
    ];
    let scenario = mini::scenario_of(&kinds.concat().repeat(10));
    let head = mini::timeline("");
    for size in [25_000_u32, 50_000, 100_000] {
        let seen: Vec<_> = (0..100).map(|i| mini::timeline(&format!("1 pod web-{} 0/1 S{i} 0", i % 10)).remove(3)).collect();
        let more =
            (0..size).map(|i| Entry { t: ZERO + Duration::from_millis(100 * u64::from(i)), ..seen[i as usize % 100].clone() });
        let entries: Vec<_> = head.iter().cloned().chain(more).collect();
        let begun = Instant::now();
        let reports = judge_recording(&scenario, &entries).expect("its timeline");
        assert_eq!(reports[0].expectations.len(), 50);
        eprintln!("{size} entries x 50 expectations: {:?}", begun.elapsed());
    }
}
