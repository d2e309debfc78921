//! Stand-in images: the archives as containerd and Docker will read them, and the server in them.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::Path,
};

use labproof::images::{STAND_IN_LABEL, StandIns, builtin, stand_in_archives};
use rstest::rstest;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

struct Entry {
    kind: EntryType,
    mode: u32,
    bytes: Vec<u8>,
    link: Option<String>,
}

/// A tar file's entries by path; checks that none says when or by whom it was made.
fn entries(tar: &[u8]) -> BTreeMap<String, Entry> {
    let mut all = BTreeMap::new();
    for entry in Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        let link = entry.link_name().unwrap().map(|target| target.display().to_string());
        let path = entry.path().unwrap().display().to_string();
        let before = all.insert(path, Entry { kind: header.entry_type(), mode: header.mode().unwrap(), bytes, link });
        assert!(before.is_none(), "a path is there twice");
    }
    all
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The blob that a descriptor names, if it is what the descriptor says.
fn blob<'a>(entries: &'a BTreeMap<String, Entry>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = &entries[&format!("blobs/sha256/{digest}")].bytes;
    assert_eq!(format!("{:x}", Hex(Sha256::digest(bytes).as_slice())), digest);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An image as containerd unpacks it.
struct Image {
    name: String,
    config: Value,
    files: BTreeMap<String, Entry>,
}

/// Reads the OCI layout, and checks that `manifest.json` says the same.
fn images(archive: &[u8]) -> Vec<Image> {
    let entries = entries(archive);
    assert_eq!(json(&entries["oci-layout"].bytes)["imageLayoutVersion"], "1.0.0");
    let docker = json(&entries["manifest.json"].bytes);
    let index = json(&entries["index.json"].bytes);
    let descriptors = index["manifests"].as_array().unwrap();
    assert_eq!(descriptors.len(), docker.as_array().unwrap().len());
    let path = |descriptor: &Value| format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
    let mut images = Vec::new();
    for (descriptor, docker) in descriptors.iter().zip(docker.as_array().unwrap()) {
        let manifest = json(blob(&entries, descriptor));
        let config = json(blob(&entries, &manifest["config"]));
        let name = descriptor["annotations"]["io.containerd.image.name"].as_str().unwrap().to_owned();
        assert_eq!(docker["RepoTags"], serde_json::json!([name]));
        assert_eq!(docker["Config"], path(&manifest["config"]));
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(docker["Layers"], layers.iter().map(path).collect::<Value>());
        // The layers are not compressed, so their digests are those of their contents.
        assert_eq!(config["rootfs"]["diff_ids"], layers.iter().map(|layer| layer["digest"].clone()).collect::<Value>());
        let files = layers.iter().flat_map(|layer| self::entries(blob(&entries, layer))).collect();
        images.push(Image { name, config, files });
    }
    images
}

fn set(images: &[&str]) -> BTreeSet<String> {
    images.iter().map(ToString::to_string).collect()
}

const HELLO: &str = "blux2/hello-server:1.6";
const BUSYBOX: &str = "busybox:1.36.1";

#[test]
fn an_archive_is_whole_and_has_the_original_name() {
    let wanted = set(&[HELLO, BUSYBOX, "docker.io/library/busybox:1.36.1", "nginx:1.25.3"]);
    let stand_ins = StandIns::new(&wanted, &builtin(), None).unwrap();
    let images = images(&stand_ins.archive());
    let names: Vec<_> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["docker.io/blux2/hello-server:1.6", "docker.io/library/busybox:1.36.1"]);
    assert_eq!(names, stand_ins.images().collect::<Vec<_>>());
    for image in &images {
        let server = &image.files["standin"];
        assert_eq!((server.kind, server.mode), (EntryType::Regular, 0o755));
        let played = std::str::from_utf8(&image.files["workload.json"].bytes).unwrap();
        assert_eq!(workload::Workload::from_json(played).unwrap(), **builtin().get(&image.name).unwrap());
        assert_eq!(image.config["os"], "linux");
        assert_eq!(image.config["config"]["Labels"][STAND_IN_LABEL], "true");
    }
}

#[test]
fn a_server_is_the_entry_point_and_a_command_is_found() {
    let stand_ins = StandIns::new(&set(&[HELLO, BUSYBOX]), &builtin(), None).unwrap();
    let [hello, busybox] = &images(&stand_ins.archive())[..] else { panic!("two images") };
    assert_eq!(hello.config["config"]["Entrypoint"], serde_json::json!(["/standin"]));
    assert!(hello.config["config"]["ExposedPorts"]["8080/tcp"].is_object());
    assert!(!hello.files.keys().any(|path| path.starts_with("bin")));
    assert_eq!(busybox.config["config"]["Entrypoint"], Value::Null);
    assert_eq!(busybox.config["config"]["Cmd"], serde_json::json!(["sh"]));
    for command in ["bin/sh", "bin/sleep", "bin/busybox"] {
        let link = &busybox.files[command];
        assert_eq!((link.kind, link.link.as_deref()), (EntryType::Symlink, Some("/standin")));
    }
}

#[test]
fn the_same_stand_ins_have_the_same_bytes() {
    let all: BTreeSet<String> = builtin().iter().map(|(image, _)| image.to_owned()).collect();
    let [one, other] = [(); 2].map(|()| StandIns::new(&all, &builtin(), None).unwrap().archive());
    assert!(one == other);
    // One server for all: twelve of them would be twelve times as much.
    let server = images(&one)[0].files["standin"].bytes.len();
    assert!(one.len() < server + 12 * 16 * 1024, "{} bytes with a server of {server}", one.len());
}

#[test]
fn each_image_can_have_an_archive_of_its_own() {
    let archives = stand_in_archives(&set(&[HELLO, BUSYBOX, "nginx"]), &builtin(), None).unwrap();
    for archive in &archives {
        let [image] = &images(&archive.bytes)[..] else { panic!("one image") };
        assert_eq!(image.name, archive.image);
    }
    let directory = tempfile::tempdir().unwrap();
    let made = StandIns::new(&set(&[HELLO, BUSYBOX]), &builtin(), None).unwrap().build(&directory.path().join("new")).unwrap();
    let names: Vec<_> = made.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["docker.io_blux2_hello-server_1.6.tar", "docker.io_library_busybox_1.36.1.tar"]);
    let written: Vec<_> = made.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(written.iter().zip(&archives).all(|(written, archive)| *written == archive.bytes));
}

#[test]
fn without_a_known_image_nothing_is_needed() {
    let missing = Path::new("/does/not/exist");
    let stand_ins = StandIns::new(&set(&["nginx", "not an image"]), &builtin(), Some(missing)).unwrap();
    assert!(stand_ins.is_empty());
    assert_eq!(stand_ins.archives(), []);
}

#[rstest]
#[case::missing(None, "cannot read ")]
#[case::script(Some(&b"#!/bin/sh\n"[..]), "cannot be the stand-in server: it is no 64-bit Linux program (ELF); build it with `cargo")]
fn a_server_that_is_none_is_refused(#[case] content: Option<&[u8]>, #[case] reason: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server");
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
    }
    let error = StandIns::new(&set(&[HELLO]), &builtin(), Some(&path)).unwrap_err().to_string();
    assert!(error.contains(reason) && error.contains(path.to_str().unwrap()), "{error}");
}

#[cfg(target_os = "linux")]
mod server {
    use std::{
        io::{BufRead, BufReader},
        os::unix::fs::PermissionsExt,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn a_dynamic_program_is_refused() {
        // Test programs are dynamically linked.
        let this = std::env::current_exe().unwrap();
        let error = StandIns::new(&set(&[HELLO]), &builtin(), Some(&this)).unwrap_err().to_string();
        assert!(error.contains("it is dynamically linked"), "{error}");
    }

    /// The server out of an archive, started in an empty environment with the workload out of the same archive.
    #[test]
    fn what_is_in_the_archive_runs() {
        let archives = stand_in_archives(&set(&[HELLO]), &builtin(), None).unwrap();
        let image = &images(&archives[0].bytes)[0];
        let directory = tempfile::tempdir().unwrap();
        let [server, workload] = ["standin", "workload.json"].map(|name| {
            let path = directory.path().join(name);
            fs::write(&path, &image.files[name].bytes).unwrap();
            path
        });
        fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).unwrap();
        // The port is taken, which shows that it comes from the environment and ends the server.
        let taken = std::net::TcpListener::bind("[::]:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut command = Command::new(&server);
        command.env_clear().env("STANDIN_WORKLOAD", &workload).env("PORT", port.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
        let taken = format!("listen tcp :{port}: bind: address already in use");
        assert_eq!(lines, [format!("Starting server on port {port}"), taken]);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        // It can be named as a server, too.
        let named = stand_in_archives(&set(&[HELLO]), &builtin(), Some(&server)).unwrap();
        assert!(named == archives);
    }
}
