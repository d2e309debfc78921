//! Builds the stand-in server as a static binary, which the program carries with it (`src/images/`).
//!
//! Where that cannot be done (another system than Linux, no static libc) an empty file takes its place and a warning
//! says so; everything else works without it. `LABPROOF_STANDIN` names a binary built elsewhere.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    for path in ["crates/standin/Cargo.toml", "crates/standin/src", "crates/workload/Cargo.toml", "crates/workload/src"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for path in ["build.rs", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=LABPROOF_STANDIN");
    if let Some(path) = env::var_os("LABPROOF_STANDIN") {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let binary = match env::var_os("LABPROOF_STANDIN") {
        Some(path) => read(Path::new(&path)).expect("LABPROOF_STANDIN names a file"),
        None => build().and_then(|path| read(&path)).unwrap_or_else(|reason| {
            println!("cargo::warning=labproof is built without the stand-in server: {}", reason.replace('\n', " | "));
            println!("cargo::warning=stand-in images will need `--standin FILE`; `cargo clean --package labproof` tries again");
            Vec::new()
        }),
    };
    fs::write(variable("OUT_DIR").join("standin"), binary).expect("cargo makes OUT_DIR writable");
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Builds for the first target that works, the surest first.
fn build() -> Result<PathBuf, String> {
    let target = env::var("TARGET").unwrap_or_default();
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return Err(format!("it runs on Linux nodes, and {target} is another system"));
    }
    let arch = target.split('-').next().unwrap_or_default();
    let musl = format!("{arch}-unknown-linux-musl");
    let mut reasons = Vec::new();
    for candidate in [musl, target.clone()].into_iter().filter(|candidate| is_installed(candidate)) {
        match build_for(&candidate) {
            Ok(path) => return Ok(path),
            Err(reason) => reasons.push(format!("{candidate}: {reason}")),
        }
    }
    Err(reasons.join("; "))
}

fn is_installed(target: &str) -> bool {
    let output = Command::new(variable("RUSTC")).args(["--print", "target-libdir", "--target", target]).output();
    output.is_ok_and(|output| output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn build_for(target: &str) -> Result<PathBuf, String> {
    // A directory of its own: the outer cargo holds the lock of the usual one.
    let directory = variable("OUT_DIR").join("standin-target");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--locked", "--package", "standin", "--profile", "standin", "--target", target]);
    cargo.arg("--manifest-path").arg(variable("CARGO_MANIFEST_DIR").join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&directory);
    cargo.arg("--config").arg(format!("build.build-dir={:?}", directory.display().to_string()));
    for (name, _) in env::vars_os() {
        if is_of_the_outer_build(&name.to_string_lossy()) {
            cargo.env_remove(name);
        }
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    let output = cargo.output().map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        // The rest is pages long.
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().find(|line| line.starts_with("error")).unwrap_or(&text).to_owned());
    }
    Ok(directory.join(target).join("standin").join("standin"))
}

/// Settings of the build around this one that would change the stand-in or fail it: flags, profiles, and the wrappers by
/// which clippy and coverage tools get at the compiler.
fn is_of_the_outer_build(name: &str) -> bool {
    matches!(name, "RUSTFLAGS" | "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER")
        || name.starts_with("CARGO_BUILD_")
        || name.starts_with("CARGO_PROFILE_")
        || name.starts_with("CARGO_CFG_")
        || name.starts_with("CARGO_FEATURE_")
}

fn variable(name: &str) -> PathBuf {
    env::var_os(name).map(PathBuf::from).expect("cargo sets it for build scripts")
}
