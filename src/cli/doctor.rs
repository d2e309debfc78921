//! `labproof doctor`.

use labproof::cluster::Programs;
use labproof::doctor::{self, DoctorOptions};
use labproof::exit_code;

use super::args::DoctorArgs;
use super::failure::Failure;
use super::run::{block_on_interruptible, state};
use super::terminal::Terminal;

pub(crate) fn doctor(args: DoctorArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let options = DoctorOptions {
        programs: Programs::from_path(),
        state: state()?,
        node_image: args.node_image,
        standin: args.standin.standin,
    };
    let checks = block_on_interruptible(async || Ok(doctor::examine(&options).await))?;
    terminal.data(&doctor::render(&checks))?;
    terminal.note(
        "this is about `--on kind`; simulated runs need nothing of it
",
    );
    Ok(if doctor::is_fit(&checks) { exit_code::PASS } else { exit_code::ENVIRONMENT })
}
