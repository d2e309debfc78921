//! `labproof predict`.

use std::collections::BTreeSet;

use labproof::diagnostic::Diagnostic;
use labproof::exit_code;
use labproof::manifest::{self, ManifestObject};
use labproof::predict::{self, PredictError, PredictOptions};
use workload::Workloads;

use super::args::{PredictArgs, PredictOutput};
use super::failure::Failure;
use super::run::seeds;
use super::select;
use super::terminal::Terminal;

pub(crate) fn predict(args: &PredictArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let version = args.kubernetes.version()?;
    let workloads = select::workloads(&args.workloads)?;
    let objects = objects(args)?;
    warn_of_unknown_images(&objects, &workloads, terminal);
    let options = PredictOptions {
        objects: objects.into_iter().map(|object| object.object).collect(),
        seeds: seeds(args.seed, u64::from(args.seeds))?,
        span: args.span,
        version,
        nodes: u32::from(args.nodes),
        workloads,
    };
    let prediction = predict::predict(&options).map_err(failure)?;
    let text = match args.output {
        PredictOutput::Table => predict::table(&prediction),
        PredictOutput::Rows => {
            let nothing = || Failure::usage("no Pod shows the same in all seeds, so there are no rows to expect");
            predict::scenario(&prediction, &args.manifests, options.nodes).ok_or_else(nothing)?
        }
        PredictOutput::Json => serde_json::to_string_pretty(&prediction).map_err(Failure::environment)? + "\n",
    };
    terminal.data(&text)?;
    Ok(exit_code::PASS)
}

fn failure(error: PredictError) -> Failure {
    match error {
        PredictError::Refused(_) => Failure::usage(error),
        PredictError::Failed(_) => Failure::environment(error),
    }
}

/// The objects of all manifests, or what is wrong with any of them.
fn objects(args: &PredictArgs) -> Result<Vec<ManifestObject>, Vec<Diagnostic>> {
    let mut objects = Vec::new();
    let mut wrong = Vec::new();
    for file in &args.manifests {
        match manifest::read(file) {
            Ok(read) => objects.extend(read),
            Err(diagnostics) => wrong.extend(diagnostics),
        }
    }
    if wrong.is_empty() { Ok(objects) } else { Err(wrong) }
}

fn warn_of_unknown_images(objects: &[ManifestObject], workloads: &Workloads, terminal: &Terminal) {
    let images: BTreeSet<&str> = objects.iter().flat_map(|object| &object.images).map(|used| used.image.as_str()).collect();
    for image in images.iter().filter(|image| workloads.get(image).is_none()) {
        terminal.tell(&format!(
            "warning: no workload describes the image `{image}`, so it cannot be pulled here; describe it in a workload file (--workloads)\n"
        ));
    }
}
