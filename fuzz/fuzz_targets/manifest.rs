//! Reading a manifest never panics: `cargo +nightly fuzz run manifest manifests/chapter-07`.
#![no_main]

use std::path::Path;

use labproof::diagnostic::render;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostics) = labproof::manifest::parse(text, Path::new("x.yaml")) {
        render(&diagnostics, false);
    }
});
