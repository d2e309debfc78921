use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client, Config,
    api::{AttachParams, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions::is_pod_running},
};
use rstest::rstest;
use serde_json::{from_value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use workload::{Workload, Workloads};

use super::*;
use crate::Cluster;

/// A cluster that is served as long as this lives.
struct Served {
    _cluster: Cluster,
    _serving: JoinSet<io::Result<()>>,
    address: SocketAddr,
    kubeconfig: Kubeconfig,
}

impl Served {
    async fn new(make: fn(TcpListener) -> io::Result<Server>) -> Self {
        let shell = Workload::from_yaml("{image: 'busybox:1', shell: true, run: [sh]}").unwrap();
        let workloads: Workloads = [shell].into_iter().collect();
        let cluster = Cluster::builder().speed(100.0).workloads(workloads).build();
        let server = make(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let (address, kubeconfig) = (server.address, Kubeconfig::from_yaml(&server.kubeconfig("sim")).unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(server.serve(cluster.api().http()));
        Self { _cluster: cluster, _serving: serving, address, kubeconfig }
    }

    fn url(&self) -> &str {
        self.kubeconfig.clusters[0].cluster.as_ref().unwrap().server.as_ref().unwrap()
    }

    /// The answer to bytes that are not TLS, until the connection is closed.
    async fn answer(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset is closed as well.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn client(kubeconfig: Kubeconfig) -> Client {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn namespaces(kubeconfig: Kubeconfig) -> Result<usize, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client(kubeconfig).await);
    Ok(namespaces.list(&ListParams::default()).await?.items.len())
}

#[rstest]
#[case::https(Server::https, "https")]
#[case::http(Server::http, "http")]
#[tokio::test]
async fn a_client_connects_with_the_kubeconfig(#[case] make: fn(TcpListener) -> io::Result<Server>, #[case] scheme: &str) {
    let served = Served::new(make).await;
    assert_eq!(served.url(), format!("{scheme}://{}", served.address));
    assert_eq!(namespaces(served.kubeconfig).await.unwrap(), 4);
}

#[tokio::test]
async fn a_command_runs_over_https() {
    let served = Served::new(Server::https).await;
    let pods: Api<Pod> = Api::default_namespaced(client(served.kubeconfig).await);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox:1", "command": ["sleep", "3600"]}]}});
    pods.create(&PostParams::default(), &from_value(pod).unwrap()).await.unwrap();
    await_condition(pods.clone(), "p", is_pod_running()).await.unwrap();
    let mut command = pods.exec("p", ["echo", "within"], &AttachParams::default().stderr(false)).await.unwrap();
    let mut stdout = String::new();
    command.stdout().unwrap().read_to_string(&mut stdout).await.unwrap();
    assert_eq!(stdout, "within\n");
}

#[rstest]
#[case::no_token(None)]
#[case::another_token(Some("0123456789abcdef"))]
#[tokio::test]
async fn who_does_not_bear_the_token_is_refused(#[case] token: Option<&str>) {
    let mut kubeconfig = Served::new(Server::https).await;
    let user = kubeconfig.kubeconfig.auth_infos[0].auth_info.as_mut().unwrap();
    user.token = token.map(|token| token.to_owned().into());
    let kube::Error::Api(status) = namespaces(kubeconfig.kubeconfig.clone()).await.unwrap_err() else {
        panic!("this must be an answer of the API server")
    };
    assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (401, "Unauthorized", "Unauthorized"));
}

#[tokio::test]
async fn each_server_has_an_authority_of_its_own() {
    let (one, mut other) = (Served::new(Server::https).await, Served::new(Server::https).await);
    other.kubeconfig.clusters[0].cluster.as_mut().unwrap().server = Some(one.url().to_owned());
    let error = namespaces(other.kubeconfig).await.unwrap_err();
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
}

#[tokio::test]
async fn each_server_has_a_token_of_its_own() {
    let (one, mut other) = (Served::new(Server::https).await, Served::new(Server::https).await);
    other.kubeconfig.clusters.clone_from(&one.kubeconfig.clusters);
    let kube::Error::Api(status) = namespaces(other.kubeconfig).await.unwrap_err() else {
        panic!("this must be an answer of the API server")
    };
    assert_eq!(status.code, 401);
}

#[tokio::test]
async fn plain_http_is_told_that_it_is_at_the_wrong_door() {
    let served = Served::new(Server::https).await;
    let answer = served.answer(b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "{answer}");
}

#[tokio::test]
async fn handshakes_that_hang_or_break_keep_nobody_waiting() {
    let served = Served::new(Server::https).await;
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let mut halting = TcpStream::connect(served.address).await.unwrap();
    // A handshake of 200 bytes that do not come.
    halting.write_all(&[22, 3, 1, 0, 200]).await.unwrap();
    drop(TcpStream::connect(served.address).await.unwrap());
    assert_ne!(served.answer(b"\x16no handshake").await, "");
    assert_eq!(namespaces(served.kubeconfig).await.unwrap(), 4);
}

#[rstest]
#[case::before_the_first_byte(b"")]
#[case::within_the_handshake(&[22, 3, 1, 0, 200])]
#[case::within_plain_http(b"GET ")]
#[tokio::test(start_paused = true)]
async fn who_halts_is_not_waited_for_forever(#[case] bytes: &[u8]) {
    let served = Served::new(Server::https).await;
    let answer = timeout(Duration::from_secs(11), served.answer(bytes)).await;
    assert_eq!(answer.expect("the connection is closed"), "");
}
