//! Pod disruption budgets: how many Pods may be evicted right now (`pkg/controller/disruption`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::Pod,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{Condition, LabelSelector as ApiSelector, LabelSelectorRequirement, Time},
        util::intstr::IntOrString,
    },
    jiff::SignedDuration,
};
use tokio::task::JoinSet;

use super::{
    control_loop::{self, Controller, Outcome, Source},
    ownership, pods,
    workqueue::WorkQueue,
};
use crate::{
    Clock, Component, Key, LoopbackClient, StatusError,
    recorder::{EventType, Recorder, reference},
    selector::{LabelSelector, Selection},
};

/// How long an evicted Pod that does not go counts as disrupted.
const EVICTION_TIMEOUT: SignedDuration = SignedDuration::from_secs(120);

/// Runs the disruption controller for as long as the cluster lives.
pub(crate) async fn run(component: Component) -> Result<(), StatusError> {
    let mut tasks = JoinSet::new();
    let events = Recorder::start(component.part("events"), "controllermanager", None, &mut tasks);
    let controller = DisruptionController {
        events,
        budgets: Source::new(component.client.informer(Selection::all())?),
        pods: Source::new(component.client.informer(Selection::all())?),
        sets: Source::new(component.client.informer(Selection::all())?),
        deployments: Source::new(component.client.informer(Selection::all())?),
        client: Arc::new(component.client),
        clock: component.clock,
    };
    control_loop::run(controller, component.clock).await;
    Ok(())
}

struct DisruptionController {
    events: Recorder,
    budgets: Source<PodDisruptionBudget>,
    pods: Source<Pod>,
    sets: Source<ReplicaSet>,
    deployments: Source<Deployment>,
    client: Arc<LoopbackClient>,
    clock: Clock,
}

impl Controller for DisruptionController {
    type Item = Key;

    fn catch_up(&mut self, queue: &mut WorkQueue<Key>) {
        for delta in self.budgets.changes() {
            queue.add(ownership::key_of(&delta.object().metadata));
        }
        let mut namespaces: BTreeSet<String> = BTreeSet::new();
        for delta in self.pods.changes() {
            let pod = delta.object();
            for budget in self.budgets.cache().in_namespace(ownership::namespace(&pod.metadata)) {
                if selector(budget).is_some_and(|selector| selector.matches(pod.metadata.labels.as_ref())) {
                    queue.add(ownership::key_of(&budget.metadata));
                }
            }
        }
        for delta in self.sets.changes() {
            namespaces.insert(ownership::namespace(&delta.object().metadata).to_owned());
        }
        for delta in self.deployments.changes() {
            namespaces.insert(ownership::namespace(&delta.object().metadata).to_owned());
        }
        for budget in self.budgets.cache().iter() {
            if namespaces.contains(ownership::namespace(&budget.metadata)) {
                queue.add(ownership::key_of(&budget.metadata));
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.budgets.changed() => {}
            () = self.pods.changed() => {}
            () = self.sets.changed() => {}
            () = self.deployments.changed() => {}
        }
    }

    fn reconcile(&mut self, key: &Key) -> BoxFuture<'static, Outcome> {
        let Some(budget) = self.budgets.get(&key.namespace, &key.name) else {
            return futures::future::ready(Ok(None)).boxed();
        };
        let status = self.status(&budget);
        let client = Arc::clone(&self.client);
        async move {
            if budget.status.as_ref() == Some(&status) {
                return Ok(None);
            }
            let mut updated = PodDisruptionBudget::clone(&budget);
            updated.status = Some(status);
            match client.update_status(&updated).await {
                // Somebody has written meanwhile, most often an eviction: the budget is looked at anew.
                Err(error) if error.is_conflict() || error.is_not_found() => Ok(None),
                other => other.map(|_| None),
            }
        }
        .boxed()
    }
}

fn selector(budget: &PodDisruptionBudget) -> Option<LabelSelector> {
    LabelSelector::from_api(budget.spec.as_ref()?.selector.as_ref()?).ok()
}

impl DisruptionController {
    fn status(&self, budget: &PodDisruptionBudget) -> PodDisruptionBudgetStatus {
        let now = self.clock.now();
        let namespace = ownership::namespace(&budget.metadata);
        let selector = selector(budget);
        let selected = |pod: &&Arc<Pod>| selector.as_ref().is_some_and(|all| all.matches(pod.metadata.labels.as_ref()));
        let own: Vec<_> =
            self.pods.cache().in_namespace(namespace).filter(selected).filter(|pod| !pods::is_terminal(pod)).cloned().collect();
        let before = budget.status.clone().unwrap_or_default();
        if own.is_empty() {
            self.events.event(&reference(budget), EventType::Normal, "NoPods", "No matching pods found");
        }
        let (expected, desired) = match self.expectations(budget, &own) {
            Ok(numbers) => numbers,
            Err(problem) => {
                let message = format!("Failed to calculate the number of expected pods: {problem}");
                self.events.event(&reference(budget), EventType::Warning, "CalculateExpectedPodCountFailed", message);
                let condition = self.condition(budget, "False", "SyncFailed", &problem);
                return PodDisruptionBudgetStatus { conditions: Some(vec![condition]), disruptions_allowed: Some(0), ..before };
            }
        };
        let still_disrupted = |name: &str, time: &Time| {
            let pod = own.iter().find(|pod| ownership::name(&pod.metadata) == name);
            pod.is_some_and(|pod| !pods::is_deleting(pod)) && time.0.checked_add(EVICTION_TIMEOUT).is_ok_and(|end| end > now)
        };
        let disrupted: BTreeMap<String, Time> =
            before.disrupted_pods.unwrap_or_default().into_iter().filter(|(name, time)| still_disrupted(name, time)).collect();
        let is_healthy = |pod: &&Arc<Pod>| {
            pods::is_ready(pod) && !pods::is_deleting(pod) && !disrupted.contains_key(ownership::name(&pod.metadata))
        };
        let healthy = i32::try_from(own.iter().filter(is_healthy).count()).unwrap_or(i32::MAX);
        let allowed = if expected == 0 { 0 } else { (healthy - desired).max(0) };
        let (value, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        PodDisruptionBudgetStatus {
            conditions: Some(vec![self.condition(budget, value, reason, "")]),
            current_healthy: Some(healthy),
            desired_healthy: Some(desired),
            disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
            disruptions_allowed: Some(allowed),
            expected_pods: Some(expected),
            observed_generation: budget.metadata.generation,
        }
    }

    fn condition(&self, budget: &PodDisruptionBudget, status: &str, reason: &str, message: &str) -> Condition {
        let known = budget.status.as_ref().and_then(|status| status.conditions.as_ref());
        let mut known = known.into_iter().flatten();
        let same = known.find(|condition| condition.type_ == "DisruptionAllowed" && condition.status == status);
        Condition {
            type_: "DisruptionAllowed".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: budget.metadata.generation,
            last_transition_time: same.map_or_else(|| self.clock.time(), |condition| condition.last_transition_time.clone()),
        }
    }

    /// How many Pods there should be, and how many of them must be healthy.
    fn expectations(&self, budget: &PodDisruptionBudget, own: &[Arc<Pod>]) -> Result<(i32, i32), String> {
        let present = i32::try_from(own.len()).unwrap_or(i32::MAX);
        let Some(spec) = &budget.spec else { return Ok((present, 0)) };
        Ok(match (&spec.max_unavailable, &spec.min_available) {
            (Some(most), _) => {
                let expected = self.scale(budget, own)?;
                (expected, (expected - scaled(most, expected)).max(0))
            }
            (None, Some(IntOrString::Int(least))) => (present, *least),
            (None, Some(least)) => {
                let expected = self.scale(budget, own)?;
                (expected, scaled(least, expected))
            }
            (None, None) => (present, 0),
        })
    }

    /// How many Pods the controllers of these Pods ask for. A Pod without one does not count, which an event says; one whose
    /// controller has no scale makes the number unknowable.
    fn scale(&self, budget: &PodDisruptionBudget, own: &[Arc<Pod>]) -> Result<i32, String> {
        let mut sizes: BTreeMap<String, i32> = BTreeMap::new();
        for pod in own {
            let Some(owner) = ownership::controller_of(&pod.metadata) else { continue };
            if owner.kind != "ReplicaSet" {
                let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
                return Err(format!("{}s.{group} does not implement the scale subresource", owner.kind.to_lowercase()));
            }
            let namespace = ownership::namespace(&pod.metadata);
            let set = self.sets.get(namespace, &owner.name).filter(|set| ownership::uid(&set.metadata) == owner.uid);
            let set = set.ok_or_else(|| format!("found no controllers for pod {:?}", ownership::name(&pod.metadata)))?;
            let deployment = ownership::controller_key(&set.metadata, "Deployment");
            let (uid, size) = match deployment.and_then(|key| self.deployments.get(namespace, &key.name)) {
                Some(deployment) => (deployment.metadata.uid.clone(), deployment.spec.replicas),
                None => (set.metadata.uid.clone(), set.spec.replicas),
            };
            sizes.insert(uid.unwrap_or_default(), size.unwrap_or(1));
        }
        if own.iter().any(|pod| ownership::controller_of(&pod.metadata).is_none()) {
            let message = format!(
                "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of the \
                 PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \
                 \".spec.minAvailable\" field of the PDB to an integer value.",
                printed(budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()))
            );
            self.events.event(&reference(budget), EventType::Warning, "UnmanagedPods", message);
        }
        Ok(sizes.into_values().sum())
    }
}

/// A selector as Go prints the type.
fn printed(selector: Option<&ApiSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels: Vec<_> = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},")).collect();
    let labels = labels.concat();
    let labels = format!("map[string]string{{{labels}}}");
    let requirement = |requirement: &LabelSelectorRequirement| {
        let values = requirement.values.as_deref().unwrap_or_default().join(" ");
        format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},", requirement.key, requirement.operator)
    };
    let requirements = selector.match_expressions.iter().flatten().map(requirement).collect::<Vec<_>>().concat();
    format!("&LabelSelector{{MatchLabels:{labels},MatchExpressions:[]LabelSelectorRequirement{{{requirements}}},}}")
}

/// A number, or a share of `total` rounded up.
fn scaled(value: &IntOrString, total: i32) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(share) => {
            let percent: i64 = share.trim_end_matches('%').parse().unwrap_or(0);
            i32::try_from((i64::from(total) * percent + 99) / 100).unwrap_or(i32::MAX)
        }
    }
}
