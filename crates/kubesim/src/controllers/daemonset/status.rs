//! The status of a DaemonSet (`daemon_controller.go:updateDaemonSetStatus`).

use k8s_openapi::{api::apps::v1::DaemonSetStatus, jiff::Timestamp};

use super::{Found, REVISION_HASH, nodes::Plan};
use crate::controllers::pods;

/// The numbers of nodes.
pub(super) fn compute(found: &Found, plan: &Plan, hash: &str, now: Timestamp) -> DaemonSetStatus {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let counted = |count: usize| (count != 0).then(|| number(count));
    let min_ready_seconds = found.set.spec.min_ready_seconds.unwrap_or(0);
    let first = || plan.wanted.values().filter_map(|own| own.first());
    let available = first().filter(|pod| pods::is_available(pod, min_ready_seconds, now)).count();
    let updated = first()
        .filter(|pod| pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_HASH)).is_some_and(|own| own == hash));
    let status = found.set.status.as_ref();
    DaemonSetStatus {
        collision_count: status.and_then(|status| status.collision_count),
        conditions: status.and_then(|status| status.conditions.clone()),
        current_number_scheduled: number(first().count()),
        desired_number_scheduled: number(plan.wanted.len()),
        number_available: counted(available),
        number_misscheduled: number(plan.misplaced),
        number_ready: number(first().filter(|pod| pods::is_ready(pod)).count()),
        number_unavailable: counted(plan.wanted.len() - available),
        observed_generation: found.set.metadata.generation,
        updated_number_scheduled: counted(updated.count()),
    }
}
