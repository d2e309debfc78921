//! The kubeconfig file of a server.

use k8s_openapi::ByteString;
use serde_json::json;

use super::tls::Tls;

/// A kubeconfig file whose only cluster, user and context are called `name`.
pub(super) fn kubeconfig(name: &str, url: &str, tls: Option<&Tls>) -> String {
    let mut cluster = json!({"server": url});
    let mut user = json!({});
    if let Some(tls) = tls {
        cluster["certificate-authority-data"] = json!(ByteString(tls.authority.as_bytes().to_vec()));
        user["token"] = json!(tls.token.as_str());
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    });
    // JSON is YAML, and a document of strings and lists can always be written as either.
    serde_yaml::to_string(&config).unwrap_or_else(|_| config.to_string())
}
