//! What keeps a namespace from going away.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{ApiCapabilities, ApiResource, Discovery, Scope, verbs};
use kube::{Api, Client, ResourceExt};

use crate::errors::words;

/// How many objects are named.
const SHOWN: usize = 20;

/// What keeps a namespace.
pub(super) struct Blockers {
    /// The namespace's conditions that say what remains, and the objects that remain, with their finalizers. An answer that is
    /// not to be had is said as well.
    pub(super) texts: Vec<String>,
    /// The commands that take the finalizers from those objects.
    pub(super) releases: Vec<String>,
}

/// An object that remains.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Remaining {
    text: String,
    release: Option<String>,
}

/// Looks at the namespace and at everything in it.
pub(super) async fn of(client: &Client, namespace: &str) -> Blockers {
    let mut texts = conditions(client, namespace)
        .await
        .unwrap_or_else(|error| vec![format!("its conditions cannot be read: {}", words(&error))]);
    let mut releases = Vec::new();
    match objects(client, namespace).await {
        Ok(mut objects) => {
            objects.sort();
            let more = objects.len().saturating_sub(SHOWN);
            for Remaining { text, release } in objects.into_iter().take(SHOWN) {
                texts.push(text);
                releases.extend(release);
            }
            texts.extend((more > 0).then(|| format!("and {more} more objects")));
        }
        Err(error) => texts.push(format!("the kinds of objects cannot be listed: {}", words(&error))),
    }
    Blockers { texts, releases }
}

/// All of a terminating namespace's conditions are about what keeps it (k8s.io/api/core/v1, `NamespaceConditionType`).
async fn conditions(client: &Client, namespace: &str) -> Result<Vec<String>, kube::Error> {
    let found = Api::<Namespace>::all(client.clone()).get_opt(namespace).await?;
    let conditions = found.and_then(|namespace| namespace.status).and_then(|status| status.conditions).unwrap_or_default();
    Ok(conditions
        .into_iter()
        .filter(|condition| condition.status == "True")
        .map(|condition| format!("{}: {}", condition.type_, condition.message.unwrap_or_default()))
        .collect())
}

async fn objects(client: &Client, namespace: &str) -> Result<Vec<Remaining>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut found = Vec::new();
    for group in discovery.groups_alphabetical() {
        for (resource, capabilities) in group.recommended_resources() {
            if can_block(&resource, &capabilities) {
                let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
                // A kind that may not be listed is not worth losing the others.
                let list = api.list_metadata(&ListParams::default()).await;
                found.extend(list.into_iter().flatten().map(|object| describe(&resource, namespace, &object)));
            }
        }
    }
    Ok(found)
}

/// Events go with the namespace and never keep it; they would be named twice, too, once for each of their groups.
fn can_block(resource: &ApiResource, capabilities: &ApiCapabilities) -> bool {
    capabilities.scope == Scope::Namespaced
        && capabilities.supports_operation(verbs::LIST)
        && capabilities.supports_operation(verbs::DELETE)
        && resource.kind != "Event"
}

fn describe(resource: &ApiResource, namespace: &str, object: &impl ResourceExt) -> Remaining {
    let name = object.name_any();
    let (finalizers, release) = match object.finalizers() {
        [] => (String::new(), None),
        some => {
            let kind = format!("{}.{}", resource.plural, resource.group);
            let patch = r#"'{"metadata":{"finalizers":null}}'"#;
            let command =
                format!("kubectl patch {} {name} --namespace {namespace} --type merge --patch {patch}", kind.trim_end_matches('.'));
            (format!(" with the finalizers {}", some.join(", ")), Some(command))
        }
    };
    let state = if object.meta().deletion_timestamp.is_some() { "is being deleted" } else { "remains" };
    Remaining { text: format!("{} {name} {state}{finalizers}", resource.kind), release }
}
