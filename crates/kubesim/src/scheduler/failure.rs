//! Why a Pod found no node, in words (`pkg/scheduler/framework/types.go:FitError`).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PodSpec;

use super::filter::{Plugin, Refusal};
use crate::Version;

/// The longest message that an event has.
const MAX_LENGTH: usize = 1_024;

/// Why a Pod found no node.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) refused_by: BTreeSet<Plugin>,
}

impl Failure {
    /// There are no nodes at all.
    pub(super) fn no_nodes() -> Self {
        Self { message: "no nodes available to schedule pods".to_owned(), refused_by: BTreeSet::new() }
    }

    /// Every node refuses the Pod.
    pub(super) fn refused(spec: &PodSpec, refusals: &[Refusal], version: Version) -> Self {
        let nodes = refusals.len();
        let reasons = histogram(refusals.iter().flat_map(|refusal| &refusal.reasons).map(String::as_str));
        let message = format!("0/{nodes} nodes are available: {reasons}. {}", preemption(spec, refusals, version));
        let message = message.chars().take(MAX_LENGTH).collect();
        Self { message, refused_by: refusals.iter().map(|refusal| refusal.plugin).collect() }
    }
}

/// What the attempt to make room by removing other Pods says: nobody has a lower priority.
fn preemption(spec: &PodSpec, refusals: &[Refusal], version: Version) -> String {
    // Dynamic resource allocation had a word of its own until it looked only at Pods that use it.
    let prefix = if version.at_least(36) { "" } else { "no new claims to deallocate, " };
    if spec.preemption_policy.as_deref() == Some("Never") {
        return format!("{prefix}preemption: not eligible due to preemptionPolicy=Never.");
    }
    let answer = |refusal: &Refusal| {
        if refusal.is_final { "Preemption is not helpful for scheduling" } else { "No preemption victims found for incoming pod" }
    };
    let nodes = refusals.len();
    format!("{prefix}preemption: 0/{nodes} nodes are available: {}.", histogram(refusals.iter().map(answer)))
}

/// `1 this, 2 that`, sorted as text.
fn histogram<'a>(reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut parts: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    parts.join(", ")
}
