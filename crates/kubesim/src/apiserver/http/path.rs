//! What a request's path and method ask for.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::{
    resource::{self, Resource},
    status::StatusError,
};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A document of discovery, health or the API's description, by its path.
    Document(String),
    /// The objects of a resource.
    Collection {
        /// The resource.
        resource: &'static Resource,
        /// The namespace, if not all are meant.
        namespace: Option<String>,
    },
    /// One object.
    Object {
        /// The resource.
        resource: &'static Resource,
        /// The namespace; empty for an object of the cluster.
        namespace: String,
        /// The name.
        name: String,
        /// The subresource; empty for the object itself.
        subresource: String,
        /// What comes after the subresource: the path of a proxied request.
        rest: String,
    },
    /// A review of what a user may do: `selfsubjectaccessreviews` and the like, by its name.
    Review(String),
}

impl Target {
    /// The resource that it is about.
    pub(super) fn resource(&self) -> Option<&'static Resource> {
        match self {
            Self::Collection { resource, .. } | Self::Object { resource, .. } => Some(resource),
            Self::Document(_) | Self::Review(_) => None,
        }
    }
}

/// Reads a path.
///
/// # Errors
/// If there is nothing at it.
pub(super) fn parse(path: &str) -> Result<Target, StatusError> {
    let decoded: Vec<String> =
        path.split('/').skip(1).map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() && rest != [""] => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() && rest != [""] => (*group, *version, rest),
        _ => return Ok(Target::Document(path.trim_end_matches('/').to_owned())),
    };
    if ["authentication.k8s.io", "authorization.k8s.io"].contains(&group) && version == "v1" && rest.len() == 1 {
        return Ok(Target::Review(rest[0].to_owned()));
    }
    // A namespace is an object as well as a place: `namespaces/a/pods` but `namespaces/a/status`.
    match rest {
        ["namespaces", namespace, plural, after @ ..] if !["status", "finalize"].contains(plural) => {
            let resource = find(group, version, plural)?;
            if !resource.namespaced {
                return Err(StatusError::no_such_path());
            }
            Ok(target(resource, Some((*namespace).to_owned()), after))
        }
        [plural, after @ ..] => {
            let resource = find(group, version, plural)?;
            if resource.namespaced && after.iter().any(|segment| !segment.is_empty()) {
                return Err(StatusError::no_such_path());
            }
            Ok(target(resource, None, after))
        }
        [] => Err(StatusError::no_such_path()),
    }
}

fn find(group: &str, version: &str, plural: &str) -> Result<&'static Resource, StatusError> {
    resource::find(group, version, plural).ok_or_else(StatusError::no_such_path)
}

fn target(resource: &'static Resource, namespace: Option<String>, after: &[&str]) -> Target {
    match after {
        [] | [""] => Target::Collection { resource, namespace },
        [name, after @ ..] => Target::Object {
            resource,
            namespace: namespace.unwrap_or_default(),
            name: (*name).to_owned(),
            subresource: after.first().copied().unwrap_or_default().to_owned(),
            rest: after.get(1..).unwrap_or_default().join("/"),
        },
    }
}

/// Whether a method reads.
pub(super) fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{DEPLOYMENTS, NAMESPACES, NODES, PODS};

    fn object(resource: &'static Resource, namespace: &str, name: &str, subresource: &str, rest: &str) -> Target {
        let owned = str::to_owned;
        Target::Object {
            resource,
            namespace: owned(namespace),
            name: owned(name),
            subresource: owned(subresource),
            rest: owned(rest),
        }
    }

    #[test]
    fn paths_lead_to_objects() {
        let all = Target::Collection { resource: &PODS, namespace: None };
        assert_eq!(parse("/api/v1/pods"), Ok(all));
        let some = Target::Collection { resource: &DEPLOYMENTS, namespace: Some("a".to_owned()) };
        assert_eq!(parse("/apis/apps/v1/namespaces/a/deployments"), Ok(some));
        assert_eq!(parse("/api/v1/namespaces/a/pods/p/log"), Ok(object(&PODS, "a", "p", "log", "")));
        assert_eq!(parse("/api/v1/namespaces/a/pods/p:80/proxy/x/y"), Ok(object(&PODS, "a", "p:80", "proxy", "x/y")));
        assert_eq!(parse("/api/v1/namespaces/a/status"), Ok(object(&NAMESPACES, "", "a", "status", "")));
        assert_eq!(parse("/api/v1/namespaces/a"), Ok(object(&NAMESPACES, "", "a", "", "")));
        assert_eq!(parse("/api/v1/nodes/n%2D1"), Ok(object(&NODES, "", "n-1", "", "")));
        assert_eq!(parse("/api/v1/nodes/n%+1"), Ok(object(&NODES, "", "n%+1", "", "")));
        assert_eq!(parse("/api/v1"), Ok(Target::Document("/api/v1".to_owned())));
    }

    #[test]
    fn there_is_nothing_elsewhere() {
        for path in ["/api/v1/nope", "/apis/apps/v1/pods", "/api/v1/namespaces/a/nodes", "/api/v1/pods/p"] {
            assert_eq!(parse(path).unwrap_err().code(), 404, "{path}");
        }
    }
}
