//! What is wrong with a file that a person wrote, and where: message, place, snippet, and what would be right.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::scenario::Location;

/// More lines than this of one file are not shown; the rest are counted.
const MOST_SHOWN: usize = 100;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It can be run, but may not do what was meant.
    Warning,
    /// It cannot be run.
    Error,
}

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// The file, as it was named.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The place; none if the file as a whole is meant.
    pub location: Option<Location>,
    /// What would be right.
    pub help: Option<String>,
    /// The lines around the place, for rendering.
    #[serde(skip)]
    excerpt: Option<Box<Excerpt>>,
}

/// Some lines of a file with the bytes that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    first_line: usize,
    text: String,
    span: Range<usize>,
}

/// A path that is not UTF-8 must not cost the report.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub fn about_file(file: &Path, message: impl Into<String>, help: Option<&str>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            file: file.to_owned(),
            location: None,
            help: help.map(str::to_owned),
            excerpt: None,
        }
    }

    /// An error at a place of a file whose text is not at hand.
    pub fn at(file: &Path, location: Location, message: impl Into<String>, help: Option<&str>) -> Self {
        Self { location: Some(location), ..Self::about_file(file, message, help) }
    }

    /// The same as a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether the file cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn group(&self) -> Vec<Group<'_>> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = self.file.to_string_lossy().into_owned();
        let title = level.primary_title(self.message.as_str());
        let mut group = match &self.excerpt {
            Some(excerpt) => title.element(
                Snippet::source(excerpt.text.as_str())
                    .line_start(excerpt.first_line)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(excerpt.span.clone())),
            ),
            None => title.element(match self.location {
                Some(Location { line, column }) => Origin::path(path).line(line).char_column(column),
                None => Origin::path(path),
            }),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        vec![group]
    }
}

/// One line: `file:line:column: error: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Location { line, column }) = self.location {
            write!(f, "{line}:{column}:")?;
        }
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {word}: {}", self.message)
    }
}

/// Diagnostics as a compiler prints them, with their snippets and a line that counts them; empty if there are none.
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(MOST_SHOWN) {
        out.push_str(&renderer.render(&diagnostic.group()));
        out.push_str("\n\n");
    }
    if let Some(more) = diagnostics.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        out.push_str("… and ");
        out.push_str(&more.to_string());
        out.push_str(" more\n\n");
    }
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let counts = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let words: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| plural(*n, word)).collect();
    if !words.is_empty() {
        out.push_str(&words.join(", "));
        out.push('\n');
    }
    out
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// A file's name and text, which knows lines and columns.
pub(crate) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &'a Path, text: &'a str) -> Self {
        let line_starts = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        Self { file, text, line_starts: line_starts.collect() }
    }

    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    /// The place of a byte.
    pub(crate) fn location(&self, offset: usize) -> Location {
        let offset = self.boundary(offset);
        let line = self.line_of(offset);
        Location { line: line + 1, column: self.text[self.line_starts[line]..offset].chars().count() + 1 }
    }

    /// An error at these bytes. Only the first line of them is marked.
    pub(crate) fn error(&self, span: &Range<usize>, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            file: self.file.to_owned(),
            location: Some(self.location(span.start)),
            help,
            excerpt: Some(Box::new(self.excerpt(span))),
        }
    }

    fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let start = self.boundary(span.start);
        let line = self.line_of(start);
        let first = line.saturating_sub(1);
        let begin = self.line_starts[first];
        let line_end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let end = self.boundary(span.end).clamp(start, line_end.max(start));
        let trimmed = self.text[start..end].trim_end().len();
        Excerpt {
            first_line: first + 1,
            text: self.text[begin..line_end.max(start)].to_owned(),
            span: start - begin..(start + trimmed).max(start) - begin,
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}
