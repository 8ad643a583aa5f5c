//! The end of the demonstration: the lines of the roles, the table of latencies, the books.
//!
//! # Invariants
//!
//! 1. The books compare counts of different parties. A report whose books do not add up says so,
//!    and the program ends with an exit code of its own.
//!
//! # Who calls this, and what it may call
//!
//! The main thread, after the stages have ended.

use std::time::Duration;

use super::json::{self, Object};
use super::meter::Histogram;
use super::stages::{Gauges, Outcome};
use super::tally::Busy;
use super::view::{Grouped, Short};
use crate::args::StreamFormat;
use crate::output::{Failure, Output};

/// What the run has cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) cpu: Duration,
    pub(super) resident_kib: Option<u64>,
    pub(super) resident_early_kib: Option<u64>,
    pub(super) workers: usize,
    pub(super) coroutines: u64,
}

/// One comparison of two counts.
struct Account {
    name: &'static str,
    left: u64,
    right: u64,
}

/// What must be equal.
fn books(outcome: &Outcome) -> [Account; 6] {
    let Outcome { wrote, dropped, filter_read, filter_wrote, held_back, .. } = *outcome;
    let account = |name, left, right| Account { name, left, right };
    [
        account("sampled = written + dropped", outcome.sweeps.sampled, wrote + dropped),
        account("written to pipe 0 = read by the filter", wrote, filter_read),
        account(
            "read by the filter = passed on + held back",
            filter_read,
            filter_wrote + held_back,
        ),
        account("written to pipe 1 = read by the consumer", filter_wrote, outcome.consumer_read),
        account(
            "read by the consumer = samples of all shards",
            outcome.consumer_read,
            outcome.shards.iter().sum(),
        ),
        account("coordinated = woken apps", outcome.coordinated, outcome.woken),
    ]
}

/// Whether all counts add up.
pub(super) fn is_balanced(outcome: &Outcome) -> bool {
    books(outcome).iter().all(|account| account.left == account.right)
}

/// One row of the table.
struct Row<'a> {
    name: &'static str,
    key: &'static str,
    histogram: &'a Histogram,
    count: u64,
}

fn rows<'a>(outcome: &Outcome, gauges: &'a Gauges) -> [Row<'a>; 4] {
    let [first, second] = &gauges.hops;
    let row = |name, key, histogram, count| Row { name, key, histogram, count };
    [
        row("pipe 0", "pipe_0", &first.latency, outcome.filter_read),
        row("pipe 1", "pipe_1", &second.latency, outcome.consumer_read),
        row("both pipes", "both_pipes", &second.since_entry, outcome.consumer_read),
        row("sweep", "sweep", &gauges.sweep_time, outcome.sweeps.count),
    ]
}

/// Prints the report.
pub(super) fn print(
    format: StreamFormat,
    outcome: &Outcome,
    gauges: &Gauges,
    cost: &Cost,
    output: &mut Output,
) -> Result<(), Failure> {
    let roles = [outcome.producer, outcome.filter, outcome.consumer];
    let roles = roles.iter().chain(&outcome.coordinators);
    match format {
        StreamFormat::Text => {
            for summary in roles {
                output.text(format_args!("{summary}\n"))?;
            }
            text(outcome, gauges, cost, output)
        }
        StreamFormat::Ndjson => {
            for summary in roles {
                output.text(json::status(summary))?;
            }
            ndjson(outcome, gauges, cost, output)
        }
    }
}

fn text(
    outcome: &Outcome,
    gauges: &Gauges,
    cost: &Cost,
    output: &mut Output,
) -> Result<(), Failure> {
    let seconds = outcome.took.as_secs_f64();
    output.text("\nlatency            p50        p99        max    per second\n")?;
    for Row { name, histogram, count, .. } in rows(outcome, gauges) {
        let quantile = |share| Short(histogram.quantile(share).unwrap_or_default());
        let (p50, p99, max) = (quantile(0.5), quantile(0.99), Short(histogram.max()));
        let rate = count as f64 / seconds;
        let rate =
            if rate < 1000.0 { format!("{rate:.1}") } else { Grouped(rate as u64).to_string() };
        output.text(format_args!("{name:<11} {p50:>10} {p99:>10} {max:>10} {rate:>13}\n"))?;
    }
    output.text("\n")?;
    let broken: Vec<_> = books(outcome).into_iter().filter(|a| a.left != a.right).collect();
    let Outcome { wrote, dropped, filter_read, filter_wrote, held_back, .. } = outcome;
    let sampled = outcome.sweeps.sampled;
    output.text(format_args!(
        "Counts: sampled {sampled} = written {wrote} + dropped {dropped}; filter read \
         {filter_read} = passed on {filter_wrote} + held back {held_back}; woken apps {} = \
         coordinated {}: {}\n",
        outcome.woken,
        outcome.coordinated,
        if broken.is_empty() { "they add up" } else { "THEY DO NOT ADD UP" }
    ))?;
    for Account { name, left, right } in broken {
        output.text(format_args!("  wrong: {name}: {left} and {right}\n"))?;
    }
    let sweeps = &outcome.sweeps;
    output.text(format_args!(
        "Sweeps: {} with at most {} processes, {} ticks missed; {} processes vanished, {} not \
         permitted, {} not understood, {} failed, {} registers not permitted\n",
        sweeps.count,
        sweeps.most_processes,
        sweeps.missed,
        sweeps.vanished,
        sweeps.denied,
        sweeps.malformed,
        sweeps.failed,
        sweeps.registers_denied
    ))?;
    output.text(format_args!(
        "Cost: {:.2} s of CPU time in {seconds:.2} s ({:.0} % of one core), {} workers, {} \
         coroutines",
        cost.cpu.as_secs_f64(),
        cost.cpu.as_secs_f64() / seconds * 100.0,
        cost.workers,
        cost.coroutines
    ))?;
    if let Some(resident) = cost.resident_kib {
        output.text(format_args!(", {} KiB resident", Grouped(resident)))?;
    }
    if let Some(early) = cost.resident_early_kib {
        output.text(format_args!(" ({} after a second)", Grouped(early)))?;
    }
    for (index, Busy { pid, command, percent }) in outcome.busiest.iter().enumerate() {
        let before = if index == 0 { "\nBusiest: " } else { ", " };
        output.text(format_args!("{before}{command} ({pid}) {percent:.0} % of a core"))?;
    }
    output.text("\n")
}

fn ndjson(
    outcome: &Outcome,
    gauges: &Gauges,
    cost: &Cost,
    output: &mut Output,
) -> Result<(), Failure> {
    let seconds = outcome.took.as_secs_f64();
    for Row { key, histogram, count, .. } in rows(outcome, gauges) {
        let ns = |share| histogram.quantile(share).map(|duration| duration.as_nanos());
        let line = Object::new("latency")
            .string("hop", key)
            .option("p50_ns", ns(0.5))
            .option("p99_ns", ns(0.99))
            .option("max_ns", (count > 0).then(|| histogram.max().as_nanos()))
            .plain("count", count)
            .float("per_second", count as f64 / seconds);
        output.text(line.line())?;
    }
    for Busy { pid, command, percent } in &outcome.busiest {
        let line = Object::new("busy").plain("pid", pid).string("command", &command.to_string());
        output.text(line.float("percent", *percent).line())?;
    }
    let sweeps = &outcome.sweeps;
    let end = Object::new("end")
        .float("elapsed_s", seconds)
        .plain("sweeps", sweeps.count)
        .plain("ticks_missed", sweeps.missed)
        .plain("processes_most", sweeps.most_processes)
        .plain("sampled", sweeps.sampled)
        .plain("vanished", sweeps.vanished)
        .plain("denied", sweeps.denied)
        .plain("malformed", sweeps.malformed)
        .plain("failed", sweeps.failed)
        .plain("registers_denied", sweeps.registers_denied)
        .plain("written", outcome.wrote)
        .plain("dropped", outcome.dropped)
        .plain("filter_read", outcome.filter_read)
        .plain("filter_wrote", outcome.filter_wrote)
        .plain("held_back", outcome.held_back)
        .plain("consumed", outcome.consumer_read)
        .list("shards", &outcome.shards)
        .plain("coordinated", outcome.coordinated)
        .plain("woken", outcome.woken)
        .plain("balanced", is_balanced(outcome))
        .float("cpu_s", cost.cpu.as_secs_f64())
        .option("resident_kib", cost.resident_kib)
        .option("resident_early_kib", cost.resident_early_kib)
        .plain("workers", cost.workers)
        .plain("coroutines", cost.coroutines);
    output.text(end.line())
}
