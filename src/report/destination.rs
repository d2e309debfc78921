//! Where reports go: `--report junit=FILE,json=FILE,md=FILE`.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::model::Report;
use super::{json, junit, markdown};

/// A format of a report that goes to a file or to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// JUnit XML.
    Junit,
    /// JSON, which `labproof report` reads back.
    Json,
    /// GitHub-flavoured Markdown.
    Markdown,
}

/// One report that was asked for: `junit=FILE`, or `junit=-` for standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The format.
    pub format: Format,
    /// The file; none is standard output.
    pub file: Option<PathBuf>,
}

/// Why a report cannot be or was not written.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// More than one report for standard output.
    #[error("{0} and {1}: only one report can go to standard output")]
    TwoToStdout(Destination, Destination),
    /// Two reports would overwrite each other.
    #[error("{0} and {1}: two reports cannot go to the same file")]
    SameFile(Destination, Destination),
    /// The path names a directory.
    #[error("{0}: this is a directory; name a file in it")]
    Directory(Destination),
    /// The file must not be written.
    #[error("{0}: the file is read-only")]
    ReadOnly(Destination),
    /// Its directory does not exist and cannot be created.
    #[error("{destination}: the directory {} cannot be created: {error}", directory.display())]
    CreateDirectory {
        /// The report.
        destination: Destination,
        /// The directory.
        directory: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It cannot be written.
    #[error("{destination}: the report cannot be written: {error}")]
    Write {
        /// The report.
        destination: Destination,
        /// Why.
        error: io::Error,
    },
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not FORMAT=FILE, as in `junit=report.xml`"))?;
        let format = match format {
            "junit" => Format::Junit,
            "json" => Format::Json,
            "md" | "markdown" => Format::Markdown,
            other => return Err(format!("there is no format `{other}`; there are junit, json and md")),
        };
        match file {
            "" => Err(format!("`{text}` names no file; `-` is standard output")),
            "-" => Ok(Self { format, file: None }),
            file => Ok(Self { format, file: Some(file.into()) }),
        }
    }
}

impl Display for Destination {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}={}", self.format.word(), file.display()),
            None => write!(f, "{}=-", self.format.word()),
        }
    }
}

impl Format {
    /// The word on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Json => "json",
            Self::Markdown => "md",
        }
    }

    /// The report in this format.
    pub fn render(self, report: &Report) -> io::Result<String> {
        match self {
            Self::Junit => junit::render(report).map_err(io::Error::other),
            Self::Json => json::render(report).map_err(io::Error::other),
            Self::Markdown => Ok(markdown::render(report)),
        }
    }
}

impl Destination {
    /// Whether this report can be written, found out by doing all of it but the writing: missing directories are created.
    fn check(&self) -> Result<(), DestinationError> {
        let Some(file) = &self.file else { return Ok(()) };
        match fs::metadata(file) {
            Ok(found) if found.is_dir() => return Err(DestinationError::Directory(self.clone())),
            Ok(found) if found.permissions().readonly() => return Err(DestinationError::ReadOnly(self.clone())),
            Ok(found) if !found.is_file() => return Ok(()),
            _ => {}
        }
        let directory = directory(file);
        fs::create_dir_all(directory).map_err(|error| DestinationError::CreateDirectory {
            destination: self.clone(),
            directory: directory.to_owned(),
            error,
        })?;
        temporary(directory).map(drop).map_err(|error| self.cannot_write(error))
    }

    fn write(&self, report: &Report, stdout: &mut dyn Write) -> Result<(), DestinationError> {
        let written = self.format.render(report).and_then(|text| match &self.file {
            Some(file) => replace(file, text.as_bytes()),
            None => print(stdout, text.as_bytes()),
        });
        written.map_err(|error| self.cannot_write(error))
    }

    fn cannot_write(&self, error: io::Error) -> DestinationError {
        DestinationError::Write { destination: self.clone(), error }
    }

    /// The same for two paths to one file, as far as it can be told before it exists.
    fn identity(&self) -> Option<PathBuf> {
        let file = self.file.as_ref()?;
        let directory = fs::canonicalize(directory(file)).ok()?;
        Some(fs::canonicalize(file).unwrap_or_else(|_| directory.join(file.file_name().unwrap_or_default())))
    }
}

/// Finds out before the run whether all reports can be written after it; creates missing directories. Gives every error.
pub fn check_all(destinations: &[Destination]) -> Result<(), Vec<DestinationError>> {
    let mut errors: Vec<_> = destinations.iter().filter_map(|destination| destination.check().err()).collect();
    for (i, later) in destinations.iter().enumerate() {
        let earlier = &destinations[..i];
        if later.file.is_none() {
            errors
                .extend(earlier.iter().find(|d| d.file.is_none()).map(|d| DestinationError::TwoToStdout(d.clone(), later.clone())));
        } else if let Some(identity) = later.identity() {
            let same = earlier.iter().find(|d| d.identity().as_ref() == Some(&identity));
            errors.extend(same.map(|d| DestinationError::SameFile(d.clone(), later.clone())));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Writes every report; one that cannot be written does not keep the others from it. Gives every error.
pub fn write_all(report: &Report, destinations: &[Destination], stdout: &mut dyn Write) -> Result<(), Vec<DestinationError>> {
    let errors: Vec<_> = destinations.iter().filter_map(|destination| destination.write(report, stdout).err()).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Writes the reports that go to regular files, and only these: what is known so far, before the run is over. What is written once
/// cannot be taken back elsewhere.
pub fn write_files(report: &Report, destinations: &[Destination]) -> Result<(), Vec<DestinationError>> {
    let is_regular = |file: &PathBuf| fs::metadata(file).map_or(true, |found| found.is_file());
    let files: Vec<_> = destinations.iter().filter(|d| d.file.as_ref().is_some_and(is_regular)).cloned().collect();
    write_all(report, &files, &mut io::sink())
}

/// Writes a file so that a reader sees all of it or what was there before. A link stays a link; what is no regular file (a pipe,
/// `/dev/stderr`) cannot be replaced and is written to.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if fs::metadata(&file).is_ok_and(|found| !found.is_file()) {
        return fs::OpenOptions::new().write(true).open(&file)?.write_all(bytes);
    }
    let directory = directory(&file);
    // It may have been removed since it was checked.
    fs::create_dir_all(directory)?;
    let mut temporary = temporary(directory)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(&file).map(drop).map_err(|error| error.error)
}

/// A new file beside the report, made as any other: less what the umask takes away. (Of `tempfile`'s own making nobody else could
/// read it, other steps of a CI included, and its errors name the path, which nobody has asked for.)
fn temporary(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let create = |path: &Path| fs::OpenOptions::new().write(true).create_new(true).open(path);
    tempfile::Builder::new().prefix(".labproof-report-").make_in(directory, create)
}

fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whoever reads standard output may have seen enough (`| head`).
fn print(stdout: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
