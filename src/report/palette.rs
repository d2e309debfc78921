//! The colours of the console; what they say is said in words too.

use anstyle::{AnsiColor, Style};

use super::case::Status;

/// The styles of the console.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    pass: Style,
    fail: Style,
    doubt: Style,
    strong: Style,
    weak: Style,
}

impl Palette {
    /// No colour at all.
    pub const PLAIN: Self =
        Self { pass: Style::new(), fail: Style::new(), doubt: Style::new(), strong: Style::new(), weak: Style::new() };

    /// The terminal's own sixteen colours.
    pub const COLOR: Self = Self {
        pass: AnsiColor::Green.on_default(),
        fail: AnsiColor::Red.on_default().bold(),
        doubt: AnsiColor::Yellow.on_default(),
        strong: Style::new().bold(),
        weak: Style::new().dimmed(),
    };

    pub(crate) fn strong(self, text: &str) -> String {
        paint(self.strong, text)
    }

    pub(crate) fn weak(self, text: &str) -> String {
        paint(self.weak, text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        paint(self.pass, text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        paint(self.fail, text)
    }

    pub(crate) fn doubtful(self, text: &str) -> String {
        paint(self.doubt, text)
    }

    pub(super) fn status(self, status: Status, text: &str) -> String {
        match status {
            Status::Pass => self.good(text),
            Status::NotRun => self.weak(text),
            Status::Inconclusive => self.doubtful(text),
            Status::Fail | Status::Error => self.bad(text),
        }
    }
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
