//! An API server that fails, and a program that is stopped: no wrong verdict, and nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failed test may panic, and a test may print"
)]

#[path = "../common/mod.rs"]
mod common;
mod outages;
mod proxied;
#[path = "../common/proxy.rs"]
#[allow(dead_code, reason = "the benchmark counts requests with it")]
mod proxy;
mod stopped;

use std::process::ExitCode;

use common::{block_on, on_kind};

fn main() -> ExitCode {
    let tests = vec![
        on_kind("an_outage_during_a_step_gives_no_wrong_verdict", || block_on(outages::during_a_step())),
        on_kind("an_outage_during_the_action_gives_no_wrong_verdict", || block_on(outages::during_the_action())),
        on_kind("an_outage_before_the_first_step_is_waited_for", || block_on(outages::before_the_first_step())),
        on_kind("an_outage_during_the_teardown_is_waited_for", || block_on(outages::during_the_teardown())),
        on_kind("a_run_interrupted_in_a_step_tears_down_and_reports", stopped::in_a_step),
        on_kind("a_run_interrupted_in_its_teardown_finishes_it", stopped::in_the_teardown),
        on_kind("a_run_interrupted_twice_ends_at_once_and_clean_finds_what_it_left", stopped::twice),
        on_kind("clean_finds_what_a_killed_run_left", stopped::killed),
        on_kind("a_disk_that_is_full_or_read_only_is_an_error_and_nothing_is_left", stopped::without_a_disk),
        on_kind("a_run_interrupted_while_its_cluster_is_made_leaves_nothing", stopped::in_the_creation),
    ];
    let ended = common::run(tests, 1);
    proxied::Shared::give_back();
    ended
}
