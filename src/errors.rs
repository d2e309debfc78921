//! Errors in words.

use std::error::Error;

/// An error with its causes, each once: kube's errors repeat their source in their own text.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What the API server answered, without the fields of its answer; other errors with their causes.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => format!("{} ({})", status.message, status.code),
        kube::Error::Api(status) => format!("{} ({})", status.reason, status.code),
        other => chain(other),
    }
}

/// What reports say of a fault in labproof: it is not one of the material.
pub(crate) fn itself_failed(problem: &str) -> String {
    format!("labproof itself failed: {problem}")
}
