//! Proves that Kubernetes course material still works.
//!
//! A course page says what its readers will see: a Pod goes READY 0/1 → 1/1, RESTARTS counts up, a log says so. A scenario file says the
//! same for this library. It is run on a cluster, simulated or real; everything that happens there is watched and recorded; and each
//! expectation is judged against the recording. What comes of it is one of four [outcomes](verdict::Outcome):
//!
//! | | |
//! |---|---|
//! | pass | it was seen, within its window, at every moment that matters |
//! | inconclusive | it cannot be told, because nothing was observed when it mattered |
//! | fail | it was not so; the [deviation](verdict::Deviation) says how |
//! | error | the environment, or labproof, failed |
//!
//! # In a course's tests
//!
//! ```no_run
//! use std::path::PathBuf;
//!
//! // #[rstest]
//! fn hands_on(/* #[files("scenarios/**/*.yaml")] */ scenario: PathBuf) {
//!     labproof::testing::simulate(&scenario); // with nothing installed, in virtual time
//!     labproof::testing::check(&scenario); // on kind, which needs Docker
//! }
//! # hands_on(PathBuf::new());
//! ```
//!
//! # The nine stages
//!
//! Data flows through them one way; each can be used by itself.
//!
//! | # | stage | where |
//! |--:|---|---|
//! | 1 | load a scenario file | [`scenario::load`], [`diagnostic`] |
//! | 2 | plan: with its manifests, resolved and printable | [`plan::Plan`], [`manifest`] |
//! | 3 | provision a cluster | [`cluster::Provider`]: [`sim`](cluster::sim), [`kind`](cluster::kind), [`context`](cluster::context); [`images`] |
//! | 4 | act | [`act`] |
//! | 5 | observe | [`observe`] |
//! | 6 | record | [`timeline`] |
//! | 7 | judge | [`judge`], [`verdict`] |
//! | 8 | report | [`report`] |
//! | 9 | tear down | [`cluster::Provider::tear_down`] |
//!
//! [`run::run`] goes through all of them and always gives a [`report::Report`]. [`predict`] says what a reader of manifests will see.
//!
//! # Without a cluster
//!
//! A report that was written as JSON is read by [`report::json::read`] and printed by [`report::console::full`]. A recorded timeline is
//! read by [`timeline::read`] and judged again, by the same or another text of its scenario, by [`judge::report_of_recording`].
//!
//! # What is stable
//!
//! [`testing`], the format of scenarios, the JSON report, the JSON Lines of timelines, and the [exit codes](exit_code). The formats have
//! versions. Everything else may change.
//!
//! # Requirements
//!
//! Linux or macOS. A simulation needs nothing else; clusters on kind need Docker and kind ([`doctor`] says what is missing).

pub mod act;
pub mod clean;
pub mod clock;
pub mod cluster;
pub mod diagnostic;
pub mod doctor;
mod errors;
pub mod exit_code;
pub mod images;
pub mod judge;
pub mod live;
pub mod manifest;
pub mod observe;
pub mod plan;
pub mod predict;
pub mod progress;
pub mod report;
pub mod resources;
pub mod run;
pub mod scenario;
pub mod testing;
pub mod timeline;
pub mod verdict;
mod yaml;
