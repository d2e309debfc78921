//! Where workloads come from: the program's own, and a directory of workload files that goes before them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use workload::{Workload, Workloads};

use super::ImageError;

macro_rules! embedded {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("../../workloads/", $name)))),*] };
}

/// The files of `workloads/` at the root of the repository.
const BUILTIN: [(&str, &str); 12] = embedded! {
    "busybox-1.36.1.yaml"
    "delayfailserver-1.1.yaml"
    "hello-server-1.0.yaml"
    "hello-server-1.2.yaml"
    "hello-server-1.4.yaml"
    "hello-server-1.5.yaml"
    "hello-server-1.6-healthz.yaml"
    "hello-server-1.6.yaml"
    "hello-server-1.7.yaml"
    "hello-server-1.8.yaml"
    "hello-server-2.0.1.yaml"
    "slow-starter-1.0.yaml"
};

/// The workloads that the program carries.
pub fn builtin() -> Workloads {
    let parse = |(name, text): (&str, &str)| Workload::from_yaml(text).unwrap_or_else(|error| unreachable!("{name}: {error}"));
    BUILTIN.into_iter().map(parse).collect()
}

/// Adds the workloads of a directory's `*.yaml` files, in the place of those that describe the same images.
pub fn read_directory(directory: &Path, workloads: &mut Workloads) -> Result<(), ImageError> {
    let mut sources: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in yaml_files(directory)? {
        let text = fs::read_to_string(&path).map_err(|source| ImageError::Read { path: path.clone(), source })?;
        let workload = Workload::from_yaml(&text).map_err(|source| ImageError::Workload { path: path.clone(), source })?;
        for image in workload.images().filter_map(|image| workload::normalise(image).ok()) {
            match sources.insert(image.clone(), path.clone()) {
                Some(first) if first != path => return Err(ImageError::Twice { image, first, second: path }),
                _ => {}
            }
        }
        workloads.insert(workload);
    }
    Ok(())
}

/// In the order of their names.
fn yaml_files(directory: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let failed = |source| ImageError::Read { path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_file_is_carried() {
        let files = yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads")).unwrap();
        let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, BUILTIN.map(|(name, _)| name));
        assert_eq!(builtin().iter().count(), BUILTIN.len());
    }

    #[test]
    fn a_file_goes_by_its_image() {
        for (name, text) in BUILTIN {
            let image = Workload::from_yaml(text).unwrap().image;
            let short = image.rsplit('/').next().unwrap_or_default().replace(':', "-");
            assert_eq!(name, format!("{short}.yaml"));
        }
    }

    #[test]
    fn tags_that_the_course_leaves_out_do_not_exist() {
        for image in ["blux2/hello-server:1.1", "blux2/hello-server:1.3", "blux2/hello-server"] {
            assert!(builtin().get(image).is_none(), "{image}");
        }
    }

    #[test]
    fn a_directory_goes_before_what_is_carried() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.yaml"), "{image: 'docker.io/library/busybox:1.36.1', about: ours}").unwrap();
        fs::write(directory.path().join("README"), "not a workload").unwrap();
        let mut workloads = builtin();
        read_directory(directory.path(), &mut workloads).unwrap();
        assert_eq!(workloads.get("busybox:1.36.1").unwrap().about.as_deref(), Some("ours"));
        assert!(workloads.get("blux2/hello-server:1.6").is_some());

        fs::write(directory.path().join("b.yaml"), "{image: 'busybox:1.36.1'}").unwrap();
        let error = read_directory(directory.path(), &mut workloads).unwrap_err().to_string();
        assert!(
            error.contains("a.yaml and ") && error.contains("b.yaml both describe docker.io/library/busybox:1.36.1"),
            "{error}"
        );

        fs::write(directory.path().join("b.yaml"), "{imgae: a}").unwrap();
        let error = read_directory(directory.path(), &mut workloads).unwrap_err().to_string();
        assert!(error.contains("b.yaml: not a workload: unknown field `imgae`"), "{error}");

        let error = read_directory(Path::new("/does/not/exist"), &mut workloads).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /does/not/exist: "), "{error}");
    }
}
