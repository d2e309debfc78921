//! `labproof clean`.

use std::path::PathBuf;

use labproof::clean::{self, CleanOptions, Fate, Finding};
use labproof::cluster::{Programs, context};
use labproof::exit_code;

use super::args::CleanArgs;
use super::failure::Failure;
use super::run::{block_on, state};
use super::terminal::Terminal;

pub(crate) fn clean(args: &CleanArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let state = state()?;
    let (findings, is_interrupted) = block_on(async |stop| {
        let options = CleanOptions {
            programs: Programs::from_path(),
            state,
            kept: args.kept,
            unrecorded: args.unrecorded,
            dry_run: args.dry_run,
            stop,
        };
        let mut findings = Vec::new();
        // First, so that of the records those are left whose namespaces are elsewhere.
        if let Some(name) = &args.context {
            findings.extend(in_context(&options, name, args.kubeconfig.kubeconfig.clone()).await);
        }
        findings.extend(clean::clusters(&options).await?);
        Ok((findings, options.stop.is_cancelled()))
    })?;
    for finding in &findings {
        terminal.data(&line(finding))?;
    }
    if is_interrupted {
        terminal.note("interrupted: there may be more\n");
        return Ok(exit_code::INTERRUPTED);
    }
    if findings.is_empty() {
        terminal.note("nothing is left over\n");
    }
    let failed = findings.iter().any(|finding| matches!(finding.fate, Fate::Failed(_)));
    Ok(if failed { exit_code::ENVIRONMENT } else { exit_code::PASS })
}

/// A context that cannot be looked into is a finding, too.
async fn in_context(options: &CleanOptions, name: &str, kubeconfig: Option<PathBuf>) -> Vec<Finding> {
    let looked = async {
        let client = context::client(name, kubeconfig).await?;
        clean::namespaces(options, &client, name).await
    };
    looked
        .await
        .unwrap_or_else(|error| vec![Finding { what: format!("namespaces in the context {name}"), fate: Fate::Failed(error) }])
}

fn line(Finding { what, fate }: &Finding) -> String {
    match fate {
        Fate::Removed => format!("removed       {what}\n"),
        Fate::WouldRemove => format!("would remove  {what}\n"),
        Fate::Skipped(reason) => format!("left alone    {what}: {reason}\n"),
        Fate::NotLookedAt(command) => format!("not looked at {what}: {command}\n"),
        Fate::Failed(error) => {
            let hint = error.hint.as_deref().map(|hint| format!("\n              hint: {hint}")).unwrap_or_default();
            format!("FAILED        {what}: {error}{hint}\n")
        }
    }
}
