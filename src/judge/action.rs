//! Judges what an action answered.

use std::time::Duration;

use super::claim::{fail, pass};
use crate::scenario::{Action, ValueMatch};
use crate::timeline::ActionResult;
use crate::verdict::{Deviation, Outcome, Verdict};

/// The verdict on the answer to an action that says what must be answered, or that was refused for good; none for other actions and
/// for those that failed.
pub fn judge_action(action: &Action, result: &ActionResult, decided: Duration, entry: usize) -> Option<Verdict> {
    if let ActionResult::Refused { error } = result {
        return Some(fail(Deviation::Contradicted, decided, format!("refused: {error}"), vec![entry]));
    }
    let (expected, answered, is_like) = match (action, result) {
        (Action::Exec(exec), ActionResult::Executed { exit_code, stdout, stderr }) => {
            let output = stdout.trim_end_matches('\n');
            let expected = answer(&format!("exit code {}", exec.exit_code), "output", exec.stdout.as_ref());
            let errors = if stderr.is_empty() { String::new() } else { format!(", standard error `{}`", stderr.trim_end()) };
            let answered = format!("exit code {exit_code}, output `{output}`{errors}");
            (expected, answered, *exit_code == exec.exit_code && matches(exec.stdout.as_ref(), output))
        }
        (Action::Request(request), ActionResult::Answered { status, body }) => {
            let body = body.trim_end_matches('\n');
            let expected = answer(&format!("status {}", request.status), "body", request.body.as_ref());
            let answered = format!("status {status}, body `{body}`");
            (expected, answered, *status == request.status && matches(request.body.as_ref(), body))
        }
        _ => return None,
    };
    if is_like {
        return Some(pass(decided, format!("answered with {answered}"), vec![entry]));
    }
    let verdict = fail(Deviation::Contradicted, decided, format!("answered with {answered} instead of {expected}"), vec![entry]);
    Some(Verdict { expected: Some(expected), nearest_miss: Some(answered), ..verdict })
}

fn matches(wanted: Option<&ValueMatch>, text: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.matches(text))
}

fn answer(code: &str, what: &str, wanted: Option<&ValueMatch>) -> String {
    wanted.map_or_else(|| code.to_owned(), |wanted| format!("{code}, {what} `{wanted}`"))
}

/// What remains of a verdict if it is not known when the action was carried out, and so from when its times count: nothing.
pub fn unsettled(verdict: &Verdict, reason: &str) -> Verdict {
    let message = format!(
        "it is not known when the action was carried out, because the answer to it was lost ({reason}); {}",
        verdict.message
    );
    Verdict { outcome: Outcome::Inconclusive, deviation: None, message, ..verdict.clone() }
}
