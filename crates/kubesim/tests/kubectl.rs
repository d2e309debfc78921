//! Real `kubectl` against a served cluster, ten times as fast as real time. Where it is not installed the tests are *ignored*,
//! and the reason is printed; with `KUBESIM_REQUIRE_KUBECTL=1` they fail instead, so that CI cannot lose them unseen.
//!
//! Nothing waits for a while: `kubectl` itself waits for what is to come. What it computes from its own clock (ages) is not
//! looked at, for the cluster's clock is ahead.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod kubectl_session;

use std::process::ExitCode;

use kubectl_session::Session;
use libtest_mimic::{Arguments, Failed, Trial};

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: server
        image: example/web:1
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
";

/// What a test does with a session of its own.
type Body = fn(&Session);

const TESTS: [(&str, Body); 9] = [
    ("rollouts", rollouts),
    ("applying", applying),
    ("changing", changing),
    ("watching", watching),
    ("logs", logs),
    ("describing", describing),
    ("draining", draining),
    ("making_and_deleting", making_and_deleting),
    ("what_cannot_be_done", what_cannot_be_done),
];

fn main() -> ExitCode {
    let missing = kubectl_session::missing();
    let trials = TESTS.into_iter().map(|(name, test)| on_kubectl(name, missing.as_deref(), test)).collect();
    libtest_mimic::run(&Arguments { test_threads: Some(2), ..Arguments::from_args() }, trials).exit_code()
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn on_kubectl(name: &str, missing: Option<&str>, test: Body) -> Trial {
    match missing.map(str::to_owned) {
        None => Trial::test(name, move || {
            test(&Session::start());
            Ok(())
        }),
        Some(reason) if std::env::var_os("KUBESIM_REQUIRE_KUBECTL").is_some() => {
            Trial::test(name, move || Err(Failed::from(reason)))
        }
        Some(reason) => {
            eprintln!("{name} is ignored: {reason}");
            Trial::test(name, || Ok(())).with_kind("needs kubectl").with_ignored_flag(true)
        }
    }
}

/// Asserts that a text has these parts, in this order.
#[track_caller]
fn has(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("no {part:?} (in this order) in\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

fn deploy(kubectl: &Session) {
    kubectl.with_input("apply -f -", DEPLOYMENT);
    has(&kubectl.run("rollout status deployment/web"), &["deployment \"web\" successfully rolled out"]);
}

fn rollouts(kubectl: &Session) {
    deploy(kubectl);
    has(&kubectl.run("get deployment web"), &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "web", "2/2", "2", "2"]);
    assert_eq!(kubectl.run("set image deployment/web server=example/web:2"), "deployment.apps/web image updated\n");
    has(&kubectl.run("rollout status deploy web"), &["deployment \"web\" successfully rolled out"]);
    has(&kubectl.run("annotate deployment web kubernetes.io/change-cause=second"), &["annotated"]);
    has(&kubectl.run("rollout history deployment/web"), &["REVISION", "CHANGE-CAUSE", "1", "<none>", "2", "second"]);
    has(&kubectl.run("rollout history deployment/web --revision=1"), &["Image:", "example/web:1"]);
    kubectl.run("set image deployment/web server=example/absent:9");
    has(&kubectl.fails("rollout status deployment/web --timeout=1s"), &["timed out waiting for the condition"]);
    has(&kubectl.run("get deployment web"), &["2/2", "1", "2"]);
    assert_eq!(kubectl.run("rollout undo deployment/web"), "deployment.apps/web rolled back\n");
    kubectl.run("rollout status deployment/web");
    assert_eq!(kubectl.run("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}"), "example/web:2");
    assert_eq!(kubectl.run("rollout undo deployment/web --to-revision=1"), "deployment.apps/web rolled back\n");
    kubectl.run("rollout status deployment/web");
    assert_eq!(kubectl.run("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}"), "example/web:1");
    assert_eq!(kubectl.run("rollout restart deployment/web"), "deployment.apps/web restarted\n");
    kubectl.run("rollout status deployment/web");
    assert_eq!(kubectl.run("rollout pause deployment/web"), "deployment.apps/web paused\n");
    assert_eq!(kubectl.run("rollout resume deployment/web"), "deployment.apps/web resumed\n");
    has(&kubectl.run("get replicasets -l app=web"), &["DESIRED", "CURRENT", "READY"]);
}

fn applying(kubectl: &Session) {
    kubectl.file("web.yaml", DEPLOYMENT);
    assert_eq!(kubectl.run("apply -f web.yaml --dry-run=server"), "deployment.apps/web created (server dry run)\n");
    assert_eq!(kubectl.run("apply -f web.yaml"), "deployment.apps/web created\n");
    assert_eq!(kubectl.run("apply -f web.yaml"), "deployment.apps/web unchanged\n");
    assert_eq!(kubectl.run("diff -f web.yaml"), "");
    kubectl.file("web.yaml", &DEPLOYMENT.replace("replicas: 2", "replicas: 3"));
    // It exits with 1 when there is a difference.
    kubectl.fails("diff -f web.yaml");
    assert_eq!(kubectl.run("apply -f web.yaml"), "deployment.apps/web configured\n");
    assert_eq!(kubectl.run("apply --server-side -f web.yaml"), "deployment.apps/web serverside-applied\n");
    // What kubectl has applied by itself is its own when the server applies.
    kubectl.run("apply -f web.yaml");
    kubectl.file("web.yaml", &DEPLOYMENT.replace("replicas: 2", "replicas: 4"));
    assert_eq!(kubectl.run("apply --server-side -f web.yaml"), "deployment.apps/web serverside-applied\n");
    assert_eq!(kubectl.run("get deployment web -o jsonpath={.spec.replicas}"), "4");
    kubectl.run(r#"patch deployment web --field-manager=other -p '{"spec": {"replicas": 5}}'"#);
    has(
        &kubectl.fails("apply --server-side -f web.yaml"),
        &["1 conflict", "conflict with \"other\" using apps/v1: .spec.replicas"],
    );
    assert_eq!(kubectl.run("apply --server-side --force-conflicts -f web.yaml"), "deployment.apps/web serverside-applied\n");
    has(&kubectl.run("get deployment web -o yaml --show-managed-fields"), &["manager: kubectl", "operation: Apply"]);
    kubectl.file("web.yaml", &DEPLOYMENT.replace("replicas", "replicaz"));
    has(&kubectl.fails("apply -f web.yaml"), &["strict decoding error: unknown field \"spec.replicaz\""]);
    kubectl.file("web.yaml", &DEPLOYMENT.replace("matchLabels: {app: web}", "matchLabels: {app: other}"));
    has(&kubectl.fails("apply -f web.yaml"), &["is invalid", "`selector` does not match template `labels`", "field is immutable"]);
    kubectl.run("wait deployment/web --for=condition=Available --timeout=20s");
    assert_eq!(kubectl.run("delete -f web.yaml"), "deployment.apps \"web\" deleted\n".replace(" deleted", &deleted(kubectl)));
}

/// What `kubectl` says of an object that it has deleted: newer ones name the namespace.
fn deleted(kubectl: &Session) -> String {
    let made = kubectl.run("create configmap for-its-words --from-literal=a=b");
    assert_eq!(made, "configmap/for-its-words created\n");
    let words = kubectl.run("delete configmap for-its-words");
    words.trim_end().trim_start_matches("configmap \"for-its-words\"").to_owned()
}

fn changing(kubectl: &Session) {
    deploy(kubectl);
    assert_eq!(kubectl.run("scale deployment/web --replicas=4"), "deployment.apps/web scaled\n");
    kubectl.run("rollout status deployment/web");
    has(&kubectl.run("get deployment web"), &["4/4"]);
    let refused = kubectl.fails("scale deployment/web --current-replicas=9 --replicas=1");
    has(&refused, &["Expected replicas to be 9, was 4"]);
    assert_eq!(kubectl.edit("edit deployment web", "s/replicas:.4/replicas:\\ 1/"), "deployment.apps/web edited\n");
    kubectl.run("rollout status deployment/web");
    assert_eq!(kubectl.run("get deployment web -o jsonpath={.spec.replicas}"), "1");
    assert_eq!(kubectl.run(r#"patch deployment web -p '{"spec": {"minReadySeconds": 1}}'"#), "deployment.apps/web patched\n");
    assert_eq!(kubectl.run("label deployment web tier=front"), "deployment.apps/web labeled\n");
    has(&kubectl.run("get deployments -l tier=front --show-labels"), &["app=web,tier=front"]);
    assert_eq!(kubectl.run("expose deployment web --port=80 --target-port=8080"), "service/web exposed\n");
    kubectl.run("wait endpointslices -l kubernetes.io/service-name=web --for=jsonpath={.endpoints[0].conditions.ready}=true");
    has(&kubectl.run("get service,endpoints web"), &["service/web", "ClusterIP", "80/TCP", "endpoints/web", ":8080"]);
    has(&kubectl.run("get --raw /api/v1/namespaces/default/services/web/proxy/"), &["one"]);
}

fn watching(kubectl: &Session) {
    kubectl.run("run web --image=example/web:1");
    let delete = || drop(kubectl.run("delete pod web --wait=false"));
    let rows = kubectl.follow("get pods --watch --output-watch-events --request-timeout=60s", delete, "DELETED").join("\n");
    has(
        &rows,
        &["EVENT", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "ADDED", "web", "MODIFIED", "web", "DELETED", "web", "0/1"],
    );
    kubectl.run("create deployment web --image=example/web:1");
    let rows = kubectl.follow("get deployment web --watch --request-timeout=60s", || {}, "1/1").join("\n");
    has(&rows, &["UP-TO-DATE", "web", "1/1"]);
}

fn logs(kubectl: &Session) {
    kubectl.run("run crashing --image=example/crashing:1");
    kubectl.run("wait pod crashing --for=jsonpath={.status.containerStatuses[0].restartCount}=1 --timeout=20s");
    assert_eq!(kubectl.run("logs crashing --previous"), "up\n");
    has(&kubectl.run("logs crashing --timestamps"), &["T", "Z up\n"]);
    kubectl.run("run task --image=example/task:1 --restart=Never");
    kubectl.run("wait pod task --for=condition=Ready --timeout=20s");
    assert_eq!(kubectl.run("logs task --follow"), "working\ndone\n");
    kubectl.run("wait pod task --for=jsonpath={.status.phase}=Succeeded --timeout=20s");
    assert_eq!(kubectl.run("logs task --tail=1"), "done\n");
    has(&kubectl.run("get pod task"), &["0/1", "Completed", "0"]);
    has(&kubectl.fails("logs task --previous"), &["previous terminated container \"task\" in pod \"task\" not found"]);
    has(&kubectl.fails("logs absent"), &["(NotFound)", "pods \"absent\" not found"]);
}

fn describing(kubectl: &Session) {
    deploy(kubectl);
    has(
        &kubectl.run("describe deployment web"),
        &[
            "Name:",
            "web",
            "StrategyType:",
            "RollingUpdate",
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "NewReplicaSet:",
            "2/2",
            "Events:",
            "ScalingReplicaSet",
            "deployment-controller",
            "Scaled up replica set web-",
        ],
    );
    has(
        &kubectl.run("describe pods -l app=web"),
        &[
            "Node:",
            "kubesim-worker/",
            "Status:",
            "Running",
            "Controlled By:",
            "ReplicaSet/web-",
            "Image:",
            "example/web:1",
            "Readiness:",
            "http-get http://:8080/",
            "Conditions:",
            "QoS Class:",
            "BestEffort",
            "Events:",
            "Scheduled",
            "Started",
        ],
    );
    has(
        &kubectl.run("describe node kubesim-control-plane"),
        &[
            "Roles:",
            "control-plane",
            "Taints:",
            "node-role.kubernetes.io/control-plane:NoSchedule",
            "Ready",
            "True",
            "KubeletReady",
            "Allocatable:",
            "cpu:",
            "pods:",
        ],
    );
    has(
        &kubectl.run("get nodes -o wide"),
        &["kubesim-control-plane", "Ready", "control-plane", "kubesim-worker", "Ready", "containerd://"],
    );
    has(&kubectl.run("get pods -o wide"), &["IP", "NODE", "NOMINATED NODE", "READINESS GATES", "10.244.1.", "kubesim-worker"]);
    has(&kubectl.run("get deployments -o wide"), &["CONTAINERS", "IMAGES", "SELECTOR", "server", "example/web:1", "app=web"]);
    has(
        &kubectl.run("get events --field-selector reason=Scheduled"),
        &["Normal", "Scheduled", "pod/web-", "Successfully assigned"],
    );
    has(&kubectl.run("events --for deployment/web"), &["ScalingReplicaSet", "Deployment/web"]);
    has(&kubectl.run("get all"), &["pod/web-", "service/kubernetes", "deployment.apps/web", "replicaset.apps/web-"]);
    has(&kubectl.run("api-resources"), &["pods", "po", "v1", "Pod", "deployments", "deploy", "apps/v1"]);
    has(&kubectl.run("version"), &["Server Version: v1."]);
}

fn draining(kubectl: &Session) {
    deploy(kubectl);
    assert_eq!(kubectl.run("cordon kubesim-worker"), "node/kubesim-worker cordoned\n");
    has(&kubectl.run("get nodes"), &["kubesim-worker", "Ready,SchedulingDisabled"]);
    kubectl.run("create poddisruptionbudget web --selector=app=web --min-available=0");
    has(&kubectl.run("drain kubesim-worker --timeout=30s"), &["evicting pod default/web-", "node/kubesim-worker drained"]);
    let pending = kubectl.run("get pods -l app=web");
    has(&pending, &["0/1", "Pending", "0/1", "Pending"]);
    kubectl.run("wait pods -l app=web --for=condition=PodScheduled=false --timeout=20s");
    let events = kubectl.run("get events --field-selector reason=FailedScheduling");
    has(&events, &["0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable"]);
    assert_eq!(kubectl.run("uncordon kubesim-worker"), "node/kubesim-worker uncordoned\n");
    kubectl.run("rollout status deployment/web --timeout=30s");
    has(&kubectl.run("get pods -l app=web"), &["1/1", "Running", "1/1", "Running"]);
    assert_eq!(kubectl.run("taint nodes kubesim-worker a=b:NoExecute"), "node/kubesim-worker tainted\n");
    kubectl.run("wait deployment/web --for=condition=Available=false --timeout=30s");
    assert_eq!(kubectl.run("taint nodes kubesim-worker a-"), "node/kubesim-worker untainted\n");
}

fn making_and_deleting(kubectl: &Session) {
    assert_eq!(kubectl.run("create deployment web --image=example/web:1 --replicas=2"), "deployment.apps/web created\n");
    assert_eq!(kubectl.run("create configmap settings --from-literal=a=b"), "configmap/settings created\n");
    assert_eq!(kubectl.run("get configmap settings -o jsonpath={.data.a}"), "b");
    assert_eq!(kubectl.run("create job once --image=example/task:1"), "job.batch/once created\n");
    kubectl.run("wait job once --for=condition=Complete --timeout=20s");
    has(&kubectl.run("get jobs"), &["once", "Complete", "1/1"]);
    kubectl.run("rollout status deployment/web");
    kubectl.run("delete deployment web");
    kubectl.run("wait pods -l app=web --for=delete --timeout=20s");
    assert_eq!(kubectl.run("create namespace other"), "namespace/other created\n");
    kubectl.run("run task -n other --image=example/web:1");
    kubectl.run("wait pod task -n other --for=condition=Ready --timeout=20s");
    kubectl.run("delete namespace other --timeout=60s");
    has(&kubectl.fails("get namespace other"), &["(NotFound)", "namespaces \"other\" not found"]);
    kubectl.run("run stubborn --image=busybox:1.36.1 -- sleep 1000");
    kubectl.run("wait pod stubborn --for=condition=Ready --timeout=20s");
    assert_eq!(kubectl.run("exec stubborn -- sh -c 'echo within'"), "within\n");
    has(&kubectl.fails("exec stubborn -- sh -c 'exit 3'"), &["command terminated with exit code 3"]);
    has(&kubectl.fails("exec stubborn -- absent"), &["error executing command in container"]);
    kubectl.run("delete pod stubborn --grace-period=0 --force");
    has(&kubectl.fails("get pod stubborn"), &["pods \"stubborn\" not found"]);
    has(&kubectl.fails("create configmap settings"), &["configmaps \"settings\" already exists"]);
}

/// What a simulation has not is refused in words that say so.
fn what_cannot_be_done(kubectl: &Session) {
    has(&kubectl.fails("top nodes"), &["Metrics API not available"]);
    has(&kubectl.fails("top pods"), &["Metrics API not available"]);
    kubectl.run("run web --image=example/web:1");
    kubectl.run("wait pod web --for=condition=Ready --timeout=20s");
    has(&kubectl.fails("port-forward pod/web 0:8080"), &["the simulated cluster forwards no ports"]);
    has(&kubectl.fails("attach web"), &["the simulated cluster"]);
    has(&kubectl.fails("exec absent -- true"), &["pods \"absent\" not found"]);
    has(&kubectl.fails("exec -i web -- cat"), &["the simulated cluster cannot feed standard input to a command"]);
    has(&kubectl.fails("debug web --image=busybox:1.36.1 -- sh"), &["the simulated cluster does not run ephemeral containers"]);
    kubectl.file("ingress.yaml", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n");
    let refused = kubectl.fails("apply -f ingress.yaml");
    has(&refused, &["no matches for kind \"Ingress\" in version \"networking.k8s.io/v1\"", "ensure CRDs are installed first"]);
    has(&kubectl.run("auth whoami"), &["Username", "kubernetes-admin"]);
    has(&kubectl.run("auth can-i --list"), &["*.*"]);
    has(&kubectl.fails("get pizzas"), &["the server doesn't have a resource type \"pizzas\""]);
}
