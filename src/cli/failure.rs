//! Why a command could not do what it was asked.

use std::fmt::Display;

use labproof::cluster::ProvisionError;
use labproof::diagnostic::{self, Diagnostic};
use labproof::exit_code;

use super::terminal::Terminal;

/// Why a command could not do what it was asked, with its exit code.
pub(crate) enum Failure {
    /// Files are wrong.
    Diagnostics(Vec<Diagnostic>),
    /// Anything else.
    Message { code: u8, text: String, hint: Option<String> },
}

impl Failure {
    /// The command line is wrong.
    pub(crate) fn usage(error: impl Display) -> Self {
        Self::Message { code: exit_code::USAGE, text: error.to_string(), hint: None }
    }

    /// What the command line asks of a cluster is wrong.
    pub(crate) fn wrong_options(error: ProvisionError) -> Self {
        Self::Message { code: exit_code::USAGE, text: error.problem, hint: error.hint }
    }

    /// A signal ended the work before it was done.
    pub(crate) fn interrupted() -> Self {
        Self::Message { code: exit_code::INTERRUPTED, text: "interrupted".to_owned(), hint: None }
    }

    /// A second signal ended the work wherever it was.
    pub(crate) fn stopped_at_once() -> Self {
        let hint = "`labproof clean` removes them; in a context: `labproof clean --context NAME`";
        let text = "interrupted twice and stopped at once: a kind cluster or namespaces may be left".to_owned();
        Self::Message { code: exit_code::INTERRUPTED, text, hint: Some(hint.to_owned()) }
    }

    /// The environment failed.
    pub(crate) fn environment(error: impl Display) -> Self {
        Self::Message { code: exit_code::ENVIRONMENT, text: error.to_string(), hint: None }
    }

    /// Nothing was selected.
    pub(crate) fn nothing_selected(text: String, hint: &str) -> Self {
        Self::Message { code: exit_code::NOTHING_SELECTED, text, hint: Some(hint.to_owned()) }
    }

    /// Says it, and gives the exit code.
    pub(crate) fn show(self, terminal: &Terminal) -> u8 {
        match self {
            Self::Diagnostics(diagnostics) => {
                terminal.tell(&diagnostic::render(&diagnostics, terminal.notes_in_color()));
                exit_code::USAGE
            }
            Self::Message { code, text, hint } => {
                terminal.tell(&format!("error: {text}\n"));
                if let Some(hint) = hint {
                    terminal.tell(&format!("\nhint: {hint}\n"));
                }
                code
            }
        }
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Diagnostics(diagnostics)
    }
}

impl From<ProvisionError> for Failure {
    fn from(error: ProvisionError) -> Self {
        Self::Message { code: exit_code::ENVIRONMENT, text: error.problem, hint: error.hint }
    }
}
