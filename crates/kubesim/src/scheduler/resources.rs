//! Amounts of resources: what Pods ask for and nodes have (`apimachinery/pkg/api/resource`,
//! `component-helpers/resource`).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};

/// Thousandths of each resource: a thousandth of a CPU, of a byte.
pub(crate) type Amounts = BTreeMap<String, i128>;

const SUFFIXES: [(&str, i128, i128); 14] = [
    ("Ki", 1 << 10, 1),
    ("Mi", 1 << 20, 1),
    ("Gi", 1 << 30, 1),
    ("Ti", 1 << 40, 1),
    ("Pi", 1 << 50, 1),
    ("Ei", 1 << 60, 1),
    ("n", 1, 1_000_000_000),
    ("u", 1, 1_000_000),
    ("m", 1, 1_000),
    ("k", 1_000, 1),
    ("M", 1_000_000, 1),
    ("G", 1_000_000_000, 1),
    ("T", 1_000_000_000_000, 1),
    ("P", 1_000_000_000_000_000, 1),
];

/// A quantity in thousandths, rounded up; 0 if it is none, which the API server refuses.
pub(crate) fn milli(quantity: &Quantity) -> i128 {
    let text = quantity.0.as_str();
    let suffix = SUFFIXES.iter().find(|(suffix, ..)| text.ends_with(suffix));
    let (digits, factor, divisor) = match suffix {
        Some((suffix, factor, divisor)) => (&text[..text.len() - suffix.len()], *factor, *divisor),
        None => (text, 1, 1),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.get(..fraction.len().min(9)).unwrap_or_default();
    let number: i128 = format!("{whole}{fraction}").parse().unwrap_or(0);
    let exponent = exponent.parse::<i32>().unwrap_or(0) - i32::try_from(fraction.len()).unwrap_or(0);
    let power = 10_i128.checked_pow(exponent.unsigned_abs()).unwrap_or(i128::MAX);
    let scaled = number.saturating_mul(factor).saturating_mul(1_000);
    let (scaled, divisor) =
        if exponent < 0 { (scaled, divisor.saturating_mul(power)) } else { (scaled.saturating_mul(power), divisor) };
    // Requests are never negative.
    (scaled.saturating_add(divisor - 1)) / divisor
}

/// All quantities in thousandths.
pub(crate) fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    quantities.into_iter().flatten().map(|(name, quantity)| (name.clone(), milli(quantity))).collect()
}

/// What a Pod asks for: its containers together with its sidecars, or as much as its hungriest init container needs
/// beside the sidecars that were started before it.
pub(crate) fn requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &container_requests(container));
    }
    let (mut sidecars, mut initial) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let own = container_requests(container);
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
        *total.entry(name.clone()).or_default() += amount;
    }
}

/// Takes amounts away.
pub(crate) fn subtract(total: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        *total.entry(name.clone()).or_default() -= amount;
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
    #[case("1", 1_000)]
    #[case("100m", 100)]
    #[case("1.5", 1_500)]
    #[case("0.0001", 1)]
    #[case("64Mi", 67_108_864_000)]
    #[case("1e3", 1_000_000)]
    #[case("5k", 5_000_000)]
    #[case("", 0)]
    fn quantities_are_read(#[case] text: &str, #[case] expected: i128) {
        assert_eq!(milli(&Quantity(text.to_owned())), expected);
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
