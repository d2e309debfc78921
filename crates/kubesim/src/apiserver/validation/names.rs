//! What names, labels and keys may be (apimachinery/pkg/util/validation).

/// What is wrong with a text as a DNS-1123 subdomain.
pub(super) fn subdomain(text: &str) -> Vec<String> {
    let is_legal = text.split('.').all(is_label_part);
    too_long(text, 253)
        .chain((!is_legal).then(|| {
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned()
        }))
        .collect()
}

/// What is wrong with a text as a DNS-1123 label.
pub(super) fn label(text: &str) -> Vec<String> {
    let problem = if is_label_part(text) {
        None
    } else if text.split('.').all(is_label_part) {
        Some("must not contain dots".to_owned())
    } else {
        Some(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
             with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        )
    };
    too_long(text, 63).chain(problem).collect()
}

fn too_long(text: &str, most: usize) -> impl Iterator<Item = String> {
    (text.len() > most).then(|| format!("must be no more than {most} characters")).into_iter()
}

/// Of labels the real server counts bytes.
fn too_many_bytes(text: &str) -> impl Iterator<Item = String> {
    (text.len() > 63).then(|| "must be no more than 63 bytes".to_owned()).into_iter()
}

fn is_label_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// What is wrong with a text as a qualified name, such as a label's key.
pub(super) fn qualified_name(text: &str) -> Vec<String> {
    const FORM: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                        alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                        '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut problems = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        ["", name] => {
            problems.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            problems.extend(subdomain(prefix).into_iter().map(|problem| format!("prefix part {problem}")));
            name
        }
        _ => {
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {FORM} {optional}")];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    }
    problems.extend(too_many_bytes(name).map(|problem| format!("name part {problem}")));
    if !is_word(name) {
        problems.push(format!("name part {FORM}"));
    }
    problems
}

/// What is wrong with a text as a label's value.
pub(super) fn label_value(text: &str) -> Vec<String> {
    let is_legal = text.is_empty() || is_word(text);
    too_many_bytes(text)
        .chain((!is_legal).then(|| {
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
             and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation \
             is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned()
        }))
        .collect()
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// What is wrong with a text as a key of a config map or a secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    let is_legal = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let form = (!is_legal).then_some(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  \
         or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    );
    let dots = match text {
        "." => Some("must not be '.'"),
        ".." => Some("must not be '..'"),
        _ => text.starts_with("..").then_some("must not start with '..'"),
    };
    too_long(text, 253).chain(form.into_iter().chain(dots).map(str::to_owned)).collect()
}

/// What is wrong with a text as the name of an environment variable.
pub(super) fn variable(text: &str) -> Vec<String> {
    let is_legal = text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    let problem = "a valid environment variable name must consist only of printable ASCII characters other than '='";
    (!is_legal).then(|| problem.to_owned()).into_iter().collect()
}

/// What is wrong with a text as the name of a port.
pub(super) fn port_name(text: &str) -> Vec<String> {
    let is_legal = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let rules = [
        (is_legal, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        (text.bytes().any(|b| b.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (!text.contains("--"), "must not contain consecutive hyphens"),
        (!text.starts_with('-') && !text.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem.to_owned());
    too_long(text, 15).chain(broken).collect()
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
        assert_eq!((subdomain(text).is_empty(), label(text).is_empty()), (is_subdomain, is_label));
    }

    #[rstest]
    #[case("app.kubernetes.io/name", true)]
    #[case("a b", false)]
    #[case("A_/x", false)]
    #[case("x/", false)]
    #[case("/x", false)]
    #[case("a/b/c", false)]
    fn label_keys(#[case] text: &str, #[case] legal: bool) {
        assert_eq!(qualified_name(text).is_empty(), legal);
    }
}
