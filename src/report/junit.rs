//! The report as JUnit XML: a suite a scenario, a test case an expectation, and a suite `labproof` for what went wrong around them.
//!
//! | outcome | in JUnit |
//! |---|---|
//! | pass | a success |
//! | fail | `<failure type="too late">`, the type being the kind of deviation |
//! | inconclusive | `<error type="inconclusive">`: JUnit has no other word for a test that could not tell |
//! | error | `<error type="error">` |
//! | not run | `<skipped>` |
//!
//! There is a failure or an error in it exactly if the exit code is not 0.

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::case::{self, Case, Status};
use super::console::explanation;
use super::model::{Report, ScenarioReport};
use super::text::printable;

/// The report as JUnit XML, with a line end at its end.
pub fn render(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut document = Document::new("labproof");
    document.timestamp = report.started.parse().ok();
    document.set_time(report.duration);
    let run = case::of_run(report);
    if !run.is_empty() {
        let mut suite = TestSuite::new("labproof");
        suite.add_test_cases(run.iter().map(|case| test_case(case, "labproof")));
        document.add_test_suite(suite);
    }
    document.add_test_suites(report.scenarios.iter().map(|scenario| test_suite(report, scenario)));
    document.to_string()
}

fn test_suite(report: &Report, scenario: &ScenarioReport) -> TestSuite {
    let mut suite = TestSuite::new(printable(&scenario.name));
    suite.set_time(scenario.duration);
    let cluster = report.cluster.as_ref();
    let properties = [
        ("file", Some(scenario.file.to_string_lossy().into_owned())),
        ("title", scenario.title.clone()),
        ("namespace", scenario.namespace.clone()),
        ("timeline", scenario.timeline.as_ref().map(|path| path.to_string_lossy().into_owned())),
        ("provider", cluster.map(|facts| facts.provider.clone())),
        ("kubernetes", cluster.map(|facts| facts.kubernetes.clone())),
        ("stand-ins", cluster.map(|facts| facts.stand_ins.join(" "))),
    ];
    suite.add_properties(properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), printable(&value?)))));
    suite.add_test_cases(case::of_scenario(scenario).iter().map(|case| test_case(case, &scenario.name)));
    suite
}

fn test_case(case: &Case<'_>, class: &str) -> TestCase {
    let name = match case.step {
        Some((number, step)) if case.expectation.is_some() => {
            format!("{number} {}: {}", printable(&step.name), printable(case.title))
        }
        Some((number, _)) => format!("{number} {}", printable(case.title)),
        None => case.place().into_iter().fold(printable(case.title), |title, place| format!("{title} {place}")),
    };
    let mut test_case = TestCase::new(name, status(case));
    test_case.set_classname(printable(class));
    if let Some(decided) = case.decided() {
        test_case.set_time(decided);
    }
    if let Some(file) = case.file {
        test_case.extra.insert("file".into(), printable(&file.to_string_lossy()).into());
    }
    if let Some(location) = case.location {
        test_case.extra.insert("line".into(), location.line.to_string().into());
    }
    test_case
}

fn status(case: &Case<'_>) -> TestCaseStatus {
    let mut status = match case.status {
        Status::Pass => return TestCaseStatus::success(),
        Status::NotRun => TestCaseStatus::skipped(),
        Status::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Inconclusive | Status::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if let Some(message) = &case.message {
        status.set_message(printable(message));
    }
    if case.status.is_trouble() {
        let deviation = case.verdict().and_then(|verdict| verdict.deviation);
        status.set_type(deviation.map_or(case.status.word(), |deviation| deviation.words()));
        let place = case.place().map(|place| format!("at {place}\n")).unwrap_or_default();
        status.set_description(place + &explanation(case));
    }
    status
}
