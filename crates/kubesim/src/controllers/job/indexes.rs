//! The completion indexes of indexed Jobs (`pkg/controller/job/indexed_job_utils.go`).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use super::INDEX;

/// The index of a Pod.
pub(super) fn of(pod: &Pod) -> Option<i32> {
    pod.metadata.annotations.as_ref()?.get(INDEX)?.parse().ok()
}

/// Reads `1,3-5,7`, without what is not below `completions`.
pub(super) fn parse(text: &str, completions: i32) -> BTreeSet<i32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<i32>().ok()?.max(0)..=last.parse::<i32>().ok()?.min(completions - 1))
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// Writes `1,3-5,7`.
pub(super) fn print(indexes: &BTreeSet<i32>) -> String {
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let part = |(first, last): (i32, i32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    ranges.into_iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_indexes_are_ranges() {
        assert_eq!(print(&[0, 1, 3, 4, 5, 7].into()), "0,1,3-5,7");
        assert_eq!(parse("0,1,3-5,7", 8), [0, 1, 3, 4, 5, 7].into());
        assert_eq!(parse("0-2147483647", 3), [0, 1, 2].into());
        assert!(parse("", 8).is_empty());
    }
}
