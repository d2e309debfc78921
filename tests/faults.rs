//! An API server that fails, and a program that is stopped: no wrong verdict, and nothing is left behind.
//!
//! One kind cluster for all; `LABPROOF_TEST_STATE` names a state directory in which it is kept and found again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed test may panic, and a test may print"
)]

mod common;
#[path = "common/proxy.rs"]
mod proxy;
#[path = "common/stopped.rs"]
mod stopped;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{LogParams, Patch, PatchParams};
use kube::{Api, Client};
use labproof::clock::Clock;
use labproof::cluster::kind::{KindOptions, KindProvider};
use labproof::cluster::state::StateDir;
use labproof::cluster::{Cluster, Needs, Programs, Provider, ProvisionError, context, new_run_id};
use labproof::images::{StandIns, builtin};
use labproof::plan::Plan;
use labproof::progress::Progress;
use labproof::report::{ClusterFacts, Report};
use labproof::run::{Keep, RunOptions, run};
use labproof::scenario;
use labproof::timeline::{Entry, Observation, Stream};
use labproof::verdict::Outcome;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use proxy::{Fault, Proxy, Trigger};

const OUTAGE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let mut tests = vec![
        common::on_kind("an_outage_during_a_step_gives_no_wrong_verdict", || on_cluster(during_a_step)),
        common::on_kind("an_outage_during_the_action_gives_no_wrong_verdict", || on_cluster(during_the_action)),
        common::on_kind("an_outage_while_the_namespace_is_made_is_waited_for", || on_cluster(while_the_namespace_is_made)),
        common::on_kind("an_outage_while_the_watches_begin_is_waited_for", || on_cluster(while_the_watches_begin)),
        common::on_kind("an_outage_during_the_teardown_is_waited_for", || on_cluster(during_the_teardown)),
    ];
    tests.extend(stopped::tests());
    let code = common::run(tests);
    common::block_on(KIND.with_borrow_mut(|kind| kind.take()).map_or_else(|| futures::future::Either::Left(async {}), |kind| futures::future::Either::Right(kind.give_back())));
    code
}
