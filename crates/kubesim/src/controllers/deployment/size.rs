//! The arithmetic of rollouts (`pkg/controller/deployment/util/deployment_util.go`).

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
};

/// How many more Pods than asked for there may be, and how many fewer may be available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) replicas: i32,
    pub(super) surge: i32,
    pub(super) unavailable: i32,
}

impl Bounds {
    /// The bounds of a Deployment: both 0 if it does not roll.
    pub(super) fn of(deployment: &Deployment) -> Self {
        let replicas = wanted(deployment);
        if !is_rolling(deployment) {
            return Self { replicas, surge: 0, unavailable: 0 };
        }
        let rolling = deployment.spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".to_owned());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
        Self::resolve(replicas, surge, unavailable)
    }

    /// Surge is rounded up and unavailability down; so that a rollout can go on at all they are not both 0.
    fn resolve(replicas: i32, surge: &IntOrString, unavailable: &IntOrString) -> Self {
        let surge = scaled(surge, replicas, true);
        let unavailable = match scaled(unavailable, replicas, false) {
            0 if surge == 0 => 1,
            some => some,
        };
        Self { replicas, surge, unavailable: unavailable.min(replicas) }
    }

    /// The most Pods that all ReplicaSets may ask for together.
    pub(super) fn most(self) -> i32 {
        self.replicas.saturating_add(self.surge)
    }

    /// The fewest Pods that must be available.
    pub(super) fn fewest_available(self) -> i32 {
        self.replicas - self.unavailable
    }
}

/// A number, or a share of `replicas`.
fn scaled(value: &IntOrString, replicas: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => (*number).max(0),
        IntOrString::String(share) => {
            let percent: i64 = share.trim_end_matches('%').parse().unwrap_or(0);
            let hundredths = i64::from(replicas) * percent.clamp(0, 1_000_000);
            let rounded = if up { (hundredths + 99) / 100 } else { hundredths / 100 };
            i32::try_from(rounded).unwrap_or(i32::MAX)
        }
    }
}

/// How many Pods the Deployment asks for.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// Whether the Deployment replaces its Pods a few at a time.
pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
    strategy != Some("Recreate")
}

/// How many Pods a ReplicaSet asks for.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// How many of its Pods are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// How many Pods all these sets ask for.
pub(super) fn total<'a>(sets: impl IntoIterator<Item = &'a ReplicaSet>) -> i32 {
    sets.into_iter().map(size).sum()
}

/// The size of a new set that has `current` of the `total` Pods that all sets ask for.
pub(super) fn new_size(bounds: Bounds, rolling: bool, total: i32, current: i32) -> i32 {
    if !rolling {
        return bounds.replicas;
    }
    let room = bounds.most() - total;
    if room <= 0 { current } else { current + room.min(bounds.replicas - current) }
}

/// By how much a set grows (or shrinks) in proportion when a Deployment is scaled in the middle of a rollout, of
/// `left` Pods that are still to be distributed. `most_before` is how many Pods there might be before.
pub(super) fn proportion(current: i32, bounds: Bounds, most_before: i32, left: i32) -> i32 {
    if current == 0 || left == 0 {
        return 0;
    }
    let share = if bounds.replicas == 0 {
        -current
    } else if most_before == 0 {
        0
    } else {
        let scaled = f64::from(current) * f64::from(bounds.most()) / f64::from(most_before);
        // Sizes are far below what a double can hold.
        #[allow(clippy::cast_possible_truncation)]
        let rounded = scaled.round() as i32;
        rounded - current
    };
    if left > 0 { share.min(left) } else { share.max(left) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn percent(text: &str) -> IntOrString {
        IntOrString::String(text.to_owned())
    }

    #[rstest]
    #[case(1, 1, 0)]
    #[case(2, 1, 0)]
    #[case(3, 1, 0)]
    #[case(4, 1, 1)]
    #[case(10, 3, 2)]
    #[case(0, 0, 0)]
    fn a_quarter_is_rounded_in_favour_of_availability(#[case] replicas: i32, #[case] surge: i32, #[case] unavailable: i32) {
        let bounds = Bounds::resolve(replicas, &percent("25%"), &percent("25%"));
        assert_eq!(bounds, Bounds { replicas, surge, unavailable });
    }

    #[test]
    fn a_rollout_can_always_go_on() {
        let none = IntOrString::Int(0);
        assert_eq!(Bounds::resolve(3, &none, &none), Bounds { replicas: 3, surge: 0, unavailable: 1 });
        assert_eq!(Bounds::resolve(3, &none, &percent("300%")).unavailable, 3);
    }

    #[rstest]
    #[case::nothing_yet(0, 0, 3)]
    #[case::surge(3, 0, 1)]
    #[case::full(4, 1, 1)]
    #[case::never_more_than_asked_for(2, 2, 3)]
    fn a_new_set_takes_the_room_there_is(#[case] total: i32, #[case] current: i32, #[case] expected: i32) {
        let bounds = Bounds { replicas: 3, surge: 1, unavailable: 0 };
        assert_eq!(new_size(bounds, true, total, current), expected);
    }

    /// Kubernetes' documentation: 10 replicas (surge 3, 8 old and 5 new Pods) are scaled to 15: 3 more for the larger
    /// set and 2 for the other.
    #[test]
    fn scaling_in_the_middle_of_a_rollout_is_proportional() {
        let bounds = Bounds { replicas: 15, surge: 3, unavailable: 2 };
        assert_eq!(proportion(8, bounds, 13, 5), 3);
        assert_eq!(proportion(5, bounds, 13, 2), 2);
        assert_eq!(proportion(8, Bounds { replicas: 0, surge: 0, unavailable: 0 }, 13, -13), -8);
    }
}
