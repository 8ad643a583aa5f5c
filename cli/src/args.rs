//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well, or the reader of the output closed the pipe
  1  something failed; standard error says what
  2  the command line is wrong
  3  doctor: something keeps a runtime from starting
  4  monster demo: the counts of the stages contradict each other

Environment:
  KCORO_WORKERS  how many workers a runtime starts (1 to 1024)
  NO_COLOR       set to anything: no colors";

const EXAMPLES: &str = "\
Examples:
  kcoro monster demo                samples of every process through pipes and filters
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

const MONSTER_EXAMPLES: &str = "\
Examples:
  kcoro monster demo
  kcoro monster demo --help";

const DEMO_EXAMPLES: &str = "\
Examples:
  kcoro monster demo
  kcoro monster demo --seconds 60 --status
  kcoro monster demo --format ndjson | jq 'select(.type == \"latency\")'
  kcoro monster demo --record run.kmr && kcoro monster demo --replay run.kmr --rate max

Exit codes:
  0    the run ended, by itself or by a first SIGINT or SIGTERM, or the reader has gone
  1    something failed: the recording, the output, a runtime that does not start
  2    the command line is wrong
  4    the counts of the stages contradict each other, which is a bug
  128+ a second SIGINT (130) or SIGTERM (143) ends it at once";

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
    /// Run the monster service on the processes of this machine
    #[command(after_help = MONSTER_EXAMPLES)]
    Monster {
        #[command(subcommand)]
        command: MonsterCommand,
    },
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

#[derive(Debug, Subcommand)]
pub(crate) enum MonsterCommand {
    /// Sample every process, filter and count the samples, coordinate apps; show how fast it is
    ///
    /// A sampler writes a sample of every process to pipe 0, a filter assigns shards, applies Hecke
    /// operators and passes on to pipe 1 what has memory of its own, a consumer counts. Three apps
    /// wait on each of the fifteen shards, and a coordinator wakes them once a second. All are
    /// coroutines.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoOptions),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoOptions {
    /// How long to run; default: 5, or to the end of a recording
    #[arg(long, value_parser = seconds)]
    pub(crate) seconds: Option<f64>,
    /// Sweeps over all processes per second, above 0 and up to 100, or `max`
    #[arg(long, value_parser = rate, default_value = "100")]
    pub(crate) rate: Rate,
    /// How to print
    #[arg(long, value_enum, default_value_t = StreamFormat::Text)]
    pub(crate) format: StreamFormat,
    /// Print the state of all pipes and wait states each second
    #[arg(long)]
    pub(crate) status: bool,
    /// Keep the samples in this file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Take the samples from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Read instruction and stack pointers too, where it is permitted
    #[arg(long, conflicts_with = "replay")]
    pub(crate) registers: bool,
    /// How many workers; default: as `kcoro doctor` says
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Where the processes are listed
    #[arg(long, value_name = "DIR", default_value = "/proc", conflicts_with = "replay")]
    pub(crate) proc: PathBuf,
}

/// How often the processes are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// So many times per second.
    PerSecond(f64),
    /// One sweep after the other.
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamFormat {
    /// Lines for people; on a terminal drawn in place
    Text,
    /// One JSON object per line
    Ndjson,
}

/// The longest run: a day.
const SECONDS_MAX: f64 = 86_400.0;
/// The highest rate that the sampler is made for.
const RATE_MAX: f64 = 100.0;
/// One sweep an hour is slow enough.
const RATE_MIN: f64 = 1.0 / 3600.0;

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => Ok(seconds),
        _ => Err(format!("expected a number above 0 and up to {SECONDS_MAX}")),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text.parse() {
        Ok(rate) if (RATE_MIN..=RATE_MAX).contains(&rate) => Ok(Rate::PerSecond(rate)),
        _ if text == "max" => Ok(Rate::Max),
        _ => Err(format!("expected a number above 0 and up to {RATE_MAX}, or `max`")),
    }
}
