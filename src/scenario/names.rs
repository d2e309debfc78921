//! What Kubernetes lets names consist of.

/// A DNS label (RFC 1123): lower-case letters, digits and `-`. Its length is not looked at.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let is_edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let bytes = text.as_bytes();
    is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-')
}

/// A DNS subdomain (RFC 1123), at most 253 characters: what most objects may be called
/// (`apimachinery/pkg/util/validation/validation.go`).
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Whether an object of this API version may have this name, so that a path can be made of it. Those of RBAC have upper-case
/// letters and colons too (`apimachinery/pkg/api/validation/path/name.go`).
pub(crate) fn is_object_name(api_version: &str, name: &str) -> bool {
    let is_of_rbac = || {
        api_version.starts_with("rbac.authorization.k8s.io/")
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= 253
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._:".contains(&c))
    };
    is_dns_subdomain(name) || is_of_rbac()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("v1", "web", true)]
    #[case("v1", "web-1.example", true)]
    #[case("v1", "x?dryRun=All", false)]
    #[case("v1", "web/status", false)]
    #[case("v1", "..", false)]
    #[case("v1", "", false)]
    #[case("v1", "Web", false)]
    #[case("v1", "a:b", false)]
    #[case("rbac.authorization.k8s.io/v1", "system:Web", true)]
    #[case("rbac.authorization.k8s.io/v1", "..", false)]
    #[case("rbac.authorization.k8s.io/v1", "a/b", false)]
    fn names_fit_into_a_path(#[case] api_version: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_object_name(api_version, name), expected);
    }
}
