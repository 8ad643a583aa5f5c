//! Prints the checks, for people and for programs.

use serde_json::{Value, json};

use super::facts::Facts;
use super::{Check, Status};
use crate::output::{Failure, Output};

/// The version of the JSON form, in its field `schema`.
const JSON_SCHEMA: u32 = 1;

/// The width of the column of names.
const NAME_WIDTH: usize = 22;

/// One line for each check, advice below it, and a line of totals.
pub(crate) fn text(facts: &Facts, checks: &[Check], output: &mut Output) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match facts.workers() {
        Some(workers) => output.text(format_args!("kcoro {version}: {workers} workers\n\n"))?,
        None => output.text(format_args!("kcoro {version}: a runtime does not start\n\n"))?,
    }
    for check in checks {
        let (word, color) = match check.status {
            Status::Ok => ("ok", "32"),
            Status::Warn => ("warn", "33"),
            Status::Fail => ("fail", "31"),
        };
        let Check { name, value, .. } = check;
        if output.colors() {
            output.text(format_args!("\x1b[{color}m{word:<6}\x1b[0m"))?;
        } else {
            output.text(format_args!("{word:<6}"))?;
        }
        output.text(format_args!("{name:<NAME_WIDTH$}{value}\n"))?;
        if let Some(advice) = &check.advice {
            output.text(format_args!("{:<width$}-> {advice}\n", "", width = 6 + NAME_WIDTH))?;
        }
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let (good, bad) = (count(Status::Ok), count(Status::Fail));
    let warned = count(Status::Warn);
    output.text(format_args!("\n{good} ok, {warned} to improve, {bad} failed\n"))
}

/// One JSON object on one line.
pub(crate) fn json(facts: &Facts, checks: &[Check], output: &mut Output) -> Result<(), Failure> {
    let check = |check: &Check| -> Value {
        let status = match check.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        let Check { name, value, advice, .. } = check;
        json!({ "name": name, "status": status, "value": value, "advice": advice })
    };
    let report = json!({
        "type": "doctor",
        "schema": JSON_SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "workers": facts.workers(),
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
    });
    output.text(format_args!("{report}\n"))
}
