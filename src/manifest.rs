//! Reads the manifests that scenarios apply, as `kubectl` reads them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Source};
use crate::scenario::{Location, ObjectRef};
use crate::yaml::{self, Dialect, MOST_BYTES, Node, Tree};

/// Kinds of Kubernetes that have no namespace.
const CLUSTER_WIDE: &[&str] = &[
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ManifestObject {
    /// Which object it is.
    pub reference: ObjectRef,
    /// The object, without a namespace.
    pub object: Value,
    /// The manifest's file.
    pub file: PathBuf,
    /// Where the object begins in it.
    pub location: Location,
}

/// Reads a manifest file of one or more documents; objects of `List` kinds are taken one by one. A manifest without objects is
/// an error.
pub fn read(file: &Path) -> Result<Vec<ManifestObject>, Vec<Diagnostic>> {
    let unreadable = |why: String| vec![Diagnostic::about_file(file, format!("the manifest cannot be read: {why}"), None)];
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    File::open(file).and_then(|f| f.take(most).read_to_end(&mut bytes)).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() > MOST_BYTES {
        return Err(unreadable(format!("it is larger than {MOST_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| unreadable(format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to())))?;
    parse(&text, file)
}

/// Reads the text of a manifest.
pub fn parse(text: &str, file: &Path) -> Result<Vec<ManifestObject>, Vec<Diagnostic>> {
    let (documents, errors) = yaml::documents(text);
    let source = Source::new(file, text);
    let mut reader = Reader { source: &source, objects: Vec::new(), errors: Vec::new() };
    let whole = errors.is_empty();
    for error in errors {
        reader.error(&error.span, error.message, error.help.map(str::to_owned));
    }
    for document in &documents {
        reader.document(document);
    }
    if whole && documents.is_empty() {
        reader.errors.push(Diagnostic::about_file(file, "the manifest has no objects", Some("write at least one")));
    }
    if reader.errors.is_empty() { Ok(reader.objects) } else { Err(reader.errors) }
}

struct Reader<'a> {
    source: &'a Source<'a>,
    objects: Vec<ManifestObject>,
    errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn error(&mut self, span: &std::ops::Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.errors.push(self.source.error(span, message, help));
    }

    fn document(&mut self, node: &Node) {
        let Tree::Mapping(_) = &node.tree else {
            return self.error(
                &node.span,
                "a document of a manifest must be an object",
                Some("it begins with `apiVersion:`".to_owned()),
            );
        };
        let api_version = self.text(node, "apiVersion", "apiVersion: apps/v1");
        let kind = self.text(node, "kind", "kind: Deployment");
        let (Some(api_version), Some(kind)) = (api_version, kind) else { return };
        if kind.ends_with("List")
            && let Some(Node { tree: Tree::Sequence(items), .. }) = field(node, "items")
        {
            return items.iter().for_each(|item| self.document(item));
        }
        if CLUSTER_WIDE.contains(&kind.as_str()) {
            let help = "a scenario makes and removes only what is in its own namespace".to_owned();
            return self.error(&node.span, format!("a {kind} belongs to the whole cluster"), Some(help));
        }
        let Some(name) = self.metadata(node) else { return };
        let mut object = node.to_json(Dialect::Kubernetes);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("namespace");
        }
        let reference = ObjectRef { api_version, kind, name };
        let location = self.source.location(node.span.start);
        self.objects.push(ManifestObject { reference, object, file: self.source.file().to_owned(), location });
    }

    fn metadata(&mut self, node: &Node) -> Option<String> {
        let Some(metadata) = field(node, "metadata").filter(|metadata| matches!(metadata.tree, Tree::Mapping(_))) else {
            self.error(&node.span, "the object needs `metadata`", Some("such as `metadata: {name: web}`".to_owned()));
            return None;
        };
        if let Some(generate) = field(metadata, "generateName") {
            let help = "a scenario names what it expects: write `name`".to_owned();
            self.error(&generate.span, "a name that the cluster generates cannot be expected", Some(help));
            return None;
        }
        if let Some(namespace) = field(metadata, "namespace")
            && !namespace.is_null()
            && namespace.as_text() != Some("default")
        {
            let message = format!("the object asks for the namespace `{}`", namespace.as_text().unwrap_or_default());
            let help = "leave it out: each scenario has a namespace of its own".to_owned();
            self.error(&namespace.span, message, Some(help));
            return None;
        }
        self.text(metadata, "name", "name: web")
    }

    fn text(&mut self, node: &Node, key: &str, example: &str) -> Option<String> {
        let help = Some(format!("such as `{example}`"));
        match field(node, key) {
            None => self.error(&node.span, format!("the object needs `{key}`"), help),
            Some(value) => match value.as_text().filter(|text| !text.is_empty() && !value.is_null()) {
                Some(text) => return Some(text.to_owned()),
                None => self.error(&value.span, format!("`{key}` must be a text"), help),
            },
        }
        None
    }
}

fn field<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Tree::Mapping(entries) = &node.tree else { return None };
    entries.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text, Path::new("x.yaml")).unwrap().iter().map(|o| format!("{} {}", o.reference, o.location.line)).collect()
    }

    #[test]
    fn reads_documents_and_lists() {
        let text = "---\n# nothing\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: default}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: c}}\n";
        assert_eq!(names(text), ["pod/a 4", "pod/b 11", "deployment/c 12"]);
    }

    #[test]
    fn reads_scalars_as_kubectl_does() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: &x {mode: 0644, on: yes, text: '0644'}\ny: {<<: *x, text: mine, f: 1.5, n: ~}\n";
        let object = &parse(text, Path::new("x.yaml")).unwrap()[0].object;
        assert_eq!(object["x"], json!({"mode": 420, "on": true, "text": "0644"}));
        assert_eq!(object["y"], json!({"mode": 420, "on": true, "text": "mine", "f": 1.5, "n": null}));
    }

    #[test]
    fn the_namespace_is_left_out() {
        let object =
            &parse("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default}}", Path::new("x.yaml")).unwrap()[0].object;
        assert_eq!(object["metadata"], json!({"name": "a"}));
    }

    #[rstest]
    #[case::no_objects("# only a comment\n", "the manifest has no objects")]
    #[case::text("just text", "must be an object")]
    #[case::syntax("apiVersion: v1\nkind: [Pod\n", "not YAML")]
    #[case::api_version("kind: Pod\nmetadata: {name: a}\n", "needs `apiVersion`")]
    #[case::kind("apiVersion: v1\nkind:\nmetadata: {name: a}\n", "`kind` must be a text")]
    #[case::metadata("apiVersion: v1\nkind: Pod\n", "needs `metadata`")]
    #[case::name("apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: b}}\n", "needs `name`")]
    #[case::generated("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", "generates")]
    #[case::cluster_wide("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "the whole cluster")]
    #[case::namespace("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: kube-system}\n", "namespace `kube-system`")]
    #[case::twice("apiVersion: v1\nkind: Pod\nkind: Pod\nmetadata: {name: a}\n", "stands here twice")]
    fn refuses_others(#[case] text: &str, #[case] part: &str) {
        let errors = parse(text, Path::new("x.yaml")).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].message.contains(part), "{errors:?}");
    }

    #[test]
    fn all_errors_are_told() {
        let text = "kind: Pod\n---\napiVersion: v1\nkind: Pod\nmetadata: {}\n---\n- a\n";
        let lines: Vec<_> = parse(text, Path::new("x.yaml")).unwrap_err().iter().map(|e| e.location.map(|l| l.line)).collect();
        assert_eq!(lines, [Some(1), Some(5), Some(7)]);
    }
}
