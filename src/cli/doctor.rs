//! `labproof doctor`.

use labproof::cluster::Programs;
use labproof::doctor::{self, Check, DoctorOptions, State};
use labproof::exit_code;
use labproof::images::StandIns;

use super::args::DoctorArgs;
use super::failure::Failure;
use super::run::{block_on, state};
use super::select;
use super::terminal::Terminal;

pub(crate) fn doctor(args: DoctorArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let options = DoctorOptions { programs: Programs::from_path(), state: state()?, node_image: args.node_image };
    let mut checks = block_on(async |_| Ok(doctor::examine(&options).await))?;
    checks.push(stand_in()?);
    terminal.data(&doctor::render(&checks));
    Ok(if doctor::is_fit(&checks) { exit_code::PASS } else { exit_code::ENVIRONMENT })
}

fn stand_in() -> Result<Check, Failure> {
    let workloads = select::workloads(None)?;
    let images = workloads.iter().map(|(image, _)| image.to_owned()).collect();
    Ok(match StandIns::new(&images, &workloads, None) {
        Ok(stand_ins) => Check::new("stand-ins", State::Good, format!("{} images can be played", stand_ins.images().count())),
        Err(error) => {
            Check::new("stand-ins", State::Warning, error.to_string()).hint("name a stand-in server with `run --standin FILE`")
        }
    })
}
