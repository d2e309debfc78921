//! The environment of a container (`pkg/kubelet/kubelet_pods.go:makeEnvironmentVariables`).

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Container, EnvFromSource, EnvVarSource, Pod, ResourceFieldSelector, Secret, Service},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{
    Kubelet,
    node_status::CPUS,
    pod::{PodEntry, find_container, spec},
    runtime::NODE_MEMORY,
};
use crate::{quantity::Amount, selector::Selection};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables of a container.
///
/// # Errors
/// What is missing, in the kubelet's words: the message of a `CreateContainerConfigError`.
pub(super) async fn resolve(
    kubelet: &Kubelet,
    entry: &Arc<PodEntry>,
    pod: &Pod,
    container: &Container,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::from([("HOSTNAME".to_owned(), entry.name.clone()), ("PATH".to_owned(), PATH.to_owned())]);
    env.extend(services(entry, pod).await);
    for source in container.env_from.as_deref().unwrap_or_default() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let found = from_all(entry, source).await?;
        env.extend(found.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
    }
    for variable in container.env.as_deref().unwrap_or_default() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => Some(expand(value, &env)),
            (None, Some(EnvVarSource { resource_field_ref: Some(field), .. })) => Some(resource_value(pod, container, field)),
            (None, Some(source)) => from_one(kubelet, entry, pod, source).await?,
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            env.insert(variable.name.clone(), value);
        }
    }
    Ok(env)
}

/// The variables that name the Services of the Pod's namespace, and the API server's
/// (`kubelet_pods.go:getServiceEnvVarMap`, `pkg/kubelet/envvars`).
async fn services(entry: &PodEntry, pod: &Pod) -> BTreeMap<String, String> {
    let mut env = service("kubernetes", "10.96.0.1", &[("https", 443, "TCP")]);
    if spec(pod).enable_service_links == Some(false) {
        return env;
    }
    let selection = Selection::in_namespace(&entry.namespace);
    for found in entry.client.list::<Service>(&selection).await.unwrap_or_default() {
        let Some(spec) = &found.spec else { continue };
        let Some(ip) = spec.cluster_ip.as_deref().filter(|ip| !matches!(*ip, "" | "None")) else { continue };
        let ports = spec.ports.iter().flatten();
        let ports: Vec<_> = ports
            .map(|port| (port.name.as_deref().unwrap_or_default(), port.port, port.protocol.as_deref().unwrap_or("TCP")))
            .collect();
        env.extend(service(found.metadata.name.as_deref().unwrap_or_default(), ip, &ports));
    }
    env
}

/// The variables of one Service, whose ports are given with name, number and protocol.
fn service(name: &str, ip: &str, ports: &[(&str, i32, &str)]) -> BTreeMap<String, String> {
    let word = |text: &str| text.to_uppercase().replace('-', "_");
    let name = word(name);
    let mut env = BTreeMap::from([(format!("{name}_SERVICE_HOST"), ip.to_owned())]);
    for (index, (port_name, port, protocol)) in ports.iter().enumerate() {
        let url = format!("{}://{ip}:{port}", protocol.to_lowercase());
        if index == 0 {
            env.insert(format!("{name}_SERVICE_PORT"), port.to_string());
            env.insert(format!("{name}_PORT"), url.clone());
        }
        if !port_name.is_empty() {
            env.insert(format!("{name}_SERVICE_PORT_{}", word(port_name)), port.to_string());
        }
        let prefix = format!("{name}_PORT_{port}_{protocol}");
        env.insert(format!("{prefix}_PROTO"), protocol.to_lowercase());
        env.insert(format!("{prefix}_PORT"), port.to_string());
        env.insert(format!("{prefix}_ADDR"), ip.to_owned());
        env.insert(prefix, url);
    }
    env
}

async fn from_all(entry: &PodEntry, source: &EnvFromSource) -> Result<BTreeMap<String, String>, String> {
    if let Some(reference) = &source.config_map_ref {
        let found = config_map(entry, &reference.name, reference.optional == Some(true)).await?;
        return Ok(found.unwrap_or_default());
    }
    if let Some(reference) = &source.secret_ref {
        let found = secret(entry, &reference.name, reference.optional == Some(true)).await?;
        return Ok(found.unwrap_or_default());
    }
    Ok(BTreeMap::new())
}

async fn from_one(kubelet: &Kubelet, entry: &PodEntry, pod: &Pod, source: &EnvVarSource) -> Result<Option<String>, String> {
    if let Some(reference) = &source.config_map_key_ref {
        let optional = reference.optional == Some(true);
        let found = config_map(entry, &reference.name, optional).await?;
        return key(entry, "ConfigMap", &reference.name, &reference.key, optional, found);
    }
    if let Some(reference) = &source.secret_key_ref {
        let optional = reference.optional == Some(true);
        let found = secret(entry, &reference.name, optional).await?;
        return key(entry, "Secret", &reference.name, &reference.key, optional, found);
    }
    let Some(field) = &source.field_ref else { return Ok(Some(String::new())) };
    Ok(Some(field_value(kubelet, entry, pod, &field.field_path)))
}

fn key(
    entry: &PodEntry,
    kind: &str,
    name: &str,
    key: &str,
    optional: bool,
    found: Option<BTreeMap<String, String>>,
) -> Result<Option<String>, String> {
    match found.and_then(|mut data| data.remove(key)) {
        Some(value) => Ok(Some(value)),
        None if optional => Ok(None),
        None => Err(format!("couldn't find key {key} in {kind} {}/{name}", entry.namespace)),
    }
}

/// A field of the Pod, as the downward API gives it (pkg/fieldpath).
fn field_value(kubelet: &Kubelet, entry: &PodEntry, pod: &Pod, path: &str) -> String {
    let quoted = |path: &str| path.split_once("['").and_then(|(_, rest)| rest.strip_suffix("']")).map(str::to_owned);
    let of =
        |map: &Option<BTreeMap<String, String>>| quoted(path).and_then(|key| map.as_ref()?.get(&key).cloned()).unwrap_or_default();
    match path {
        "metadata.name" => entry.name.clone(),
        "metadata.namespace" => entry.namespace.clone(),
        "metadata.uid" => entry.uid.clone(),
        "spec.nodeName" => kubelet.node.clone(),
        "spec.serviceAccountName" => spec(pod).service_account_name.clone().unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => kubelet.node_ip.clone(),
        "status.podIP" | "status.podIPs" => entry.ip(),
        _ if path.starts_with("metadata.labels[") => of(&pod.metadata.labels),
        _ if path.starts_with("metadata.annotations[") => of(&pod.metadata.annotations),
        _ => String::new(),
    }
}

/// A resource of a container, as the downward API gives it: in units of the divisor, rounded up. A limit that is not set is the
/// node's (`pkg/api/v1/resource/helpers.go:ExtractContainerResourceValue`).
fn resource_value(pod: &Pod, container: &Container, field: &ResourceFieldSelector) -> String {
    let container = field.container_name.as_deref().and_then(|name| find_container(pod, name)).unwrap_or(container);
    let (list, resource) = field.resource.split_once('.').unwrap_or(("limits", field.resource.as_str()));
    let resources = container.resources.as_ref();
    let thousandths = |quantity: &Quantity| Some(quantity.0.parse::<Amount>().ok()?.thousandths());
    let set = |list: Option<&BTreeMap<String, Quantity>>| thousandths(list?.get(resource)?);
    let of_node = match resource {
        "cpu" => i128::from(CPUS) * 1000,
        "memory" => i128::from(NODE_MEMORY) * 1000,
        _ => 0,
    };
    let value = match list {
        "requests" => set(resources.and_then(|resources| resources.requests.as_ref())).unwrap_or_default(),
        _ => set(resources.and_then(|resources| resources.limits.as_ref())).unwrap_or(of_node),
    };
    let divisor = field.divisor.as_ref().and_then(thousandths).filter(|divisor| *divisor > 0).unwrap_or(1000);
    ((value + divisor - 1) / divisor).to_string()
}

/// The data of a `ConfigMap`; nothing if it does not exist and may be missing.
pub(super) async fn config_map(entry: &PodEntry, name: &str, optional: bool) -> Result<Option<BTreeMap<String, String>>, String> {
    match entry.client.get::<ConfigMap>(&entry.namespace, name).await {
        Ok(map) => {
            let binary = map.binary_data.iter().flatten();
            let binary = binary.map(|(key, value)| (key.clone(), String::from_utf8_lossy(&value.0).into_owned()));
            Ok(Some(map.data.clone().into_iter().flatten().chain(binary).collect()))
        }
        Err(error) if error.is_not_found() && optional => Ok(None),
        Err(error) if error.is_not_found() => Err(format!("configmap \"{name}\" not found")),
        Err(error) => Err(error.to_string()),
    }
}

/// The data of a Secret; nothing if it does not exist and may be missing.
pub(super) async fn secret(entry: &PodEntry, name: &str, optional: bool) -> Result<Option<BTreeMap<String, String>>, String> {
    match entry.client.get::<Secret>(&entry.namespace, name).await {
        Ok(secret) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok(Some(secret.data.iter().flatten().map(|(key, value)| (key.clone(), text(&value.0))).collect()))
        }
        Err(error) if error.is_not_found() && optional => Ok(None),
        Err(error) if error.is_not_found() => Err(format!("secret \"{name}\" not found")),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts values in the place of `$(NAME)`; `$$(NAME)` stays as `$(NAME)`, and so does an unknown name
/// (`third_party/forked/golang/expansion`).
pub(super) fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = if let Some(escaped) = after.strip_prefix('$') {
            expanded.push('$');
            escaped
        } else if let Some((name, tail)) = reference {
            let value = env.get(name).cloned().unwrap_or_else(|| format!("$({name})"));
            expanded.push_str(&value);
            tail
        } else {
            expanded.push('$');
            after
        };
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_variables_are_expanded() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let expanded = ["$(A)-$(B)", "$$(A)", "$A $", "x$(A"].map(|text| expand(text, &env));
        assert_eq!(expanded, ["1-$(B)", "$(A)", "$A $", "x$(A"]);
    }
}
