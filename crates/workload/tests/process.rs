//! What a process does, driven as a stand-in and as a simulator would.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rstest::rstest;
use workload::{Check, Effect, Memory, Process, Reply, ServingStatus, Signal, Start, StartError, Workload, Workloads};

const DELAYFAIL: &str = "
image: blux2/delayfailserver:1.1
listen: {port: 8080}
log: [Starting server...]
http:
  /healthz:
  - {until: 10s, body: OK, log: 'Health Check: OK'}
  - {status: 503, log: 'Error: Service Unhealthy'}
on: {SIGTERM: {exit: 2}}
";

const BUSYBOX: &str = "{image: 'busybox:1.36.1', shell: true, run: [sh]}";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn log(line: &str) -> Effect {
    Effect::Log(line.to_owned())
}

fn started(yaml: &str, start: &Start) -> (Process, Vec<Effect>) {
    Process::start(Arc::new(Workload::from_yaml(yaml).unwrap()), start).unwrap()
}

fn env(name: &str, value: &str) -> Start {
    Start { env: BTreeMap::from([(name.to_owned(), value.to_owned())]), ..Start::default() }
}

fn command(argv: &[&str]) -> Start {
    Start { command: argv.iter().map(ToString::to_string).collect(), ..Start::default() }
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer { status, body: body.to_owned(), delay: Duration::ZERO }
}

/// Advances from wake-up to wake-up; returns each effect with the second it happened in.
fn play(process: &mut Process, until: Duration) -> Vec<(u64, Effect)> {
    let mut seen = Vec::new();
    while let Some(at) = process.next_wakeup().filter(|at| *at <= until) {
        seen.extend(process.advance(at).into_iter().map(|effect| (at.as_secs(), effect)));
    }
    seen
}

#[test]
fn an_answer_changes_with_time() {
    let (mut process, effects) = started(DELAYFAIL, &Start::default());
    assert_eq!(effects, [log("Starting server..."), Effect::Listen(8080)]);
    assert_eq!(process.next_wakeup(), None);
    let almost = Duration::from_millis(9_999);
    assert_eq!(process.request(almost, "/healthz"), (answer(200, "OK"), vec![log("Health Check: OK")]));
    let after = (answer(503, ""), vec![log("Error: Service Unhealthy")]);
    assert_eq!(process.request(secs(10), "/healthz?full=1"), after);
    assert_eq!(process.request(secs(11), "/").0, answer(404, "404 page not found\n"));
    assert_eq!(process.signal(secs(12), Signal::Term), [Effect::Exit(2)]);
    assert_eq!(process.exit_code(), Some(2));
    assert_eq!(process.request(secs(13), "/healthz"), (Reply::Refused, vec![]));
    assert_eq!(process.signal(secs(13), Signal::Term), []);
}

#[test]
fn an_answer_changes_with_its_count() {
    let yaml = "{image: 'a:1', listen: {port: 1}, http: {'*': [{times: 2, status: 500}, {body: fine}]}}";
    let (mut process, _) = started(yaml, &Start::default());
    let mut statuses = |path| match process.request(secs(1), path).0 {
        Reply::Answer { status, .. } => status,
        other => panic!("{other:?}"),
    };
    assert_eq!([statuses("/a"), statuses("/b"), statuses("/c"), statuses("/a")], [500, 500, 200, 200]);
}

#[test]
fn it_listens_late_on_a_port_of_the_environment() {
    let yaml = "
image: a:1
listen: {port: 8080, port-env: PORT, after: 20s, after-env: START_DELAY, log: 'On {port}, {env.WHO}{x}.'}
http: {/: [{delay: 2s, body: 'at {port}'}]}
";
    let (mut process, effects) = started(yaml, &env("PORT", "8081"));
    assert_eq!(effects, []);
    assert_eq!(process.listening(), None);
    assert_eq!(process.request(secs(19), "/").0, Reply::Refused);
    assert_eq!(process.next_wakeup(), Some(secs(20)));
    let reply = Reply::Answer { status: 200, body: "at 8081".into(), delay: secs(2) };
    let listens = vec![Effect::Listen(8081), log("On 8081, {x}.")];
    assert_eq!(process.request(secs(20), "/"), (reply, listens));
    assert_eq!(process.listening(), Some(8081));
    for delay in ["90", "1m30s"] {
        assert_eq!(started(yaml, &env("START_DELAY", delay)).0.next_wakeup(), Some(secs(90)));
    }
}

#[rstest]
#[case("PORT", "http")]
#[case("PORT", "65536")]
#[case("START_DELAY", "soon")]
fn a_senseless_environment_ends_it(#[case] name: &str, #[case] value: &str) {
    let yaml = "{image: 'a:1', listen: {port: 1, port-env: PORT, after-env: START_DELAY}}";
    let (process, effects) = started(yaml, &env(name, value));
    assert_eq!(process.exit_code(), Some(1));
    assert!(matches!(&effects[..], [Effect::Log(line), Effect::Exit(1)] if line.contains(value)), "{effects:?}");
}

#[test]
fn a_grpc_service_changes_with_time() {
    let yaml = "
image: a:1
listen: {port: 1, after: 2s}
grpc: {'': [{until: 10s, status: NOT_SERVING}, {status: SERVING}]}
";
    let (mut process, _) = started(yaml, &Start::default());
    assert_eq!(process.check(secs(1), ""), Check::Refused);
    process.advance(secs(2));
    let checks = [process.check(secs(9), ""), process.check(secs(10), ""), process.check(secs(10), "other")];
    assert_eq!(checks, [Check::Status(ServingStatus::NotServing), Check::Status(ServingStatus::Serving), Check::Unknown]);
    assert_eq!(started(DELAYFAIL, &Start::default()).0.check(secs(1), ""), Check::Refused);
}

#[test]
fn a_taken_port_ends_it() {
    let (mut process, _) = started(DELAYFAIL, &Start::default());
    let effects = process.port_taken(secs(0));
    assert_eq!(effects, [log("listen tcp :8080: bind: address already in use"), Effect::Exit(1)]);
    assert_eq!(process.listening(), None);
}

#[test]
fn a_file_is_the_body_if_it_exists() {
    let yaml = "{image: 'a:1', listen: {port: 1}, http: {/: [{body: default, body-file: /etc/text}]}}";
    let workload = Workload::from_yaml(yaml).unwrap();
    assert_eq!(workload.files().collect::<Vec<_>>(), ["/etc/text"]);
    assert_eq!(started(yaml, &Start::default()).0.request(secs(1), "/").0, answer(200, "default"));
    let files = BTreeMap::from([("/etc/text".to_owned(), "I am {port}".to_owned())]);
    let start = Start { files, ..Start::default() };
    assert_eq!(started(yaml, &start).0.request(secs(1), "/").0, answer(200, "I am {port}"));
}

#[test]
fn timers_log_take_memory_and_exit() {
    let yaml = "
image: a:1
timers:
- {after: 2s, every: 3s, log: tick, memory: 1KiB}
- {after: 5s, exit: 7}
";
    let (mut process, effects) = started(yaml, &Start::default());
    assert_eq!(effects, []);
    // At five seconds the exit was noted before the second tick.
    let expected = [(2, log("tick")), (2, Effect::Memory(1024)), (5, Effect::Exit(7))];
    assert_eq!(play(&mut process, secs(60)), expected);
    assert_eq!(process.next_wakeup(), None);
    assert_eq!(process.memory(), 1024);
}

#[test]
fn a_request_that_is_never_answered_takes_memory_for_ever() {
    let yaml = "
image: a:1
listen: {port: 8080}
http: {/: [{hang: true, memory: {take: 50MiB, every: 10ms}}]}
";
    let mebi = |count: u64| Effect::Memory(count << 20);
    let (mut process, _) = started(yaml, &Start::default());
    assert_eq!(process.request(secs(1), "/"), (Reply::Never, vec![mebi(50)]));
    assert_eq!(process.next_wakeup(), Some(Duration::from_millis(1_010)));
    let two = process.advance(Duration::from_millis(1_020));
    assert_eq!(two, [mebi(100), mebi(150)]);
    // A second request takes as much again.
    assert_eq!(process.request(Duration::from_millis(1_025), "/").1, [mebi(200)]);
    assert_eq!(process.advance(Duration::from_millis(1_035)), [mebi(250), mebi(300)]);
}

#[test]
fn sigterm_may_take_a_while_and_it_serves_meanwhile() {
    let yaml = "
image: a:1
listen: {port: 1}
http: {/: [{body: hi}]}
on: {SIGTERM: {exit: 0, after: 5s, log: Stopping}}
";
    let (mut process, _) = started(yaml, &Start::default());
    assert_eq!(process.signal(secs(1), Signal::Term), [log("Stopping")]);
    assert_eq!(process.request(secs(2), "/").0, answer(200, "hi"));
    assert_eq!(play(&mut process, secs(60)), [(6, Effect::Exit(0))]);
}

#[test]
fn without_a_reaction_sigterm_changes_nothing() {
    let (mut process, _) = started("{image: 'a:1', listen: {port: 1}}", &Start::default());
    assert_eq!(process.signal(secs(1), Signal::Term), []);
    assert!(!process.reacts_to(Signal::Term));
    assert_eq!(process.exit_code(), None);
}

#[test]
fn sleep_ignores_sigterm_and_ends_with_zero() {
    let (mut process, effects) = started(BUSYBOX, &command(&["sleep", "9999"]));
    assert_eq!(effects, []);
    assert_eq!(process.signal(secs(5), Signal::Term), []);
    assert_eq!(process.request(secs(5), "/").0, Reply::Refused);
    assert_eq!(play(&mut process, secs(10_000)), [(9_999, Effect::Exit(0))]);
}

#[rstest]
#[case(&["sleep", "1", "2m"], 121, 0)]
#[case(&["/bin/sleep", "0.5"], 0, 0)]
#[case(&["busybox", "sleep", "3"], 3, 0)]
#[case(&["true"], 0, 0)]
#[case(&["false"], 0, 1)]
#[case(&["sh"], 0, 0)]
#[case(&["sh", "-c", "exit 1"], 0, 1)]
#[case(&["sh", "-c", "sleep 3; exit 1"], 3, 1)]
#[case(&["sh", "-c", "sleep 1\nsleep 2 # wait\n\nexec sleep 4; exit 1"], 7, 0)]
#[case(&["sh", "-c", "false || sleep 2 && exit $CODE"], 2, 42)]
#[case(&["sh", "-c", "true || sleep 2; false && sleep 2; exit"], 0, 1)]
#[case(&["sh", "-c", "exit 256"], 0, 0)]
#[case(&["sh", "-c", "exit -1"], 0, 255)]
fn commands_end_as_in_a_shell(#[case] argv: &[&str], #[case] at: u64, #[case] code: u8) {
    let start = Start { command: command(argv).command, ..env("CODE", "42") };
    let (mut process, effects) = started(BUSYBOX, &start);
    let mut seen: Vec<_> = effects.into_iter().map(|effect| (0, effect)).collect();
    seen.extend(play(&mut process, secs(1_000)));
    assert_eq!(seen, [(at, Effect::Exit(code))]);
}

#[rstest]
#[case("echo one  two '$WHO' \"$WHO\" ${WHO}s \\$", "one two $WHO you yous $")]
#[case("echo 'a;b' \"c && d\"", "a;b c && d")]
fn echo_speaks(#[case] script: &str, #[case] line: &str) {
    let start = Start { command: command(&["sh", "-c", script]).command, ..env("WHO", "you") };
    assert_eq!(started(BUSYBOX, &start).1, [log(line), Effect::Exit(0)]);
}

#[rstest]
#[case("echo a | cat", 127, "|")]
#[case("sleep 5 & wait", 127, "&")]
#[case("case a in a) true;; esac", 127, "case")]
#[case("trap 'exit 0' TERM", 127, "trap")]
#[case("echo $(sleep 1)", 127, "takes time")]
#[case("for i in 1 2; do echo $i; done > /tmp/x", 127, "redirection")]
#[case("ls /tmp/*", 127, "*")]
#[case("echo 'open", 2, "'")]
#[case("if true; then", 2, "syntax error")]
#[case("done", 2, "syntax error")]
#[case("; exit 0", 2, "syntax error")]
#[case("wget example.com", 127, "wget")]
#[case("sleep soon", 1, "soon")]
fn what_a_script_cannot_do_it_says(#[case] script: &str, #[case] code: u8, #[case] about: &str) {
    let (process, effects) = started(BUSYBOX, &command(&["sh", "-c", script]));
    assert_eq!(process.exit_code(), Some(code));
    assert!(matches!(&effects[..], [Effect::Log(line), Effect::Exit(_)] if line.contains(about)), "{effects:?}");
}

#[rstest]
#[case("for i in 3 2 1; do echo $i; done; echo end", "3\n2\n1\nend")]
#[case("for i in $(seq 2 2 6); do if [ $i -eq 4 ]; then continue; fi; echo n$i; done", "n2\nn6")]
#[case("i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done", "1\n2\n3")]
#[case("until [ -f /tmp/x ]; do echo no; touch /tmp/x; done; echo yes", "no\nyes")]
#[case("while true; do for i in 1 2; do break; done; echo once; break; done", "once")]
#[case("if [ a = b ]; then echo 1; elif ! false; then echo 2; else echo 3; fi", "2")]
#[case("if false; then echo no; fi && echo status $?", "status 0")]
#[case(
    "mkdir -p /a/b && echo one > /a/b/c; echo two >> /a/b/c; cat /a/b/c; ls /a/b; rm -r /a; ls /a",
    "one\ntwo\nc\nls: /a: No such file or directory"
)]
#[case("cat /nowhere 2>/dev/null || echo missing", "missing")]
#[case("echo lost > /dev/null; echo err >&2; echo out 2>&1", "err\nout")]
#[case("echo -n a; echo -e 'b\\tc'; echo -x", "ab\tc\n-x")]
#[case("printf '%s=%d\\n' a 1 b 2; printf '100%%'", "a=1\nb=2\n100%")]
#[case("x='a  b'; echo $x; echo \"$x\"; echo ${x:-n} ${y:-none}", "a b\na  b\na b none")]
#[case("echo $(hostname) `expr 2 + 3` $((2 * (3 + 4) % 5 - -1))", "box 5 5")]
#[case("date; date +%Y-%m-%dT%H:%M:%S", "Thu Jan  1 00:00:10 UTC 1970\n1970-01-01T00:00:10")]
#[case("export A=1 B=2; { echo $A; echo $B; }", "1\n2")]
#[case("test -z '' && test -n x && [ 2 -ge 1 ] && [ ! -d /none ] && echo all", "all")]
fn scripts_speak_as_in_a_shell(#[case] script: &str, #[case] lines: &str) {
    let start = Start { command: command(&["sh", "-c", script]).command, time: secs(10), ..env("HOSTNAME", "box") };
    let (mut process, effects) = started(BUSYBOX, &start);
    let effects = effects.into_iter().chain(play(&mut process, secs(9)).into_iter().map(|(_, effect)| effect));
    let said: Vec<_> = effects
        .filter_map(|effect| match effect {
            Effect::Log(line) => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(said.join("\n"), lines);
}

#[test]
fn a_loop_speaks_every_few_seconds() {
    let (mut process, effects) = started(BUSYBOX, &command(&["sh", "-c", "while true; do echo hello; sleep 5; done"]));
    assert_eq!(effects, [log("hello")]);
    let hello = |second| (second, log("hello"));
    assert_eq!(play(&mut process, secs(16)), [hello(5), hello(10), hello(15)]);
}

/// One that never sleeps goes on without end, and nobody waits for it.
#[test]
fn a_busy_loop_lets_time_pass() {
    let (mut process, effects) = started(BUSYBOX, &command(&["sh", "-c", "while :; do echo x; sleep 0; done"]));
    assert!((100..1_000).contains(&effects.len()), "{}", effects.len());
    assert_eq!(process.next_wakeup(), Some(secs(1)));
    assert!(process.advance(secs(3)).len() < 3_000);
}

/// The example of the Kubernetes documentation: its probe looks for a file that is there for half a minute.
#[test]
fn a_command_beside_the_program_sees_its_files() {
    let main = command(&["/bin/sh", "-c", "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600"]);
    let (mut process, _) = started(BUSYBOX, &main);
    let cat = Start { file_system: Arc::clone(&main.file_system), ..command(&["cat", "/tmp/healthy"]) };
    let probe = |cat: &Start| started(BUSYBOX, cat).1;
    process.advance(secs(29));
    assert_eq!(probe(&cat), [Effect::Exit(0)]);
    process.advance(secs(30));
    assert_eq!(probe(&cat), [log("cat: can't open '/tmp/healthy': No such file or directory"), Effect::Exit(1)]);
}

#[test]
fn files_of_the_start_can_be_read() {
    let files = BTreeMap::from([("/etc/config/a".to_owned(), "1\n".to_owned())]);
    let start =
        Start { file_system: Arc::new(Memory::with(&files)), ..command(&["sh", "-c", "ls /etc/config; cat /etc/config/a"]) };
    assert_eq!(started(BUSYBOX, &start).1, [log("a"), log("1"), Effect::Exit(0)]);
}

#[test]
fn for_ever_is_long() {
    for argv in [&["sleep", "infinity"][..], &["sleep", "99999999999999999999d"]] {
        assert_eq!(started(BUSYBOX, &command(argv)).0.next_wakeup(), None);
    }
}

#[test]
fn the_pod_or_the_image_names_the_command() {
    let end = |start: &Start| started(BUSYBOX, start).1;
    assert_eq!(end(&Start::default()), [Effect::Exit(0)], "sh at the end of its input");
    assert_eq!(end(&Start { args: vec!["false".into()], ..Start::default() }), [Effect::Exit(1)]);
    let both = Start { args: vec!["-c".into(), "exit 3".into()], ..command(&["sh"]) };
    assert_eq!(end(&both), [Effect::Exit(3)]);
    let arguments = Start { args: vec!["--verbose".into()], ..Start::default() };
    assert_eq!(started(DELAYFAIL, &arguments).0.listening(), Some(8080));
}

#[rstest]
#[case(BUSYBOX, "wget")]
#[case(BUSYBOX, "/usr/bin/sleep")]
#[case(BUSYBOX, "")]
#[case(DELAYFAIL, "sleep")]
fn an_unknown_command_cannot_start(#[case] yaml: &str, #[case] name: &str) {
    let workload = Arc::new(Workload::from_yaml(yaml).unwrap());
    let error = Process::start(workload, &command(&[name, "1"])).unwrap_err();
    assert_eq!(error, StartError { command: name.to_owned() });
}

#[test]
fn time_does_not_go_back() {
    let (mut process, _) = started(DELAYFAIL, &Start::default());
    process.advance(secs(10));
    assert_eq!(process.request(secs(1), "/healthz").0, answer(503, ""));
}

#[test]
fn workloads_are_found_by_any_form_of_the_name() {
    let all: Workloads = [BUSYBOX, DELAYFAIL].iter().map(|yaml| Workload::from_yaml(yaml).unwrap()).collect();
    for name in ["busybox:1.36.1", "docker.io/library/busybox:1.36.1"] {
        assert_eq!(all.get(name).unwrap().image, "busybox:1.36.1");
    }
    for name in ["busybox", "busybox:1.36", "quay.io/library/busybox:1.36.1", "", "blux2/delayfailserver:1.0"] {
        assert!(all.get(name).is_none(), "{name}");
    }
    let names: Vec<_> = all.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["docker.io/blux2/delayfailserver:1.1", "docker.io/library/busybox:1.36.1"]);
}

#[test]
fn a_later_workload_takes_the_place_of_an_earlier() {
    let mut all: Workloads = [Workload::from_yaml("{image: 'a:1', aliases: ['b:1']}").unwrap()].into_iter().collect();
    let before = all.insert(Workload::from_yaml("{image: 'docker.io/library/b:1', about: new}").unwrap());
    assert_eq!(before.unwrap().image, "a:1");
    assert_eq!(all.get("b:1").unwrap().about.as_deref(), Some("new"));
    assert_eq!(all.get("a:1").unwrap().about, None);
}
