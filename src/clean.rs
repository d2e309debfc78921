//! Finds and removes what a killed run left behind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::cluster::kind::delete;
use crate::cluster::kind::docker::Docker;
use crate::cluster::namespace::{self, run_of};
use crate::cluster::state::{Claim, KindRecord, NamespacesRecord, Record, Stage, StateDir, StateError, Subject};
use crate::cluster::{Programs, ProvisionError, RUN_LABEL, context};
use crate::errors::words;

/// A container that is older than its cluster's record by more than this is not of it; clocks may differ a little.
const CLOCKS_MAY_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// What is looked for, and whether it is removed.
#[derive(Clone, Debug)]
pub struct CleanOptions {
    /// Where `docker` and `kind` are.
    pub programs: Programs,
    /// Where labproof remembers what it makes.
    pub state: StateDir,
    /// Remove clusters and namespaces that were kept on purpose, too.
    pub kept: bool,
    /// Remove what labproof made but this state directory does not know, too: another user's or another machine's run may be
    /// using it.
    pub unrecorded: bool,
    /// Only say what would be removed.
    pub dry_run: bool,
    /// When it is cancelled, what is at work is ended and nothing more is begun; the namespace that is waited for is not waited for
    /// any longer.
    pub stop: CancellationToken,
}

/// Something that was found.
#[derive(Debug)]
pub struct Finding {
    /// What it is: `kind cluster labproof-abc`, `namespace liveness-abc`.
    pub what: String,
    /// What was done about it.
    pub fate: Fate,
}

/// What was done about a finding.
#[derive(Debug)]
pub enum Fate {
    /// It was removed, and it was verified that it is gone.
    Removed,
    /// It would have been removed, but for the dry run.
    WouldRemove,
    /// It was left alone, for this reason.
    Skipped(String),
    /// It may be there: it can only be told where this says.
    NotLookedAt(String),
    /// It could not be removed.
    Failed(ProvisionError),
}

/// Removes the kind clusters that killed runs left behind.
pub async fn clusters(options: &CleanOptions) -> Result<Vec<Finding>, ProvisionError> {
    let names = options.state.names()?;
    let mut findings = Vec::new();
    for name in &names {
        if options.stop.is_cancelled() {
            return Ok(findings);
        }
        let claim = match options.state.take(name) {
            Ok(Some(claim)) => claim,
            Ok(None) => continue,
            Err(StateError::InUse(_)) => {
                let what = match options.state.look(name) {
                    Some(Record { run, subject: Subject::Namespaces(NamespacesRecord { context, .. }), .. }) => {
                        of_run(&run, &context)
                    }
                    _ => format!("kind cluster {name}"),
                };
                findings.push(Finding { what, fate: in_use() });
                continue;
            }
            Err(error) => {
                findings.push(Finding { what: format!("record {name}"), fate: Fate::Failed(error.into()) });
                continue;
            }
        };
        findings.extend(recorded(options, claim).await);
    }
    let found = match Docker(&options.programs).clusters().await {
        Ok(found) => found,
        // Not everyone has an engine; who asks for what is not recorded does.
        Err(error) if options.unrecorded => {
            findings.push(Finding { what: "kind clusters that are not recorded".to_owned(), fate: Fate::Failed(error) });
            return Ok(findings);
        }
        Err(_) => return Ok(findings),
    };
    for name in found {
        if options.stop.is_cancelled() {
            break;
        }
        if name.starts_with("labproof-") && !names.contains(&name) {
            let fate = unrecorded(options, &name).await.unwrap_or_else(Fate::Failed);
            findings.push(Finding { what: format!("kind cluster {name}"), fate });
        }
    }
    Ok(findings)
}

fn of_run(run: &str, context: &str) -> String {
    format!("namespaces of the run {run} in the context {context}")
}

fn in_use() -> Fate {
    Fate::Skipped("a running labproof uses it".to_owned())
}

/// What to do about something in the records that no run holds.
async fn recorded(options: &CleanOptions, claim: Claim) -> Option<Finding> {
    match claim.record().cloned() {
        Some(Record { made, subject: Subject::Kind(kind), .. }) => {
            let what = format!("kind cluster {}", claim.name());
            Some(Finding { what, fate: kind_cluster(options, claim, &made, &kind).await })
        }
        Some(Record { run, subject: Subject::Namespaces(namespaces), .. }) => {
            let look = namespaces.clean_options();
            let fate = if namespaces.kept {
                Fate::Skipped(format!("they were kept on purpose; labproof clean --kept {look}"))
            } else {
                Fate::NotLookedAt(format!("labproof clean {look}"))
            };
            Some(Finding { what: of_run(&run, &namespaces.context), fate })
        }
        // The run was killed before it made anything.
        None if options.dry_run => None,
        None => {
            let what = format!("record {}", claim.name());
            claim.forget().err().map(|error| Finding { what, fate: Fate::Failed(error.into()) })
        }
    }
}

async fn kind_cluster(options: &CleanOptions, claim: Claim, made: &str, kind: &KindRecord) -> Fate {
    if kind.stage == Stage::Kept && !options.kept {
        return Fate::Skipped("it was kept on purpose; --kept removes it".to_owned());
    }
    match is_older(options, claim.name(), made).await {
        Ok(false) => {}
        Ok(true) => return Fate::Skipped("a cluster of this name was there before labproof wanted to make one".to_owned()),
        Err(error) => return Fate::Failed(error),
    }
    if options.dry_run {
        return Fate::WouldRemove;
    }
    match delete::cluster(&options.programs, claim.name(), &claim.kubeconfig()).await {
        Ok(()) => claim.forget().map_or_else(|error| Fate::Failed(error.into()), |()| Fate::Removed),
        Err(error) => Fate::Failed(error),
    }
}

/// Whether the cluster was there before its record: a run that was killed between writing the record and finding the name taken.
async fn is_older(options: &CleanOptions, name: &str, made: &str) -> Result<bool, ProvisionError> {
    let Ok(made) = made.parse::<Timestamp>() else { return Ok(false) };
    let nodes = Docker(&options.programs).nodes(name).await?;
    let mut created = nodes.iter().filter_map(|node| node.created.parse::<Timestamp>().ok());
    Ok(created.any(|created| made.duration_since(created) > CLOCKS_MAY_DIFFER))
}

async fn unrecorded(options: &CleanOptions, name: &str) -> Result<Fate, ProvisionError> {
    let state = options.state.path().display();
    if !options.unrecorded {
        return Ok(Fate::Skipped(format!("it is not in the records of {state}; --unrecorded removes it if labproof made it")));
    }
    if !Docker(&options.programs).has_labelled_node(name, RUN_LABEL).await? {
        return Ok(Fate::Skipped(format!(
            "none of its nodes can be seen to have the label {RUN_LABEL}: kind delete cluster --name {name}"
        )));
    }
    if options.dry_run {
        return Ok(Fate::WouldRemove);
    }
    let kubeconfig = std::env::temp_dir().join(format!("{name}.kubeconfig"));
    delete::cluster(&options.programs, name, &kubeconfig).await?;
    Ok(Fate::Removed)
}

/// Removes the namespaces that killed runs left behind in a kubeconfig context.
pub async fn namespaces(options: &CleanOptions, client: &Client, context: &str) -> Result<Vec<Finding>, ProvisionError> {
    let made = namespace::made_by(client, None).await.map_err(|error| {
        let problem = format!("the namespaces of the context {context} cannot be listed: {}", words(&error));
        ProvisionError::new(problem, "see that `kubectl get namespaces` works with it")
    })?;
    let place = Place { context, cluster: context::cluster_uid(client).await };
    let mut findings = Vec::new();
    let mut left = Vec::new();
    for metadata in &made {
        let (Some(name), Some(run)) = (metadata.name.as_deref(), run_of(metadata)) else { continue };
        if options.stop.is_cancelled() {
            left.push(run);
            continue;
        }
        let fate = namespace_of(options, client, &place, metadata, run).await.unwrap_or_else(Fate::Failed);
        if !matches!(fate, Fate::Removed) {
            left.push(run);
        }
        findings.push(Finding { what: format!("namespace {name}"), fate });
    }
    if !options.dry_run {
        forget_finished(options, &place, &left)?;
    }
    Ok(findings)
}

/// A cluster, as it is reached.
struct Place<'a> {
    context: &'a str,
    /// See [`NamespacesRecord::cluster`].
    cluster: Option<String>,
}

impl Place<'_> {
    /// Whether the namespaces of the record are in this cluster: another kubeconfig may have a context of the same name.
    fn has(&self, record: &NamespacesRecord) -> bool {
        record.context == self.context && (record.cluster.is_none() || record.cluster == self.cluster)
    }
}

async fn namespace_of(
    options: &CleanOptions,
    client: &Client,
    place: &Place<'_>,
    metadata: &ObjectMeta,
    run: &str,
) -> Result<Fate, ProvisionError> {
    let name = metadata.name.as_deref().unwrap_or_default();
    // The lock is held until the end of this function.
    let claim = match options.state.take(&context::record_name(run)) {
        Err(StateError::InUse(_)) => return Ok(in_use()),
        other => other?,
    };
    let record = claim.as_ref().and_then(Claim::namespaces).filter(|record| place.has(record));
    if record.is_none() && !options.unrecorded {
        let state = options.state.path().display();
        return Ok(Fate::Skipped(format!("its run {run} is not in the records of {state}; --unrecorded removes it")));
    }
    if record.is_some_and(|record| record.kept) && !options.kept {
        return Ok(Fate::Skipped("it was kept on purpose; --kept removes it".to_owned()));
    }
    if options.dry_run {
        return Ok(Fate::WouldRemove);
    }
    let look = format!("see what holds it: kubectl --context {} get namespace {name} --output yaml", place.context);
    let removal = namespace::remove(client, name, run, namespace::REMOVAL_LIMIT);
    match options.stop.run_until_cancelled(removal).await {
        None => Err(ProvisionError::new("interrupted while it was being removed", look)),
        Some(Err(error)) => Err(ProvisionError::new(error.to_string(), error.hint().unwrap_or(look))),
        Some(Ok(())) => Ok(Fate::Removed),
    }
}

/// Forgets the runs in this cluster that have no namespaces left.
fn forget_finished(options: &CleanOptions, place: &Place<'_>, left: &[&str]) -> Result<(), ProvisionError> {
    for name in options.state.names()? {
        let Ok(Some(claim)) = options.state.take(&name) else { continue };
        let has_none = claim.record().is_some_and(|record| !left.contains(&record.run.as_str()));
        if has_none && claim.namespaces().is_some_and(|record| place.has(record)) {
            claim.forget()?;
        }
    }
    Ok(())
}
