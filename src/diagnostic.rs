//! What is wrong with a file that a person wrote, and where: message, place, snippet, and what would be right.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::scenario::Location;

/// More diagnostics than these are not shown; the rest are counted.
const MOST_SHOWN: usize = 200;

/// How many bytes of a line are shown before what is meant, and from there on.
const SHOWN_BEFORE: usize = 80;
const SHOWN_FROM: usize = 160;

/// How many characters of a message or help are kept: files quote themselves in them.
const LONGEST_MESSAGE: usize = 1000;

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
    /// The place with its file's text, for rendering.
    #[serde(skip)]
    place: Option<Box<Place>>,
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
            place: None,
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
        let Some(place) = &self.place else {
            return self.helped(title.element(match self.location {
                Some(Location { line, column }) => Origin::path(path).line(line).char_column(column),
                None => Origin::path(path),
            }));
        };
        let Excerpt { first_line, text, span, is_clipped } = place.excerpt();
        let snippet = Snippet::source(text).line_start(first_line).annotation(AnnotationKind::Primary.span(span));
        let Location { line, column } = place.location();
        self.helped(if is_clipped {
            // The snippet cannot tell the column.
            title.element(Origin::path(path).line(line).char_column(column)).element(snippet)
        } else {
            title.element(snippet.path(path))
        })
    }

    fn helped<'d>(&'d self, mut group: Group<'d>) -> Vec<Group<'d>> {
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

/// `1 error`, `2 errors`.
pub(crate) fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Some bytes of a file, which a person can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    source: Source,
    span: Range<usize>,
}

/// Lines of a file with the bytes that are meant.
struct Excerpt<'t> {
    first_line: usize,
    text: Cow<'t, str>,
    span: Range<usize>,
    /// The line is longer than what is shown of it.
    is_clipped: bool,
}

impl Place {
    /// An error at this place. Only the first line of it is marked.
    pub(crate) fn error(&self, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: clipped(message.into()),
            file: self.source.0.file.clone(),
            location: Some(self.location()),
            help: help.map(clipped),
            place: Some(Box::new(self.clone())),
        }
    }

    /// A warning at this place.
    pub(crate) fn warning(&self, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        self.error(message, help).into_warning()
    }

    /// Where it begins.
    pub fn location(&self) -> Location {
        self.source.location(self.span.start)
    }

    fn excerpt(&self) -> Excerpt<'_> {
        let source = &self.source;
        let text = source.0.text.as_str();
        let start = source.boundary(self.span.start);
        let line = source.location(start).line;
        let Range { start: begin, end: line_end } = source.line(line);
        let line_end = line_end.max(start);
        let end = source.boundary(self.span.end).clamp(start, line_end);
        let end = start + text[start..end].trim_end().len();
        if line_end - begin <= SHOWN_BEFORE + SHOWN_FROM {
            let above = source.line(line.saturating_sub(1).max(1));
            let is_short = above.len() <= SHOWN_FROM;
            let (first_line, from) = if is_short { (line.saturating_sub(1).max(1), above.start) } else { (line, begin) };
            return Excerpt { first_line, text: text[from..line_end].into(), span: start - from..end - from, is_clipped: false };
        }
        let from = source.boundary(start.saturating_sub(SHOWN_BEFORE).max(begin));
        let to = source.boundary((start + SHOWN_FROM).min(line_end));
        let (head, tail) = (if from > begin { "…" } else { "" }, if to < line_end { "…" } else { "" });
        let shift = |offset: usize| offset.min(to) - from + head.len();
        let shown = format!("{head}{}{tail}", &text[from..to]);
        Excerpt { first_line: line, text: shown.into(), span: shift(start)..shift(end), is_clipped: true }
    }
}

fn clipped(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_MESSAGE) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A file's name and text, which knows lines and columns. Copies share the text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Source(Arc<Contents>);

#[derive(PartialEq, Eq)]
struct Contents {
    file: PathBuf,
    text: String,
    marks: Vec<Mark>,
}

/// A byte whose place is known: the beginning of each line, and of long lines bytes at most [`BETWEEN_MARKS`] apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    offset: usize,
    location: Location,
}

const BETWEEN_MARKS: usize = 512;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.0.file).finish()
    }
}

impl Source {
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        let mut mark = Mark { offset: 0, location: Location { line: 1, column: 1 } };
        let mut marks = vec![mark];
        let mut column = 1;
        for (offset, c) in text.char_indices() {
            if offset - mark.offset >= BETWEEN_MARKS {
                mark = Mark { offset, location: Location { column, ..mark.location } };
                marks.push(mark);
            }
            column += 1;
            if c == '\n' {
                column = 1;
                mark = Mark { offset: offset + 1, location: Location { line: mark.location.line + 1, column } };
                marks.push(mark);
            }
        }
        Self(Arc::new(Contents { file: file.to_owned(), text: text.to_owned(), marks }))
    }

    pub(crate) fn file(&self) -> &Path {
        &self.0.file
    }

    /// These bytes.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        Place { source: self.clone(), span: span.clone() }
    }

    /// The place of a byte.
    pub(crate) fn location(&self, offset: usize) -> Location {
        let offset = self.boundary(offset);
        let after = self.0.marks.partition_point(|mark| mark.offset <= offset);
        let Some(mark) = after.checked_sub(1).and_then(|i| self.0.marks.get(i)) else { return Location::default() };
        Location { column: mark.location.column + self.0.text[mark.offset..offset].chars().count(), ..mark.location }
    }

    /// Where a line of a block scalar (`|`) stands, counted from 0; `span` is the scalar's. None for other texts.
    pub(crate) fn block_line(&self, span: &Range<usize>, line: usize) -> Option<Range<usize>> {
        let text = &self.0.text;
        let start = self.boundary(span.start);
        let (first, header) = match text[start..].strip_prefix('|') {
            Some(header) => (self.location(start).line + 1, header),
            None => (self.location(start).line, text[..start].trim_end()),
        };
        if !text[start..].starts_with('|') && !header.ends_with(['|', '-', '+']) {
            return None;
        }
        let found = self.line(first + line);
        let indented = text[found.clone()].len() - text[found.clone()].trim_start().len();
        (found.start < span.end).then_some(found.start + indented..found.end)
    }

    /// A line without its end, counted from 1.
    fn line(&self, line: usize) -> Range<usize> {
        let marks = &self.0.marks;
        let begin = |line| marks.get(marks.partition_point(|mark| mark.location.line < line)).map(|mark| mark.offset);
        let end = begin(line + 1).map_or(self.0.text.len(), |next| next - 1);
        begin(line).unwrap_or(end)..end
    }

    fn boundary(&self, offset: usize) -> usize {
        self.0.text.floor_char_boundary(offset)
    }
}
