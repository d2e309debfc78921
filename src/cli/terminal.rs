//! Where text goes: data to standard output, everything else to standard error.

use std::io::{self, ErrorKind, Stderr, Stdout, Write};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use labproof::report::Palette;

use super::args::{Color, OutputArgs};
use super::failure::Failure;

/// The two streams and how they are written.
pub(crate) struct Terminal {
    stdout: Stdout,
    stderr: Stderr,
    color: Color,
    /// Only failures and the summary are said.
    pub(crate) quiet: bool,
}

impl Terminal {
    pub(crate) fn new(args: &OutputArgs) -> Self {
        Self { stdout: io::stdout(), stderr: io::stderr(), color: args.color, quiet: args.quiet }
    }

    /// Writes data. A reader that has gone away has read enough; anything else that keeps it from being written is a failure.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::environment(format!("standard output cannot be written to: {error}")))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says what is good to know; with `--quiet` it is not said.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.tell(text);
        }
    }

    /// Says what must be known.
    pub(crate) fn tell(&self, text: &str) {
        // Nobody can be told that nobody can be told.
        let _ = self.stderr.lock().write_all(text.as_bytes());
    }

    /// The colours of standard error.
    pub(crate) fn notes_palette(&self) -> Palette {
        if self.notes_in_color() { Palette::COLOR } else { Palette::PLAIN }
    }

    /// The colours of standard output.
    pub(crate) fn data_palette(&self) -> Palette {
        if self.uses_color(&self.stdout) { Palette::COLOR } else { Palette::PLAIN }
    }

    /// Whether standard error is coloured.
    pub(crate) fn notes_in_color(&self) -> bool {
        self.uses_color(&self.stderr)
    }

    fn uses_color<S: RawStream>(&self, stream: &S) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            // It heeds NO_COLOR, CLICOLOR_FORCE and TERM.
            Color::Auto => AutoStream::choice(stream) != ColorChoice::Never,
        }
    }
}
