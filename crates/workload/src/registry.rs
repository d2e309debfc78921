//! Several workloads, found by image name.

use std::{collections::BTreeMap, sync::Arc};

use crate::{image::normalise, model::Workload};

/// Workloads by the full names of their images.
#[derive(Debug, Clone, Default)]
pub struct Workloads {
    by_image: BTreeMap<String, Arc<Workload>>,
}

impl Workloads {
    /// None at all: no image is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workload under all of its names. Returns what one of them meant before: the new one takes its place.
    pub fn insert(&mut self, workload: Workload) -> Option<Arc<Workload>> {
        let workload = Arc::new(workload);
        let mut before = None;
        for image in workload.images() {
            // A name that is none stays findable as it is written; the parser lets none through.
            let name = normalise(image).unwrap_or_else(|_| image.to_owned());
            before = self.by_image.insert(name, Arc::clone(&workload)).or(before);
        }
        before
    }

    /// The workload of an image, however its name is written: `busybox:1.36.1` finds
    /// `docker.io/library/busybox:1.36.1`. Nothing if the name is not known (or is no image name).
    pub fn get(&self, image: &str) -> Option<&Arc<Workload>> {
        self.by_image.get(&normalise(image).ok()?)
    }

    /// Full image names and their workloads, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Workload>)> {
        self.by_image.iter().map(|(image, workload)| (image.as_str(), workload))
    }

    /// Whether no image is known.
    pub fn is_empty(&self) -> bool {
        self.by_image.is_empty()
    }
}

impl Extend<Workload> for Workloads {
    fn extend<I: IntoIterator<Item = Workload>>(&mut self, workloads: I) {
        for workload in workloads {
            self.insert(workload);
        }
    }
}

impl FromIterator<Workload> for Workloads {
    fn from_iter<I: IntoIterator<Item = Workload>>(workloads: I) -> Self {
        let mut all = Self::new();
        all.extend(workloads);
        all
    }
}
