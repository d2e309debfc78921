//! `labproof clean`.

use labproof::clean::{self, CleanOptions, Fate, Finding};
use labproof::cluster::{Programs, context};
use labproof::exit_code;

use super::args::CleanArgs;
use super::failure::Failure;
use super::run::{block_on, state};
use super::terminal::Terminal;

pub(crate) fn clean(args: &CleanArgs, terminal: &Terminal) -> Result<u8, Failure> {
    let options = CleanOptions {
        programs: Programs::from_path(),
        state: state()?,
        kept: args.kept,
        unrecorded: args.unrecorded,
        dry_run: args.dry_run,
    };
    let findings = block_on(async |_| {
        let mut findings = clean::clusters(&options).await?;
        if let Some(name) = &args.context {
            let client = context::client(name, args.kubeconfig.kubeconfig.clone()).await?;
            findings.extend(clean::namespaces(&options, &client, name).await?);
        }
        Ok(findings)
    })?;
    if findings.is_empty() {
        terminal.note("nothing is left over\n");
    }
    for finding in &findings {
        terminal.data(&line(finding))?;
    }
    let failed = findings.iter().any(|finding| matches!(finding.fate, Fate::Failed(_)));
    Ok(if failed { exit_code::ENVIRONMENT } else { exit_code::PASS })
}

fn line(Finding { what, fate }: &Finding) -> String {
    match fate {
        Fate::Removed => format!("removed       {what}\n"),
        Fate::WouldRemove => format!("would remove  {what}\n"),
        Fate::Skipped(reason) => format!("left alone    {what}: {reason}\n"),
        Fate::Failed(error) => {
            let hint = error.hint.as_deref().map(|hint| format!("\n              hint: {hint}")).unwrap_or_default();
            format!("FAILED        {what}: {error}{hint}\n")
        }
    }
}
