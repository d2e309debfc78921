//! Tests that need what not every machine has.
//!
//! A test file with `harness = false` in Cargo.toml collects its tests with [`on_kind`] and ends with [`run`]. Where Docker or
//! kind is missing, such a test is *ignored*, and the reason is printed; with `LABPROOF_REQUIRE_KIND=1` it fails instead, so
//! that CI cannot lose it unseen. The tests run one after the other: a cluster more at the same time makes each slower.
//!
//! `KIND_NODE_IMAGE` names the node image; kind's default if it is not set.

use std::future::Future;
use std::process::ExitCode;
use std::sync::LazyLock;

use labproof::cluster::Programs;
use labproof::cluster::state::StateDir;
use labproof::doctor::{self, DoctorOptions, State};
use libtest_mimic::{Arguments, Failed, Trial};

/// The node image that tests use; kind's default if none.
pub(crate) fn node_image() -> Option<String> {
    std::env::var("KIND_NODE_IMAGE").ok().filter(|image| !image.is_empty())
}

/// Why tests on kind cannot run here; none if they can.
static MISSING: LazyLock<Option<String>> = LazyLock::new(|| {
    let options = DoctorOptions {
        programs: Programs::from_path(),
        state: StateDir::new(std::env::temp_dir()),
        node_image: node_image(),
        standin: None,
    };
    let checks = block_on(doctor::examine(&options));
    checks.into_iter().find(|check| check.state == State::Bad).map(|check| format!("{}: {}", check.name, check.detail))
});

/// Runs a future on a runtime of its own, on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made").block_on(future)
}

/// A test that needs Docker and kind. It fails by panicking.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub(crate) fn on_kind(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    match &*MISSING {
        None => Trial::test(name, move || {
            test();
            Ok(())
        }),
        Some(reason) if std::env::var_os("LABPROOF_REQUIRE_KIND").is_some() => Trial::test(name, move || Err(Failed::from(reason))),
        Some(reason) => {
            eprintln!("{name} is ignored: {reason}");
            Trial::test(name, || Ok(())).with_kind("needs kind").with_ignored_flag(true)
        }
    }
}

/// Runs the tests as `cargo test` asks for on the command line, so many at the same time: several only if they share a cluster.
pub(crate) fn run(tests: Vec<Trial>, threads: usize) -> ExitCode {
    let arguments = Arguments { test_threads: Some(threads), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, tests).exit_code()
}
