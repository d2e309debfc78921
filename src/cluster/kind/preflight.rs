//! What must be there before a kind cluster can be made.

use std::fmt;

use super::docker::{Docker, Engine};
use crate::cluster::ProvisionError;
use crate::cluster::command::{CommandError, Programs};

/// The oldest kind whose node images today's kind can still make: those of v0.20.0 need containerd's new configuration.
pub(crate) const OLDEST_KIND: Version = Version(0, 20, 0);

/// A kind cluster's name becomes the host names of its nodes, which have at most 63 characters: `NAME-control-plane`, and with several
/// of them up to `NAME-control-plane10`.
const NAME_LIMIT: usize = 63 - "-control-plane10".len();

/// Major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u64, pub(crate) u64, pub(crate) u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Docker and kind answer, and kind is new enough.
pub(crate) async fn check(programs: &Programs) -> Result<(Engine, Version), ProvisionError> {
    match (Docker(programs).engine().await, kind_version(programs).await) {
        (Ok(engine), Ok(version)) => Ok((engine, version)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(docker), Err(kind)) => {
            let hints: Vec<String> = docker.hint.into_iter().chain(kind.hint).collect();
            Err(ProvisionError::new(format!("{}; and {}", docker.problem, kind.problem), hints.join("; ")))
        }
    }
}

/// The installed kind's version, if it is new enough.
pub(crate) async fn kind_version(programs: &Programs) -> Result<Version, ProvisionError> {
    let text = programs.ask("kind", &["version"]).await.map_err(|error| match error {
        CommandError::NotInstalled(_) => ProvisionError::new(
            "`kind` is not installed: it is in no directory of PATH",
            "install it: https://kind.sigs.k8s.io/docs/user/quick-start/#installation, or name a cluster of your own with --context",
        ),
        other => ProvisionError::new(other.to_string(), "see that `kind version` works"),
    })?;
    let version = parse_version(&text).ok_or_else(|| {
        let hint = "see that `kind` is the program of kind.sigs.k8s.io";
        ProvisionError::new(format!("`kind version` answers no version: {}", text.trim()), hint)
    })?;
    if version < OLDEST_KIND {
        let problem = format!("kind {version} is too old: {OLDEST_KIND} or later is needed");
        return Err(ProvisionError::new(problem, "install a newer one: https://github.com/kubernetes-sigs/kind/releases"));
    }
    Ok(version)
}

/// From `kind v0.33.0 go1.26.8 linux/amd64`; what follows the patch, such as `-alpha+123`, is ignored.
fn parse_version(text: &str) -> Option<Version> {
    let word = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))?;
    let mut parts = word.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some(Version(parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

/// A name that kind, Docker and the file system take.
pub(crate) fn check_name(name: &str) -> Result<(), ProvisionError> {
    let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-';
    let bytes = name.as_bytes();
    if bytes.len() <= NAME_LIMIT && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner) {
        return Ok(());
    }
    let hint = format!("use at most {NAME_LIMIT} lower-case letters, digits and hyphens, with a letter or digit at both ends");
    Err(ProvisionError::new(format!("`{name}` cannot be the name of a kind cluster"), hint))
}

/// Nobody's cluster has the name.
pub(crate) async fn check_name_is_free(programs: &Programs, name: &str) -> Result<(), ProvisionError> {
    match Docker(programs).nodes(name).await?.as_slice() {
        [] => Ok(()),
        _ => Err(name_taken(name)),
    }
}

/// There is a kind cluster of that name that labproof did not make.
pub(crate) fn name_taken(name: &str) -> ProvisionError {
    ProvisionError::new(
        format!("there is a kind cluster `{name}` already, and labproof did not make it"),
        format!("choose another name with --cluster-name, or delete it: kind delete cluster --name {name}"),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("kind v0.33.0 go1.26.8 linux/amd64\n", Some(Version(0, 33, 0)))]
    #[case("kind v0.31.0-alpha+4d5e6f go1.25 darwin/arm64", Some(Version(0, 31, 0)))]
    #[case("kind (https://github.com/other/kind) unversioned", None)]
    #[case("kind v0.33", None)]
    #[case("v99999999999999999999.0.0", None)]
    #[case("", None)]
    fn reads_versions(#[case] text: &str, #[case] version: Option<Version>) {
        assert_eq!(parse_version(text), version);
    }

    #[rstest]
    #[case("labproof-abc12", true)]
    #[case("a", true)]
    #[case("", false)]
    #[case("../../etc", false)]
    #[case("Labproof", false)]
    #[case("a-", false)]
    #[case("-a", false)]
    #[case("ab--------------------------------------------c", true)]
    #[case("ab------------------------------------------------c", false)]
    fn knows_names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(check_name(name).is_ok(), good);
    }
}
