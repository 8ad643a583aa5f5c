//! `kcoro doctor`: what the machine offers to the runtime, and what to change.
//!
//! Three steps: [`facts`] reads, [`checks`] judges (pure), [`report`] prints.

mod checks;
mod facts;
mod report;

use crate::args::{DoctorOptions, Format};
use crate::output::{Failure, Output};

/// The exit code if something keeps a runtime from starting.
const CANNOT_START: u8 = 3;

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nothing to do.
    Ok,
    /// It works, but something costs speed or sets a limit.
    Warn,
    /// A runtime does not start like this.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    /// What was looked at; stable, programs may go by it.
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    /// What was found.
    pub(crate) value: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// Runs the command; returns the exit code.
pub(crate) fn run(options: &DoctorOptions, output: &mut Output) -> Result<u8, Failure> {
    let facts = facts::Facts::read();
    let checks = checks::all(&facts);
    match options.format {
        Format::Text => report::text(&facts, &checks, output)?,
        Format::Json => report::json(&facts, &checks, output)?,
    }
    let failed = checks.iter().any(|check| check.status == Status::Fail);
    Ok(if failed { CANNOT_START } else { crate::SUCCESS })
}
