//! The command line: arguments become calls of the library, and what they give becomes output and an exit code.

mod args;
mod clean;
mod doctor;
mod failure;
mod images;
mod judge;
mod kubeconfig;
mod predict;
mod reports;
mod run;
mod select;
mod signals;
mod sim;
mod terminal;
mod timelines;

use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use labproof::exit_code;

use self::args::{Cli, Command, Format, SimCommand};
use self::failure::Failure;
use self::terminal::Terminal;

pub(crate) fn main() -> ExitCode {
    let matches = Cli::command().color(help_color()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let terminal = Terminal::new(&cli.output);
    let ended = command(cli.command, &terminal);
    ExitCode::from(ended.unwrap_or_else(|failure| failure.show(&terminal)))
}

/// The colours of clap's own output, which is written before the arguments have been read.
fn help_color() -> ColorChoice {
    let arguments: Vec<_> = std::env::args_os().collect();
    let is_given = |value: &str| {
        arguments.iter().any(|argument| *argument == *format!("--color={value}"))
            || arguments.windows(2).any(|pair| pair[0] == "--color" && pair[1] == value)
    };
    match (is_given("never"), is_given("always")) {
        (true, _) => ColorChoice::Never,
        (false, true) => ColorChoice::Always,
        (false, false) => ColorChoice::Auto,
    }
}

fn command(command: Command, terminal: &Terminal) -> Result<u8, Failure> {
    match command {
        Command::Run(args) => run::run(&args, terminal),
        Command::Plan(args) => select::plan(&args, terminal),
        Command::Lint(args) => select::lint(&args, terminal),
        Command::List(args) => select::list(&args, terminal),
        Command::Judge(args) => judge::judge(&args, terminal),
        Command::Report(args) => judge::report(&args, terminal),
        Command::Predict(args) => predict::predict(&args, terminal),
        Command::Sim(SimCommand::Serve(args)) => sim::serve(&args, terminal),
        Command::Images(command) => images::images(command, terminal),
        Command::Doctor(args) => doctor::doctor(args, terminal),
        Command::Clean(args) => clean::clean(&args, terminal),
        Command::Schema { format } => {
            let schema = match format {
                Format::Scenario => labproof::scenario::schema(),
                Format::Report => labproof::report::json::schema().to_value(),
            };
            terminal.data(&format!("{schema:#}\n"))?;
            Ok(exit_code::PASS)
        }
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "labproof", &mut text);
            terminal.data(&String::from_utf8_lossy(&text))?;
            Ok(exit_code::PASS)
        }
    }
}
