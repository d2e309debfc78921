//! Image names: when two of them mean the same image.

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not an image name; write it as in a Pod, for example busybox:1.36.1")]
pub struct InvalidImage {
    name: String,
    /// The part of the name that must be in lower case and is not.
    capitals: Option<String>,
}

impl InvalidImage {
    /// What is wrong, as container runtimes say it.
    #[must_use]
    pub fn reference_error(&self) -> String {
        let capitals = self.capitals.as_ref();
        let detail = capitals.map(|part| format!(": repository name ({part}) must be lowercase")).unwrap_or_default();
        format!("invalid reference format{detail}")
    }
}

/// The full name of an image, as the container runtime reports it: `busybox:1.36.1` and
/// `docker.io/library/busybox:1.36.1` are one. A name without tag or digest gets `:latest`.
///
/// The rules are those of github.com/distribution/reference, `ParseNormalizedNamed` and `TagNameOnly`.
pub fn normalise(image: &str) -> Result<String, InvalidImage> {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = match named.rsplit_once(':') {
        // A colon before a slash belongs to a registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (named, None),
    };
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if is_domain(first) => (first, rest),
        _ => ("docker.io", name),
    };
    let domain = if domain == "index.docker.io" { "docker.io" } else { domain };
    let library = if domain == "docker.io" && !path.contains('/') { "library/" } else { "" };
    let invalid = || InvalidImage {
        name: image.to_owned(),
        capitals: path.contains(|c: char| c.is_uppercase()).then(|| format!("{library}{path}")),
    };
    if !path.split('/').all(is_component) || !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
        return Err(invalid());
    }
    Ok(match (tag, digest) {
        (_, Some(digest)) => format!("{domain}/{library}{path}@{digest}"),
        (tag, None) => format!("{domain}/{library}{path}:{}", tag.unwrap_or("latest")),
    })
}

/// Whether what stands before the first slash is a registry and not a part of the path.
fn is_domain(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.contains(|c: char| c.is_uppercase())
}

fn is_component(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c);
    let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let bytes = text.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|c| inner(*c))
}

fn is_tag(text: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128 && bytes.first().is_some_and(|c| word(*c)) && bytes.iter().all(|c| word(*c) || b".-".contains(c))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("busybox", "docker.io/library/busybox:latest")]
    #[case("busybox:1.36.1", "docker.io/library/busybox:1.36.1")]
    #[case("library/busybox:1.36.1", "docker.io/library/busybox:1.36.1")]
    #[case("index.docker.io/busybox:1.36.1", "docker.io/library/busybox:1.36.1")]
    #[case("blux2/hello-server:1.6", "docker.io/blux2/hello-server:1.6")]
    #[case("localhost:5000/a/b:c", "localhost:5000/a/b:c")]
    #[case("localhost/a", "localhost/a:latest")]
    #[case("Blux2/hello-server:1.6", "Blux2/hello-server:1.6")]
    #[case("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10")]
    fn completes_names(#[case] given: &str, #[case] full: &str) {
        assert_eq!(normalise(given).unwrap(), full);
        assert_eq!(normalise(full).unwrap(), full);
    }

    #[rstest]
    fn capitals_are_named(
        #[values(("Nginx:1", "library/Nginx"), ("a/Nginx", "a/Nginx"), ("Blux2/Hello:1", "Hello"))] (image, part): (&str, &str),
    ) {
        let expected = format!("invalid reference format: repository name ({part}) must be lowercase");
        assert_eq!(normalise(image).unwrap_err().reference_error(), expected);
    }

    #[rstest]
    fn refuses_what_names_no_image(
        #[values("", ":1", "a:", "A:1", "a b", "a//b:1", "/a", "a/", "a:b:c", "a@sha256:1", "a:-1", "a:1\n")] text: &str,
    ) {
        assert!(normalise(text).is_err(), "{text}");
    }
}
