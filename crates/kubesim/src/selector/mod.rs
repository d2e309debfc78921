//! Label and field selectors: which objects a list or a watch shows.

mod fields;
mod labels;

pub use fields::FieldSelector;
pub use labels::LabelSelector;

use crate::object::Object;

/// What a list or a watch is restricted to.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only objects with these labels.
    pub labels: LabelSelector,
    /// Only objects with these field values.
    pub fields: FieldSelector,
}

impl Selection {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Everything in a namespace.
    pub fn in_namespace(namespace: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), ..Self::default() }
    }

    /// Restricted further to objects whose field at this path has this value, such as `spec.nodeName`.
    #[must_use]
    pub fn field(mut self, path: &'static str, value: impl Into<String>) -> Self {
        self.fields.require(path, value);
        self
    }

    /// Restricted further to objects that a label selector selects.
    #[must_use]
    pub fn labelled(mut self, labels: LabelSelector) -> Self {
        self.labels = labels;
        self
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Object) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| object.namespace() == namespace)
            && self.fields.matches(object.value())
            && self.labels.matches_value(&object.value()["metadata"]["labels"])
    }
}
