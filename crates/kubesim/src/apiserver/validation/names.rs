//! What names, labels and keys may be (apimachinery/pkg/util/validation).

/// Why a text is not a DNS-1123 subdomain, if it is none.
pub(super) fn subdomain(text: &str) -> Option<&'static str> {
    let legal = text.len() <= 253 && !text.is_empty() && text.split('.').all(is_label_part);
    (!legal).then_some(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
         and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    )
}

/// Why a text is not a DNS-1123 label, if it is none.
pub(super) fn label(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters");
    }
    (!is_label_part(text)).then_some(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
         with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    )
}

fn is_label_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// Why a text is not a qualified name, such as a label's key, if it is none.
pub(super) fn qualified_name(text: &str) -> Option<String> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            if let Some(problem) = subdomain(prefix) {
                return Some(format!("prefix part {problem}"));
            }
            name
        }
        None => text,
    };
    if name.len() > 63 {
        return Some("name part must be no more than 63 characters".to_owned());
    }
    (!is_word(name)).then(|| {
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            .to_owned()
    })
}

/// Why a text is not a label's value, if it is none.
pub(super) fn label_value(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        return Some("must be no more than 63 characters");
    }
    (!text.is_empty() && !is_word(text)).then_some(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
         and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation \
         is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    )
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// Why a text is not a key of a config map or a secret, if it is none.
pub(super) fn config_key(text: &str) -> Option<&'static str> {
    let legal = !text.is_empty()
        && text.len() <= 253
        && text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (!legal).then_some(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  \
         or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    )
}

/// Why a text is not the name of an environment variable, if it is none.
pub(super) fn variable(text: &str) -> Option<&'static str> {
    let legal = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    (!legal).then_some("a valid environment variable name must consist only of printable ASCII characters other than '='")
}

/// Why a text is not the name of a port, if it is none.
pub(super) fn port_name(text: &str) -> Option<&'static str> {
    if text.is_empty() || text.len() > 15 {
        return Some("must be no more than 15 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Some("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Some("must contain at least one letter (a-z)");
    }
    if text.contains("--") {
        return Some("must not contain consecutive hyphens");
    }
    (text.starts_with('-') || text.ends_with('-')).then_some("must not begin or end with a hyphen")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a-b.c1", true, false)]
    #[case("a-b", true, true)]
    #[case("A", false, false)]
    #[case("-a", false, false)]
    #[case("", false, false)]
    #[case("a..b", false, false)]
    fn names(#[case] text: &str, #[case] is_subdomain: bool, #[case] is_label: bool) {
        assert_eq!((subdomain(text).is_none(), label(text).is_none()), (is_subdomain, is_label));
    }

    #[rstest]
    #[case("app.kubernetes.io/name", true)]
    #[case("a b", false)]
    #[case("A_/x", false)]
    #[case("x/", false)]
    fn label_keys(#[case] text: &str, #[case] legal: bool) {
        assert_eq!(qualified_name(text).is_none(), legal);
    }
}
