//! Reading a scenario never panics: `cargo +nightly fuzz run scenario scenarios/chapter-07`.
#![no_main]

use std::path::Path;

use labproof::diagnostic::render;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostics) = labproof::scenario::parse(text, Path::new("x.yaml")) {
        render(&diagnostics, false);
    }
});
