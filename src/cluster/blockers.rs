//! What keeps a namespace from going away.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{ApiCapabilities, ApiResource, Discovery, Scope, verbs};
use kube::{Api, Client, ResourceExt};

use crate::errors::words;

/// How many objects are named.
const SHOWN: usize = 20;

/// The namespace's conditions that say what remains, and the objects that remain, with their finalizers. An answer that is not
/// to be had is said as well.
pub(super) async fn of(client: &Client, namespace: &str) -> Vec<String> {
    let mut blockers = conditions(client, namespace)
        .await
        .unwrap_or_else(|error| vec![format!("its conditions cannot be read: {}", words(&error))]);
    match objects(client, namespace).await {
        Ok(mut objects) => {
            objects.sort();
            let more = objects.len().saturating_sub(SHOWN);
            objects.truncate(SHOWN);
            blockers.extend(objects);
            blockers.extend((more > 0).then(|| format!("and {more} more objects")));
        }
        Err(error) => blockers.push(format!("the kinds of objects cannot be listed: {}", words(&error))),
    }
    blockers
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

async fn objects(client: &Client, namespace: &str) -> Result<Vec<String>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut found = Vec::new();
    for group in discovery.groups_alphabetical() {
        for (resource, capabilities) in group.recommended_resources() {
            if can_block(&resource, &capabilities) {
                let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
                // A kind that may not be listed is not worth losing the others.
                let list = api.list_metadata(&ListParams::default()).await;
                found.extend(list.into_iter().flatten().map(|object| describe(&resource.kind, &object)));
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

fn describe(kind: &str, object: &impl ResourceExt) -> String {
    let finalizers = match object.finalizers() {
        [] => String::new(),
        some => format!(" with the finalizers {}", some.join(", ")),
    };
    let state = if object.meta().deletion_timestamp.is_some() { "is being deleted" } else { "remains" };
    format!("{kind} {} {state}{finalizers}", object.name_any())
}
