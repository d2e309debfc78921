//! A namespace of its own for each scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, PostParams, Preconditions};
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::blockers::Blockers;
use super::watch::{Unreached, persist, until};
use super::{RUN_LABEL, blockers};
use crate::errors::words;

/// The label with the scenario's name.
pub const SCENARIO_LABEL: &str = "labproof.dev/scenario";

/// Kubernetes' label for who made an object, and labproof's value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "labproof");

/// How long the removal of a namespace may take: a Pod may take its 30 s of grace, some controllers a while more.
pub const REMOVAL_LIMIT: Duration = Duration::from_mins(2);

/// How long an API server that does not answer, or answers 401, 403, 429 or 5xx, is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest name of a namespace (RFC 1123).
const NAME_LIMIT: usize = 63;

/// A namespace that cannot be made, or does not go away.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The API server refuses.
    #[error("cannot {attempt} the namespace {name}: {problem}")]
    Refused {
        /// What was attempted.
        attempt: &'static str,
        /// The namespace's name.
        name: String,
        /// What the API server answered.
        problem: String,
    },
    /// It is not this run's, so it is not touched.
    #[error("the namespace {name} was not made by this run ({RUN_LABEL} is {label}); it is left alone")]
    NotOurs {
        /// The namespace's name.
        name: String,
        /// The label, or `missing`.
        label: String,
    },
    /// What every namespace gets did not appear in it.
    #[error("the namespace {name} had no {missing} after {limit:?}")]
    NotReady {
        /// The namespace's name.
        name: String,
        /// The object that is missing.
        missing: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// It is still there.
    #[error("the namespace {name} is not gone after {limit:?}{}", list(blockers))]
    Blocked {
        /// The namespace's name.
        name: String,
        /// How long was waited.
        limit: Duration,
        /// What blocks it: objects that remain with their finalizers, and what the namespace's conditions say.
        blockers: Vec<String>,
        /// The commands that take the finalizers from those objects.
        releases: Vec<String>,
    },
}

impl NamespaceError {
    /// What to do, if that can be told.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Blocked { releases, .. } if !releases.is_empty() => {
                Some(format!("if nobody is left who removes the finalizers: {}", releases.join("; ")))
            }
            _ => None,
        }
    }

    /// The error, and what to do in a line of its own.
    pub(crate) fn with_hint(&self) -> String {
        self.hint().map_or_else(|| self.to_string(), |hint| format!("{self}\nhint: {hint}"))
    }
}

fn list(blockers: &[String]) -> String {
    if blockers.is_empty() { String::new() } else { format!(": {}", blockers.join("; ")) }
}

/// The name of a scenario's namespace: `SCENARIO-RUN`, at most 63 characters. A long scenario name is cut, and a digest of the
/// whole keeps it distinct.
pub fn name(scenario: &str, run: &str) -> String {
    let whole = format!("{scenario}-{run}");
    if whole.len() <= NAME_LIMIT {
        return whole;
    }
    let digest = Sha256::digest(scenario);
    let tail = format!("-{:02x}{:02x}{:02x}-{run}", digest[0], digest[1], digest[2]);
    let head: String = scenario.chars().take(NAME_LIMIT.saturating_sub(tail.len())).collect();
    format!("{}{tail}", head.trim_end_matches('-'))
}

/// Makes the namespace [`name`]`(scenario, run)` and waits until its default service account and CA bundle are there, without
/// which no Pod can be made in it. Returns its name. Dropped before its end, it may have made the namespace: [`remove`] is safe.
///
/// Manifests are not trusted: its Pods must keep to the Pod Security Standard *baseline*.
pub async fn create(client: &Client, scenario: &str, run: &str, limit: Duration) -> Result<String, NamespaceError> {
    let name = name(scenario, run);
    let labels = [(RUN_LABEL, run), MANAGED_BY, (SCENARIO_LABEL, scenario), ("pod-security.kubernetes.io/enforce", "baseline")];
    let labels: BTreeMap<String, String> = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let api = Api::<Namespace>::all(client.clone());
    let mut again = false;
    let made = persist(PATIENCE, async || {
        let answer = api.create(&PostParams::default(), &namespace).await.map(drop);
        // An attempt whose answer was lost may have made it.
        let made = again && matches!(&answer, Err(kube::Error::Api(status)) if status.reason == "AlreadyExists");
        again = true;
        if made && run_of(&api.get_metadata(&name).await?.metadata) == Some(run) { Ok(()) } else { answer }
    });
    made.await.map_err(refused("create", &name))?;

    let account = Api::<ServiceAccount>::namespaced(client.clone(), &name);
    appears(account, "default", "service account `default`", &name, limit).await?;
    let bundle = Api::<ConfigMap>::namespaced(client.clone(), &name);
    appears(bundle, "kube-root-ca.crt", "ConfigMap `kube-root-ca.crt`", &name, limit).await?;
    Ok(name)
}

async fn appears<K>(api: Api<K>, object: &str, missing: &'static str, name: &str, limit: Duration) -> Result<(), NamespaceError>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let there = until(api, Some(object), limit, |objects| (!objects.is_empty()).then_some(()));
    there.await.map_err(|unreached| match unreached {
        Unreached::Refused(error) => refused("watch", name)(error),
        Unreached::TimedOut => NamespaceError::NotReady { name: name.to_owned(), missing, limit },
    })
}

/// Removes a namespace of this run and returns when it is really gone; when the limit passes, the error says what blocks it.
/// A namespace that is not there is gone; one without this run's label is not touched.
pub async fn remove(client: &Client, name: &str, run: &str, limit: Duration) -> Result<(), NamespaceError> {
    let deadline = Instant::now() + limit;
    let Some(uid) = begin_removal(client, name, run, limit).await? else { return Ok(()) };
    let api = Api::<Namespace>::all(client.clone());
    let left = deadline.saturating_duration_since(Instant::now());
    // Somebody may make another one of the same name.
    let gone = until(api, Some(name), left, |found| {
        found.values().all(|namespace| namespace.metadata.uid.as_ref() != Some(&uid)).then_some(())
    });
    match gone.await {
        Ok(()) => Ok(()),
        Err(Unreached::Refused(error)) => Err(refused("watch", name)(error)),
        Err(Unreached::TimedOut) => {
            let Blockers { texts: blockers, releases } = blockers::of(client, name).await;
            Err(NamespaceError::Blocked { name: name.to_owned(), limit, blockers, releases })
        }
    }
}

/// Asks for the removal of a namespace of this run; an API server that cannot be asked, for so long. Returns the namespace's uid,
/// or none if it is not there.
pub(super) async fn begin_removal(
    client: &Client,
    name: &str,
    run: &str,
    patience: Duration,
) -> Result<Option<String>, NamespaceError> {
    let deadline = Instant::now() + patience;
    let api = Api::<Namespace>::all(client.clone());
    let found = persist(patience, async || api.get_metadata_opt(name).await).await.map_err(refused("look at", name))?;
    let Some(PartialObjectMeta { metadata, .. }) = found else { return Ok(None) };
    if run_of(&metadata) != Some(run) {
        let label = run_of(&metadata).map_or_else(|| "missing".to_owned(), |label| format!("`{label}`"));
        return Err(NamespaceError::NotOurs { name: name.to_owned(), label });
    }
    let uid = metadata.uid.unwrap_or_default();
    let preconditions = Preconditions { uid: Some(uid.clone()), ..Preconditions::default() };
    let params = DeleteParams::default().preconditions(preconditions);
    let left = deadline.saturating_duration_since(Instant::now());
    match persist(left, async || api.delete(name, &params).await).await {
        Ok(_) => Ok(Some(uid)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        // It is being removed already.
        Err(kube::Error::Api(status)) if status.code == 409 && metadata.deletion_timestamp.is_some() => Ok(Some(uid)),
        Err(error) => Err(refused("remove", name)(error)),
    }
}

/// The namespaces that labproof has made, those of one run or of all.
pub(crate) async fn made_by(client: &Client, run: Option<&str>) -> Result<Vec<ObjectMeta>, kube::Error> {
    let of_run = run.map(|run| format!("={run}")).unwrap_or_default();
    let labels = format!("{RUN_LABEL}{of_run},{}={}", MANAGED_BY.0, MANAGED_BY.1);
    let list = Api::<Namespace>::all(client.clone()).list_metadata(&ListParams::default().labels(&labels)).await?;
    Ok(list.items.into_iter().map(|object| object.metadata).collect())
}

/// The id of the run that made the object.
pub(crate) fn run_of(metadata: &ObjectMeta) -> Option<&str> {
    metadata.labels.as_ref()?.get(RUN_LABEL).map(String::as_str)
}

fn refused(attempt: &'static str, name: &str) -> impl FnOnce(kube::Error) -> NamespaceError {
    let name = name.to_owned();
    move |error| NamespaceError::Refused { attempt, name, problem: words(&error) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("liveness", "k3x9", "liveness-k3x9")]
    #[case(&"a".repeat(58), "k3x9", &format!("{}-k3x9", "a".repeat(58)))]
    fn a_name_is_the_scenarios_and_the_runs(#[case] scenario: &str, #[case] run: &str, #[case] expected: &str) {
        assert_eq!(name(scenario, run), expected);
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let (one, two) = (name(&format!("{}1", "a".repeat(62)), "k3x9"), name(&format!("{}2", "a".repeat(62)), "k3x9"));
        assert_eq!((one.len(), two.len()), (63, 63));
        assert_ne!(one, two);
        let hyphens = name(&format!("a{}b", "-".repeat(61)), "k3x9");
        assert!(hyphens.starts_with("a-") && hyphens.ends_with("-k3x9") && hyphens.len() < 63, "{hyphens}");
    }
}
