//! Reads the manifests that scenarios apply, as `kubectl` reads them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place, Source};
use crate::scenario::{ImageUse, ObjectRef, images, kinds, names};
use crate::yaml::{self, Dialect, Node, Tree};

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestObject {
    /// Which object it is.
    pub reference: ObjectRef,
    /// The object, without a namespace.
    pub object: Value,
    /// The images of its containers.
    pub images: Vec<ImageUse>,
    /// Where it stands.
    pub place: Place,
}

/// Reads a manifest file of one or more documents; objects of `List` kinds are taken one by one. A manifest without objects is
/// an error.
pub fn read(file: &Path) -> Result<Vec<ManifestObject>, Vec<Diagnostic>> {
    let unreadable = |why| vec![Diagnostic::about_file(file, format!("the manifest cannot be read: {why}"), None)];
    parse(&yaml::read(file).map_err(unreadable)?, file)
}

/// Reads the text of a manifest.
pub fn parse(text: &str, file: &Path) -> Result<Vec<ManifestObject>, Vec<Diagnostic>> {
    let (documents, errors) = yaml::documents(text);
    let source = Source::new(file, text);
    let mut reader = Reader { source: &source, objects: Vec::new(), known: BTreeMap::new(), errors: Vec::new() };
    for error in errors {
        reader.error(&error.span, error.message, error.help.map(str::to_owned));
    }
    for document in &documents {
        reader.document(document);
    }
    if reader.errors.is_empty() && reader.objects.is_empty() {
        reader.errors.push(Diagnostic::about_file(file, "the manifest has no objects", Some("write at least one")));
    }
    if reader.errors.is_empty() { Ok(reader.objects) } else { Err(reader.errors) }
}

/// After so many errors of a file nothing more is told.
const MOST_TOLD: usize = 100;

struct Reader<'a> {
    source: &'a Source,
    objects: Vec<ManifestObject>,
    /// The lines of the objects.
    known: BTreeMap<ObjectRef, usize>,
    errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn error(&mut self, span: &std::ops::Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.errors.push(self.source.place(span).error(message, help));
        if self.errors.len() == MOST_TOLD {
            let message = "nothing more is told of a file with so many errors";
            self.errors.push(Diagnostic::about_file(self.source.file(), message, Some("mend those above first")));
        }
    }

    fn document(&mut self, node: &Node) {
        if self.errors.len() >= MOST_TOLD {
            return;
        }
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
            && let Some(Node { tree: Tree::Sequence(items), .. }) = node.field("items")
        {
            return items.iter().for_each(|item| self.document(item));
        }
        if (api_version.as_str(), kind.as_str()) == ("v1", "List") {
            return self.error(&node.span, "the list needs `items`", Some("such as `items: [{apiVersion: v1, …}]`".to_owned()));
        }
        if let Some((message, help)) = kinds::unusable(&api_version, &kind) {
            return self.error(&node.field("kind").unwrap_or(node).span, message, Some(help));
        }
        let Some(name) = self.metadata(node, &api_version) else { return };
        let mut object = node.to_json(Dialect::Kubernetes);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("namespace");
        }
        let reference = ObjectRef { api_version, kind, name };
        let place = self.source.place(&node.span);
        if let Some(line) = self.known.get(&reference) {
            let help = Some(format!("the first one is in line {line}"));
            return self.error(&node.span, format!("the manifest has {reference} twice"), help);
        }
        self.known.insert(reference.clone(), place.location().line);
        self.objects.push(ManifestObject { reference, object, images: images::of_object(self.source, node), place });
    }

    fn metadata(&mut self, node: &Node, api_version: &str) -> Option<String> {
        let Some(metadata) = node.field("metadata").filter(|metadata| matches!(metadata.tree, Tree::Mapping(_))) else {
            self.error(&node.span, "the object needs `metadata`", Some("such as `metadata: {name: web}`".to_owned()));
            return None;
        };
        if let Some(generate) = metadata.field("generateName") {
            let help = "a scenario names what it expects: write `name`".to_owned();
            self.error(&generate.span, "a name that the cluster generates cannot be expected", Some(help));
            return None;
        }
        if let Some(namespace) = metadata.field("namespace")
            && !namespace.is_null()
            && namespace.as_text() != Some("default")
        {
            let message = format!("the object asks for the namespace `{}`", namespace.as_text().unwrap_or_default());
            let help = "leave it out: each scenario has a namespace of its own".to_owned();
            self.error(&namespace.span, message, Some(help));
            return None;
        }
        let name = self.text(metadata, "name", "name: web")?;
        if !names::is_object_name(api_version, &name) {
            let span = &metadata.field("name").unwrap_or(metadata).span;
            let help = "names consist of lower-case letters, digits, `-` and `.`".to_owned();
            self.error(span, format!("`{name}` cannot be an object's name"), Some(help));
            return None;
        }
        Some(name)
    }

    fn text(&mut self, node: &Node, key: &str, example: &str) -> Option<String> {
        let help = Some(format!("such as `{example}`"));
        match node.field(key) {
            None => self.error(&node.span, format!("the object needs `{key}`"), help),
            Some(value) => {
                if let Some(text) = value.to_text(Dialect::Kubernetes).filter(|text| !text.is_empty()) {
                    return Some(text.to_owned());
                }
                let written = value.as_text().filter(|text| !text.is_empty());
                let help = written.map(|text| format!("in quotes it is one: `'{text}'`")).or(help);
                self.error(&value.span, format!("`{key}` must be a text"), help);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text, Path::new("x.yaml")).unwrap().iter().map(|o| format!("{} {}", o.reference, o.place.location().line)).collect()
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
    #[case::kind_unknown("apiVersion: v1\nkind: Podd\nmetadata: {name: a}\n", "v1 has no kind `Podd`")]
    #[case::number("apiVersion: v1\nkind: Pod\nmetadata: {name: 123}\n", "`name` must be a text")]
    #[case::boolean("apiVersion: v1\nkind: Pod\nmetadata: {name: on}\n", "`name` must be a text")]
    #[case::query("apiVersion: v1\nkind: Pod\nmetadata: {name: 'x?dryRun=All'}\n", "cannot be an object's name")]
    #[case::subresource("apiVersion: v1\nkind: Pod\nmetadata: {name: web/status}\n", "cannot be an object's name")]
    #[case::empty_list("apiVersion: v1\nkind: List\nitems: []\n", "the manifest has no objects")]
    #[case::no_list("apiVersion: v1\nkind: List\n", "the list needs `items`")]
    #[case::same_object(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: a}}\n",
        "has pod/a twice"
    )]
    #[case::request(
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: a}\n",
        "the whole cluster"
    )]
    #[case::namespace("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: kube-system}\n", "namespace `kube-system`")]
    #[case::twice("apiVersion: v1\nkind: Pod\nkind: Pod\nmetadata: {name: a}\n", "stands here twice")]
    fn refuses_others(#[case] text: &str, #[case] part: &str) {
        let errors = parse(text, Path::new("x.yaml")).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].message.contains(part), "{errors:?}");
    }

    #[test]
    fn kinds_of_other_groups_are_their_own() {
        assert_eq!(names("apiVersion: example.com/v1\nkind: Node\nmetadata: {name: a}\n"), ["node/a 1"]);
    }

    #[test]
    fn images_know_their_places() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      initContainers:\n      - {name: i, image: init:1}\n      containers:\n      - name: c\n        image: web:1\n      volumes:\n      - image: {reference: data:1}\n";
        let objects = parse(text, Path::new("x.yaml")).unwrap();
        let images: Vec<_> = objects[0].images.iter().map(|use_| (use_.image.as_str(), use_.place.location().line)).collect();
        assert_eq!(images, [("init:1", 8), ("web:1", 11)]);
    }

    #[test]
    fn all_errors_are_told() {
        let text = "kind: Pod\n---\napiVersion: v1\nkind: Pod\nmetadata: {}\n---\n- a\n";
        let lines: Vec<_> = parse(text, Path::new("x.yaml")).unwrap_err().iter().map(|e| e.location.map(|l| l.line)).collect();
        assert_eq!(lines, [Some(1), Some(5), Some(7)]);
    }
}
