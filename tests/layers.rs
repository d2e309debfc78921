//! The stages that must be pure import neither tokio nor a Kubernetes client.

use std::fs;
use std::path::{Path, PathBuf};

const PURE: [&str; 15] = [
    "src/scenario",
    "src/yaml.rs",
    "src/diagnostic.rs",
    "src/plan",
    "src/predict/history.rs",
    "src/predict/prediction.rs",
    "src/predict/scenario.rs",
    "src/predict/table.rs",
    "src/manifest.rs",
    "src/timeline.rs",
    "src/run/recording.rs",
    "src/judge",
    "src/verdict.rs",
    "src/report",
    "src/exit_code.rs",
];

#[test]
fn pure_stages_use_no_runtime_and_no_client() {
    let mut files = Vec::new();
    for path in PURE {
        collect(Path::new(path), &mut files);
    }
    assert!(files.len() > 30, "the pure stages have moved: {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file can be read");
        for (number, line) in text.lines().enumerate() {
            let impure =
                ["tokio", "kube::", "async "].iter().find(|word| line.contains(*word) && !line.trim_start().starts_with("//"));
            assert_eq!(impure, None, "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a source folder can be read") {
            collect(&entry.expect("a source folder can be read").path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_owned());
    } else {
        assert!(path.is_file(), "{} is gone", path.display());
    }
}
