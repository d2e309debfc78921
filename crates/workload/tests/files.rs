//! Workload files: what is read, what is refused, with which words.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::fmt::Write as _;

use proptest::prelude::*;
use rstest::rstest;
use workload::{ParseError, Workload};

fn refusal(yaml: &str) -> String {
    Workload::from_yaml(yaml).unwrap_err().to_string()
}

#[rstest]
#[case("image: a:1\nlisten: {prot: 1}", &["unknown field `prot`", "line 2"])]
#[case("image: a:1\nlisten: {port: 65536}", &["listen.port", "65536"])]
#[case("log: [a]", &["missing field `image`"])]
#[case("{image: 'a:1', timers: [{after: 10, log: a}]}", &["timers[0].after", "10s, 500ms or 1m30s"])]
#[case("{image: 'a:1', timers: [{after: 1x, log: a}]}", &["`1x` is not a duration"])]
#[case("{image: 'a:1', timers: [{after: 1s, memory: 1MB}]}", &["`1MB` is not a size"])]
#[case("{image: 'a:1', timers: [{after: 1s, exit: 256}]}", &["256"])]
#[case("{image: 'a:1', on: {SIGHUP: {exit: 1}}}", &["SIGHUP"])]
#[case("image: [", &["line 1"])]
#[case("", &["image"])]
fn a_wrong_form_is_named_with_its_place(#[case] yaml: &str, #[case] parts: &[&str]) {
    let refusal = refusal(yaml);
    assert!(refusal.starts_with("not a workload: "), "{refusal}");
    assert!(parts.iter().all(|part| refusal.contains(part)), "{refusal}");
}

#[rstest]
#[case("{image: 'A b'}", "image: `A b` is not an image name")]
#[case("{image: 'a:1', aliases: ['']}", "image: `` is not")]
#[case("{image: 'a:1', listen: {port: 0}}", "listen.port: ")]
#[case("{image: 'a:1', http: {/: [{}]}}", "http: nothing listens")]
#[case("{image: 'a:1', run: [sh]}", "run: ")]
#[case("{image: 'a:1', listen: {port: 1}, http: {a: [{}]}}", "http.a: a path starts with `/`")]
#[case("{image: 'a:1', listen: {port: 1}, http: {/: []}}", "http./: has no answers")]
#[case("{image: 'a:1', listen: {port: 1}, http: {/: [{until: 1s}]}}", "http./[0]: the last answer")]
#[case("{image: 'a:1', listen: {port: 1}, http: {/: [{}, {}]}}", "http./[0]: never runs out")]
#[case("{image: 'a:1', listen: {port: 1}, http: {/: [{status: 101}]}}", "http./[0].status: ")]
#[case("{image: 'a:1', listen: {port: 1}, http: {/: [{hang: true, body: a}]}}", "http./[0].hang: ")]
#[case("{image: 'a:1', listen: {port: 1}, http: {/: [{memory: {take: 1Mi, every: 0s}}]}}", "http./[0].memory.every: ")]
#[case("{image: 'a:1', grpc: {a: [{status: SERVING}]}}", "grpc: nothing listens")]
#[case("{image: 'a:1', listen: {port: 1}, grpc: {a: [{until: 1s, status: SERVING}]}}", "grpc.a: every state but the last")]
#[case("{image: 'a:1', timers: [{after: 1s}]}", "timers[0]: does nothing")]
#[case("{image: 'a:1', timers: [{after: 1s, every: 0s, log: a}]}", "timers[0].every: ")]
#[case("{image: 'a:1', timers: [{after: 1s, every: 1s, exit: 0}]}", "timers[0].every: ")]
fn an_impossible_content_is_named_with_its_field(#[case] yaml: &str, #[case] part: &str) {
    let refusal = refusal(yaml);
    assert!(refusal.contains(&format!("not a possible workload: {part}")), "{refusal}");
}

#[test]
fn all_problems_come_at_once() {
    let yaml = "{image: '', http: {a: []}, timers: [{after: 1s}]}";
    let Err(ParseError::Content(problems)) = Workload::from_yaml(yaml) else { panic!("accepted") };
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["image", "http", "http.a", "http.a", "timers[0]"]);
}

#[test]
fn json_is_read_back_and_checked() {
    let yaml = "
image: a:1
aliases: [b:1]
about: all of it
listen: {port: 8080, port-env: PORT, after: 1m30s, after-env: DELAY, log: on}
log: [one]
http:
  '*': [{until: 10s, times: 3, status: 503, body: a, body-file: /b, log: c, delay: 5ms}, {hang: true}]
  /: [{memory: {take: 50MiB, every: 10ms}}]
grpc: {'': [{until: 5s, status: NOT_SERVING}, {status: SERVING}]}
timers: [{after: 1s, every: 2s, log: d, memory: 1KiB}, {after: 3s, exit: 4}]
on: {SIGTERM: {exit: 2, after: 1s, log: bye}}
shell: true
run: [sh]
";
    let workload = Workload::from_yaml(yaml).unwrap();
    assert_eq!(Workload::from_json(&workload.to_json()).unwrap(), workload);
    assert!(Workload::from_json(r#"{"image": "a:1", "timers": [{"after": "1s"}]}"#).is_err());
}

#[test]
fn a_yaml_bomb_is_refused() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = format!("*a{}, ", level - 1).repeat(9);
        writeln!(yaml, "a{level}: &a{level} [{inner}]").unwrap();
    }
    yaml += "image: a:1\nlog: *a11\n";
    assert!(Workload::from_yaml(&yaml).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(image: a:1\n)?(http|log|timers|on|listen|run)?[-\\[\\]{}:, &*a-z0-9\n'\"]{0,80}") {
        let _ = Workload::from_yaml(&text);
        let _ = Workload::from_json(&text);
    }
}
