//! A kind cluster that the tests of a file share, and runs that reach it through a proxy.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use labproof::clock::Clock;
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::state::StateDir;
use labproof::cluster::{Cluster, Needs, Programs, Provider, ProvisionError, new_run_id};
use labproof::images::{StandIns, builtin};
use labproof::progress::Progress;
use labproof::report::ClusterFacts;

use crate::proxy::Proxy;

/// The cluster, once a test has asked for it.
static SHARED: OnceLock<Shared> = OnceLock::new();

/// A cluster that is there.
pub(crate) struct Shared {
    pub(crate) kubeconfig: PathBuf,
    /// The name of its kubeconfig's context.
    pub(crate) context: String,
    provider: Mutex<KindProvider>,
    _state: tempfile::TempDir,
}

impl Shared {
    /// The cluster; made if it is the first time. `LABPROOF_TEST_STATE` names a state directory in which it is kept and found again.
    pub(crate) fn get() -> &'static Self {
        // On a thread of its own: the caller may be in a runtime.
        let make = || crate::common::block_on(Self::make());
        SHARED.get_or_init(|| std::thread::scope(|scope| scope.spawn(make).join().expect("a cluster can be made")))
    }

    async fn make() -> Self {
        let own = tempfile::tempdir().unwrap();
        let kept = kept();
        let images = ["busybox:1.36.1".to_owned(), "blux2/delayfailserver:1.1".to_owned()].into();
        let mut provider = KindProvider::new(KindOptions {
            programs: Programs::from_path(),
            state: StateDir::new(kept.clone().unwrap_or_else(|| own.path().to_owned())),
            run_id: new_run_id(),
            cluster_name: None,
            node_image: crate::common::node_image(),
            config: None,
            reuse: kept.is_some(),
            stand_ins: Some(StandIns::new(&images, &builtin(), None).unwrap()),
        });
        let cluster = provider.provision(&Needs { nodes: 1, images }, &|_| ()).await.unwrap();
        let context = format!("kind-{}", cluster.facts.name);
        Self { kubeconfig: cluster.kubeconfig.unwrap(), context, provider: Mutex::new(provider), _state: own }
    }

    /// Gives the cluster back, if there is one.
    pub(crate) fn give_back() {
        if let Some(shared) = SHARED.get() {
            let mut provider = shared.provider.lock().unwrap();
            crate::common::block_on(provider.tear_down(kept().is_some(), &|_| ())).unwrap();
        }
    }

    /// A client for the runtime of the calling test.
    pub(crate) async fn client(&self) -> Client {
        labproof::cluster::context::client(&self.context, Some(self.kubeconfig.clone())).await.unwrap()
    }
}

fn kept() -> Option<PathBuf> {
    std::env::var_os("LABPROOF_TEST_STATE").map(PathBuf::from)
}

/// A cluster behind a proxy.
pub(crate) struct Proxied {
    client: Client,
    run_id: String,
}

impl Proxied {
    pub(crate) async fn new(proxy: &Proxy) -> Self {
        let kubeconfig: Kubeconfig = serde_json::from_value(proxy.kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        config.default_retry = false;
        config.read_timeout = None;
        Self { client: Client::try_from(config).unwrap(), run_id: new_run_id() }
    }
}

impl Provider for Proxied {
    async fn provision(&mut self, _needs: &Needs, _progress: &dyn Fn(Progress)) -> Result<Cluster, ProvisionError> {
        let facts = ClusterFacts {
            provider: "context".to_owned(),
            name: "proxy".to_owned(),
            kubernetes: "v1.0.0".to_owned(),
            node_image: None,
            stand_ins: Vec::new(),
        };
        let run_id = self.run_id.clone();
        Ok(Cluster { client: self.client.clone(), clock: Clock::from_wall_clock(), facts, kubeconfig: None, run_id })
    }

    async fn tear_down(&mut self, _keep: bool, _progress: &dyn Fn(Progress)) -> Result<(), ProvisionError> {
        Ok(())
    }
}
