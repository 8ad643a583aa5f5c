//! The command line.

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well, or the reader of the output closed the pipe
  1  something failed; standard error says what
  2  the command line is wrong
  3  doctor: something keeps a runtime from starting

Environment:
  KCORO_WORKERS  how many workers a runtime starts (1 to 1024)
  NO_COLOR       set to anything: no colors";

const EXAMPLES: &str = "\
Examples:
  kcoro doctor                      what this machine offers, and what to change
  kcoro doctor --format json        the same for a program
  kcoro completions bash > ~/.local/share/bash-completion/completions/kcoro

";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  kcoro doctor
  kcoro doctor --format json | jq .workers
  kcoro doctor --format json | jq -r '.checks[] | select(.status != \"ok\") | .advice'

Exit codes:
  0  nothing keeps a runtime from starting; there may be advice
  1  the report could not be written
  3  something keeps a runtime from starting";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  kcoro completions bash > ~/.local/share/bash-completion/completions/kcoro
  kcoro completions zsh > ~/.zfunc/_kcoro
  kcoro completions fish > ~/.config/fish/completions/kcoro.fish";

/// Diagnostics and demonstrations of the kcoro runtime.
#[derive(Debug, Parser)]
#[command(name = "kcoro", version, arg_required_else_help = true)]
#[command(after_help = format!("{EXAMPLES}{EXIT_CODES}"))]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Reads the arguments of the process; the error may also be a request for help.
    pub(crate) fn read() -> Result<Arguments, clap::Error> {
        Arguments::try_parse()
    }

    /// The description that completions are made from.
    pub(crate) fn command() -> clap::Command {
        <Arguments as CommandFactory>::command()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what this machine offers to the runtime, and what to change
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorOptions),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorOptions {
    /// How to print the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    Text,
    /// One JSON object
    Json,
}
