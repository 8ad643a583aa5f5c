//! The `kcoro` program: diagnostics and demonstrations of the kcoro runtime.
//!
//! Results go to standard output, everything else to standard error. A reader that closes the pipe
//! early, such as `head`, ends the program quietly; a disk that is full does not.

#![deny(unsafe_code)]

mod args;
mod doctor;
mod monster;
mod output;
mod system;

use std::process::ExitCode;

use args::{Arguments, Command, MonsterCommand};
use output::{Failure, Output};

/// All went well, or whoever read the output has seen enough.
const SUCCESS: u8 = 0;
/// Something failed; standard error says what.
const FAILURE: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut output = Output::stdout();
    let code = match Arguments::read() {
        Ok(arguments) => run(arguments.command, &mut output),
        Err(error) if error.use_stderr() => {
            output::complain(&error.render());
            return ExitCode::from(USAGE);
        }
        Err(help) => output.styled(&help.render()).map(|()| SUCCESS),
    };
    match code.and_then(|code| output.flush().map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(Failure::ClosedPipe) => ExitCode::from(SUCCESS),
        Err(Failure::Other(text)) => {
            output::complain(&format!("kcoro: {text}\n"));
            ExitCode::from(FAILURE)
        }
    }
}

/// Runs one command; returns the exit code.
fn run(command: Command, output: &mut Output) -> Result<u8, Failure> {
    match command {
        Command::Doctor(options) => doctor::run(&options, output),
        Command::Monster { command: MonsterCommand::Demo(options) } => {
            monster::demo(&options, output)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "kcoro", &mut script);
            output.bytes(&script)?;
            Ok(SUCCESS)
        }
    }
}
