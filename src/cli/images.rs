//! `labproof images`.

use std::collections::BTreeSet;

use labproof::cluster::{Programs, kind};
use labproof::exit_code;
use labproof::images::StandIns;
use workload::Workloads;

use super::args::{ImageSource, ImagesCommand};
use super::failure::Failure;
use super::run::block_on_interruptible;
use super::select;
use super::terminal::Terminal;

pub(crate) fn images(command: ImagesCommand, terminal: &Terminal) -> Result<u8, Failure> {
    match command {
        ImagesCommand::List(args) => {
            let workloads = select::workloads(&args)?;
            let width = workloads.iter().map(|(image, _)| image.len()).max().unwrap_or(0);
            for (image, workload) in workloads.iter() {
                let about = workload.about.as_deref().unwrap_or_default();
                terminal.data(&format!("{}\n", format!("{image:width$}  {about}").trim_end()))?;
            }
        }
        ImagesCommand::Build { images, output, source } => {
            for file in stand_ins(&images, &source)?.build(&output).map_err(Failure::environment)? {
                terminal.data(&format!("{}\n", file.display()))?;
            }
        }
        ImagesCommand::Load { images, cluster_name, source } => {
            let stand_ins = stand_ins(&images, &source)?;
            block_on_interruptible(async || Ok(kind::load_into(&Programs::from_path(), &cluster_name, &stand_ins).await?))?;
            for image in stand_ins.images() {
                terminal.data(&format!("{image}\n"))?;
            }
        }
    }
    Ok(exit_code::PASS)
}

/// The stand-ins for these images; all that there are if none is named.
fn stand_ins(images: &[String], source: &ImageSource) -> Result<StandIns, Failure> {
    let workloads = select::workloads(&source.workloads)?;
    if let Some(unknown) = images.iter().find(|image| workloads.get(image).is_none()) {
        let text = format!("no workload describes the image `{unknown}`");
        return Err(Failure::usage(format!("{text}; see those that are known with `labproof images list`")));
    }
    let images = if images.is_empty() { all_images(&workloads) } else { images.iter().cloned().collect() };
    StandIns::new(&images, &workloads, source.standin.standin.as_deref()).map_err(Failure::environment)
}

fn all_images(workloads: &Workloads) -> BTreeSet<String> {
    workloads.iter().map(|(image, _)| image.to_owned()).collect()
}
