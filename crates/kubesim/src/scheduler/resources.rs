//! Amounts of resources: what Pods ask for and nodes have (`apimachinery/pkg/api/resource`,
//! `component-helpers/resource`).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::quantity::Amount;

/// Thousandths of each resource: a thousandth of a CPU, of a byte.
pub(crate) type Amounts = BTreeMap<String, i128>;

/// A quantity in thousandths, rounded up; 0 if it is none, which the API server refuses.
fn milli(quantity: &Quantity) -> i128 {
    quantity.0.parse().map_or(0, Amount::thousandths)
}

/// All quantities in thousandths.
pub(crate) fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    quantities.into_iter().flatten().map(|(name, quantity)| (name.clone(), milli(quantity))).collect()
}

/// What a Pod asks for: its containers together with its sidecars, or as much as its hungriest init container needs
/// beside the sidecars that were started before it.
pub(crate) fn requests(pod: &Pod) -> Amounts {
    sum(pod, &container_requests)
}

fn sum(pod: &Pod, of_container: &dyn Fn(&Container) -> Amounts) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &of_container(container));
    }
    let (mut sidecars, mut initial) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &own);
            add(&mut total, &own);
            raise(&mut initial, &sidecars);
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, &own);
            raise(&mut initial, &beside);
        }
    }
    raise(&mut total, &initial);
    apply_pod_level(spec, &mut total);
    add(&mut total, &amounts(spec.overhead.as_ref()));
    total
}

/// What a small container is taken to use of a resource that it does not request, where nodes are compared
/// (`pkg/scheduler/util/pod_resources.go`).
const SMALL: [(&str, i128); 2] = [("cpu", 100), ("memory", 200 * 1_024 * 1_024 * 1_000)];

/// What a Pod asks for, with what its containers are taken to use of CPU and memory where they request nothing.
pub(crate) fn presumed(pod: &Pod) -> Amounts {
    sum(pod, &|container| {
        let mut amounts = container_requests(container);
        for (name, amount) in SMALL {
            amounts.entry(name.to_owned()).or_insert(amount);
        }
        amounts
    })
}

/// Requests of the Pod itself count instead of its containers'.
fn apply_pod_level(spec: &PodSpec, total: &mut Amounts) {
    let own = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    total.extend(amounts(own));
}

fn container_requests(container: &Container) -> Amounts {
    amounts(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

/// Adds amounts.
pub(crate) fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let entry = total.entry(name.clone()).or_default();
        *entry = entry.saturating_add(*amount);
    }
}

/// Takes amounts away.
pub(crate) fn subtract(total: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        let entry = total.entry(name.clone()).or_default();
        *entry = entry.saturating_sub(*amount);
    }
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let entry = total.entry(name.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("100m", 100)]
    #[case("64Mi", 67_108_864_000)]
    #[case("1E", 1_000_000_000_000_000_000_000)]
    #[case("1e40", i128::from(i64::MAX) * 1_000)]
    #[case("1.5e-2147483648", 1)]
    #[case("", 0)]
    fn quantities_are_read(#[case] text: &str, #[case] expected: i128) {
        assert_eq!(milli(&Quantity(text.to_owned())), expected);
    }

    #[test]
    fn a_container_that_requests_nothing_is_taken_to_be_small() {
        let containers = json!([{"name": "a", "image": "i"}, {"name": "b", "image": "i", "resources": {"requests": {"cpu": "1"}}}]);
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap();
        let (cpu, memory) = (1_100, 2 * 200 * 1_024 * 1_024 * 1_000);
        assert_eq!(presumed(&pod), Amounts::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]));
        assert_eq!(requests(&pod), Amounts::from([("cpu".to_owned(), 1_000)]));
    }

    #[test]
    fn init_containers_count_where_they_need_more() {
        let container = |name: &str, cpu: &str, policy: Option<&str>| json!({"name": name, "image": "i", "restartPolicy": policy, "resources": {"requests": {"cpu": cpu}}});
        let pod = |init: serde_json::Value| -> Pod {
            let containers = [container("a", "1", None), container("b", "500m", None)];
            serde_json::from_value(json!({"spec": {"initContainers": init, "containers": containers}})).unwrap()
        };
        assert_eq!(requests(&pod(json!([container("i", "1", None)])))["cpu"], 1_500);
        assert_eq!(requests(&pod(json!([container("i", "2", None)])))["cpu"], 2_000);
        assert_eq!(requests(&pod(json!([container("s", "1", Some("Always")), container("i", "2", None)])))["cpu"], 3_000);
    }
}
