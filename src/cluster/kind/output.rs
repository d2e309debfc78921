//! What kind prints on stderr while it makes a cluster (kind's pkg/internal/cli/status.go, without a terminal).

/// A line of kind's about one of its phases. The text is without the emoji that kind decorates it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PhaseLine {
    /// ` • Preparing nodes 📦  ...`
    Started(String),
    /// ` ✓ Preparing nodes 📦`
    Done,
    /// ` ✗ Preparing nodes 📦`
    Failed,
}

/// None for any other line.
pub(crate) fn phase(line: &str) -> Option<PhaseLine> {
    let line = line.trim_start();
    if let Some(text) = line.strip_prefix('•') {
        let text = text.trim_end().trim_end_matches("...");
        return Some(PhaseLine::Started(text.trim_matches(|c: char| !c.is_ascii() || c.is_whitespace()).to_owned()));
    }
    match line.chars().next() {
        Some('✓') => Some(PhaseLine::Done),
        Some('✗') => Some(PhaseLine::Failed),
        _ => None,
    }
}

/// The line with which kind says why it failed, without what is before its point.
pub(crate) fn reason(stderr: &str) -> Option<&str> {
    let line = stderr.lines().rev().find_map(|line| line.strip_prefix("ERROR: "))?;
    Some(line.strip_prefix("failed to create cluster: ").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(" • Ensuring node image (kindest/node:v1.37.2) 🖼  ...", Some(PhaseLine::Started("Ensuring node image (kindest/node:v1.37.2)".to_owned())))]
    #[case(" • Preparing nodes 📦 📦   ...", Some(PhaseLine::Started("Preparing nodes".to_owned())))]
    #[case(" • Starting control-plane 🕹️  ...", Some(PhaseLine::Started("Starting control-plane".to_owned())))]
    #[case(" ✓ Preparing nodes 📦 📦 ", Some(PhaseLine::Done))]
    #[case(" ✗ Ensuring node image (kindest/node:v9.9.9) 🖼", Some(PhaseLine::Failed))]
    #[case("Creating cluster \"labproof-x\" ...", None)]
    #[case("", None)]
    #[case("•", Some(PhaseLine::Started(String::new())))]
    fn reads_phases(#[case] line: &str, #[case] expected: Option<PhaseLine>) {
        assert_eq!(phase(line), expected);
    }

    #[test]
    fn finds_the_reason_among_other_lines() {
        let stderr =
            "Creating cluster\nERROR: failed to create cluster: failed to pull image \"x\": command failed\n\nCommand Output: y";
        assert_eq!(reason(stderr), Some("failed to pull image \"x\": command failed"));
        assert_eq!(reason("nothing of the kind"), None);
    }
}
