//! Where text goes: data to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Stderr, Stdout, Write};

use labproof::live::Verbosity;
use labproof::report::Palette;

use super::args::{Color, OutputArgs};

/// The two streams and how they are written.
pub(crate) struct Terminal {
    stdout: Stdout,
    stderr: Stderr,
    color: Color,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

impl Terminal {
    pub(crate) fn new(args: &OutputArgs) -> Self {
        Self { stdout: io::stdout(), stderr: io::stderr(), color: args.color, quiet: args.quiet, verbose: args.verbose > 0 }
    }

    /// How much is shown while a run goes on.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, false) => Verbosity::Normal,
            (false, true) => Verbosity::Verbose,
        }
    }

    /// Writes data. A reader that has gone away has read enough.
    pub(crate) fn data(&self, text: &str) {
        let _ = self.stdout.lock().write_all(text.as_bytes());
    }

    /// Writes anything else.
    pub(crate) fn note(&self, text: &str) {
        let _ = self.stderr.lock().write_all(text.as_bytes());
    }

    /// The colours of standard error.
    pub(crate) fn notes_palette(&self) -> Palette {
        self.palette(self.stderr.is_terminal())
    }

    /// The colours of standard output.
    pub(crate) fn data_palette(&self) -> Palette {
        self.palette(self.stdout.is_terminal())
    }

    fn palette(&self, is_terminal: bool) -> Palette {
        if self.uses_color(is_terminal) { Palette::COLOR } else { Palette::PLAIN }
    }

    /// Whether standard error is coloured.
    pub(crate) fn notes_in_color(&self) -> bool {
        self.uses_color(self.stderr.is_terminal())
    }

    fn uses_color(&self, is_terminal: bool) -> bool {
        let is_set = |variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if is_set("NO_COLOR") => false,
            Color::Auto => is_terminal || std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0"),
        }
    }
}
