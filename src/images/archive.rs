//! Image archives: the OCI image layout in a tar file, with the `manifest.json` of `docker save` beside it.
//!
//! containerd (and so `kind load image-archive`) reads the layout, older Dockers the manifest. Nothing in the bytes depends
//! on time, user or machine.

use std::{collections::BTreeMap, io};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use workload::Workload;

use super::elf::architecture;

/// The label by which a stand-in image is recognised; its value is `true`.
pub const STAND_IN_LABEL: &str = "labproof.dev/stand-in";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
/// The annotation from which containerd takes an image's full name.
const NAME: &str = "io.containerd.image.name";

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SERVER: &str = "/standin";

/// Writes one archive with all the images, given as full names and their workloads.
pub(super) fn write<'a>(server: &[u8], images: impl Iterator<Item = (&'a str, &'a Workload)>) -> Vec<u8> {
    let mut blobs = Blobs::default();
    let mut manifests = Vec::new();
    let mut docker = Vec::new();
    // The server's layer is the same in all of them and so is there once.
    let program = blobs.add(LAYER_TYPE, layer(&[File::program("standin", server)]));
    for (image, workload) in images {
        let behaviour = blobs.add(LAYER_TYPE, layer(&behaviour_files(workload)));
        let layers = [program.clone(), behaviour];
        let config = blobs.add(CONFIG_TYPE, json(&config(workload, &layers)));
        docker.push(DockerImage {
            config: config.path(),
            repo_tags: [image.to_owned()],
            layers: layers.iter().map(Descriptor::path).collect(),
        });
        let manifest = blobs.add(MANIFEST_TYPE, json(&Manifest { schema_version: 2, media_type: MANIFEST_TYPE, config, layers }));
        manifests.push(Descriptor { annotations: BTreeMap::from([(NAME, image.to_owned())]), ..manifest });
    }
    let index = json(&Index { schema_version: 2, manifests });
    let blobs: Vec<_> = blobs.0.iter().map(|(digest, bytes)| (format!("blobs/sha256/{digest}"), bytes)).collect();
    let mut files: Vec<File> = blobs.iter().map(|(path, bytes)| File::plain(path, bytes)).collect();
    let docker = json(&docker);
    files.push(File::plain("index.json", &index));
    files.push(File::plain("manifest.json", &docker));
    files.push(File::plain("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#));
    layer(&files)
}

fn behaviour_files(workload: &Workload) -> Vec<File<'static>> {
    let mut files = vec![File::owned("workload.json", workload.to_json().into_bytes())];
    if workload.shell {
        files.push(File { path: "bin/".into(), content: Content::Directory });
        files.push(File { path: "tmp/".into(), content: Content::Directory });
        files.extend(workload::COMMANDS.map(|command| File { path: format!("bin/{command}"), content: Content::Link(SERVER) }));
    }
    files
}

fn config(workload: &Workload, layers: &[Descriptor]) -> Image {
    // An image with a command of its own has no entry point, so that a Pod's `args` are the command, as in the original.
    let (entrypoint, cmd) =
        if workload.run.is_empty() { (vec![SERVER.to_owned()], Vec::new()) } else { (Vec::new(), workload.run.clone()) };
    Image {
        architecture: architecture(),
        os: "linux",
        created: "1970-01-01T00:00:00Z",
        config: Execution {
            env: [PATH],
            entrypoint,
            cmd,
            labels: BTreeMap::from([(STAND_IN_LABEL, "true")]),
            exposed_ports: workload.listen.iter().map(|listen| (format!("{}/tcp", listen.port), BTreeMap::new())).collect(),
        },
        rootfs: RootFs { kind: "layers", diff_ids: layers.iter().map(|layer| layer.digest.clone()).collect() },
    }
}

/// A file, as it goes into a tar archive.
struct File<'a> {
    path: String,
    content: Content<'a>,
}

enum Content<'a> {
    Plain(&'a [u8]),
    Owned(Vec<u8>),
    Program(&'a [u8]),
    Link(&'a str),
    Directory,
}

impl<'a> File<'a> {
    fn plain(path: &str, bytes: &'a [u8]) -> Self {
        Self { path: path.to_owned(), content: Content::Plain(bytes) }
    }

    fn owned(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), content: Content::Owned(bytes) }
    }

    fn program(path: &str, bytes: &'a [u8]) -> Self {
        Self { path: path.to_owned(), content: Content::Program(bytes) }
    }
}

/// A tar archive of the files, in their order, all root's and of the year 1970.
fn layer(files: &[File<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let written = files.iter().try_for_each(|file| append(&mut tar, file)).and_then(|()| tar.into_inner());
    written.expect("writing to memory does not fail, and all paths are short")
}

fn append(tar: &mut Builder<Vec<u8>>, file: &File<'_>) -> io::Result<()> {
    let (kind, mode, bytes) = match &file.content {
        Content::Plain(bytes) => (EntryType::Regular, 0o644, *bytes),
        Content::Owned(bytes) => (EntryType::Regular, 0o644, bytes.as_slice()),
        Content::Program(bytes) => (EntryType::Regular, 0o755, *bytes),
        Content::Link(_) => (EntryType::Symlink, 0o777, &[][..]),
        Content::Directory => (EntryType::Directory, 0o755, &[][..]),
    };
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    if let Content::Link(target) = &file.content {
        header.set_link_name(target)?;
    }
    tar.append_data(&mut header, &file.path, bytes)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("these types are always valid JSON")
}

/// Contents by their SHA-256 in hexadecimal.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    fn add(&mut self, media_type: &'static str, bytes: Vec<u8>) -> Descriptor {
        let hex = Sha256::digest(&bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let descriptor =
            Descriptor { media_type, digest: format!("sha256:{hex}"), size: bytes.len(), annotations: BTreeMap::new() };
        self.0.insert(hex, bytes);
        descriptor
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 2],
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

impl Descriptor {
    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }
}

#[derive(Serialize)]
struct Image {
    architecture: &'static str,
    os: &'static str,
    created: &'static str,
    config: Execution,
    rootfs: RootFs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    env: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cmd: Vec<String>,
    labels: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: [String; 1],
    layers: Vec<String>,
}
