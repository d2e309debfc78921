//! Stand-in images: which workload stands in for which image, and archives of them that a cluster loads.
//!
//! A stand-in has the name and tag of the image whose behaviour it has, so manifests stay untouched. In it are the static
//! server that the program carries (`crates/standin`) and the workload as JSON; nothing is downloaded or built for it.

mod archive;
mod elf;
mod workloads;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use workload::{ParseError, Workload, Workloads};

pub use archive::STAND_IN_LABEL;
pub use elf::NotAServer;
pub use workloads::{builtin, read_directory};

/// The stand-in server that `build.rs` has built; empty if it could not.
static SERVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/standin"));

/// One image in a file, as `kind load image-archive` and `docker load` take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The image's full name: `docker.io/library/busybox:1.36.1`.
    pub image: String,
    /// A tar file in the OCI image layout, which also has the older form's `manifest.json`.
    pub bytes: Vec<u8>,
}

/// Stand-ins that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The program was built without the server.
    #[error(
        "this labproof carries no stand-in server, because it could not be built on the machine where labproof was; name one by --standin FILE"
    )]
    NoServer,
    /// The named server is none.
    #[error("{} cannot be the stand-in server: {problem}; build it with `cargo build --release --package standin --target {target}`", path.display())]
    Server {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: NotAServer,
        /// The Rust target that fits this machine's nodes.
        target: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A workload file says what none can.
    #[error("{}: {source}", path.display())]
    Workload {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParseError,
    },
    /// Two workload files of one directory describe the same image.
    #[error("{} and {} both describe {image}; keep one", first.display(), second.display())]
    Twice {
        /// The image's full name.
        image: String,
        /// The one file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// The stand-ins for a set of images, ready to be written.
#[derive(Debug)]
pub struct StandIns {
    server: Cow<'static, [u8]>,
    /// By full name.
    workloads: BTreeMap<String, Arc<Workload>>,
}

impl StandIns {
    /// Stand-ins for those of `images` that have a workload; the others stay what they are. `standin` names a server to use
    /// instead of the one that the program carries. A server is needed only if there is anything to stand in for.
    pub fn new(images: &BTreeSet<String>, workloads: &Workloads, standin: Option<&Path>) -> Result<Self, ImageError> {
        let known = |image: &String| Some((workload::normalise(image).ok()?, Arc::clone(workloads.get(image)?)));
        let workloads: BTreeMap<_, _> = images.iter().filter_map(known).collect();
        let server = if workloads.is_empty() { Cow::Borrowed(SERVER) } else { server(standin)? };
        Ok(Self { server, workloads })
    }

    /// The full names of the images, in order.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.workloads.keys().map(String::as_str)
    }

    /// Whether there is nothing to stand in for.
    pub fn is_empty(&self) -> bool {
        self.workloads.is_empty()
    }

    /// All images in one archive, the server once: one `kind load image-archive` loads them. The same stand-ins give the
    /// same bytes.
    pub fn archive(&self) -> Vec<u8> {
        archive::write(&self.server, self.workloads.iter().map(|(image, workload)| (image.as_str(), &**workload)))
    }

    /// Each image in an archive of its own.
    pub fn archives(&self) -> Vec<Archive> {
        let one = |(image, workload): (&String, &Arc<Workload>)| Archive {
            image: image.clone(),
            bytes: archive::write(&self.server, [(image.as_str(), &**workload)].into_iter()),
        };
        self.workloads.iter().map(one).collect()
    }

    /// Writes each image's archive into a directory, made if it does not exist; returns the files.
    pub fn build(&self, directory: &Path) -> Result<Vec<PathBuf>, ImageError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| ImageError::Write { path, source }
        };
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let write = |archive: Archive| {
            let path = directory.join(format!("{}.tar", archive.image.replace(['/', ':', '@'], "_")));
            fs::write(&path, archive.bytes).map_err(failed(&path))?;
            Ok(path)
        };
        self.archives().into_iter().map(write).collect()
    }
}

/// An archive for each of `images` that has a workload. Of several, [`StandIns::archive`] makes one file that loads faster.
pub fn stand_in_archives(
    images: &BTreeSet<String>,
    workloads: &Workloads,
    standin: Option<&Path>,
) -> Result<Vec<Archive>, ImageError> {
    Ok(StandIns::new(images, workloads, standin)?.archives())
}

/// The named server if there is one, else the program's own; checked either way.
fn server(named: Option<&Path>) -> Result<Cow<'static, [u8]>, ImageError> {
    let (path, bytes) = match named {
        Some(path) => (path, fs::read(path).map_err(|source| ImageError::Read { path: path.to_owned(), source })?.into()),
        None if SERVER.is_empty() => return Err(ImageError::NoServer),
        None => (Path::new("the stand-in server of this labproof"), Cow::Borrowed(SERVER)),
    };
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    elf::check(&bytes).map_err(|problem| ImageError::Server { path: path.to_owned(), problem, target })?;
    Ok(bytes)
}
