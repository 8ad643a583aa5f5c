//! `kcoro monster demo`: real processes through pipes, and what became of them.
//!
//! | file      | owns                                                   |
//! |-----------|--------------------------------------------------------|
//! | `feed`    | where samples come from, and the recording             |
//! | `stages`  | the coroutines and how they end                        |
//! | `meter`   | counts and latencies of a hop                          |
//! | `tally`   | what the consumer makes of the samples                 |
//! | `view`    | progress as lines (pure)                               |
//! | `screen`  | lines that are drawn in place                          |
//! | `json`    | NDJSON lines (pure)                                    |
//! | `report`  | the end: summaries, table, books                       |
//!
//! The main thread shows, the runtime's workers work. A stop signal closes a channel that the
//! sampler listens on between ticks; the rest ends as at the end of the time.

mod feed;
mod json;
mod meter;
mod report;
mod screen;
mod stages;
mod tally;
mod view;

use std::time::{Duration, Instant};

use kcoro::Runtime;
use kcoro::error::RecvTimeoutError;
use kcoro::monster::Monster;
use kcoro::monster::status::{Coordinated, StatusLine};

use crate::args::{DemoOptions, Rate, StreamFormat};
use crate::output::{self, Failure, Output};
use crate::system::{self, StopSignals};
use feed::Feed;
use json::Object;
use report::Cost;
use screen::Screen;
use stages::{Outcome, Pace, Stages};
use view::Picture;

/// The exit code if the counts of the stages contradict each other.
const NOT_BALANCED: u8 = 4;

/// How long a live run takes if nothing else is asked for.
const SECONDS: f64 = 5.0;

/// How often a terminal is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// How often lines are written.
const LINE: Duration = Duration::from_secs(1);

/// How long the coroutines may take to end after the last sample; they need microseconds.
const END: Duration = Duration::from_secs(5);

/// Runs the demonstration; returns the exit code.
pub(crate) fn demo(options: &DemoOptions, output: &mut Output) -> Result<u8, Failure> {
    let feed = Feed::open(options).map_err(Failure::Other)?;
    let mut runtime = Runtime::builder().name("monster");
    if let Some(workers) = options.workers {
        runtime = runtime.workers(usize::from(workers));
    }
    let failed = |error: &dyn std::fmt::Display| Failure::Other(format!("cannot start: {error}"));
    let runtime = runtime.build().map_err(|error| failed(&error))?;
    let workers = runtime.metrics().workers;

    let live = options.replay.is_none();
    let seconds = options.seconds.or(live.then_some(SECONDS));
    let pace = Pace { rate: options.rate, limit: seconds.map(Duration::from_secs_f64) };
    let stages = Stages::start(&runtime, feed, pace).map_err(Failure::Other)?;
    let stop = stages.stop.clone();
    let signals = StopSignals::watch(move || {
        stop.close();
    });
    let signals = signals.map_err(|error| failed(&error))?;

    let mut show = Show::new(options, &stages, pace.limit, workers, output);
    let shown = show.run(output);
    let resident_early_kib = show.resident_early_kib;
    let outcome = match shown {
        Ok(outcome) => outcome,
        Err(failure) => {
            stages::abandon(&stages);
            return Err(failure);
        }
    };
    let cost = Cost {
        cpu: system::cpu_time(),
        resident_kib: system::resident_kib(),
        resident_early_kib,
        workers,
        coroutines: stages::COROUTINES,
    };
    drop(signals);
    report::print(options.format, &outcome, &stages.gauges, &cost, output)?;
    let report = runtime.shutdown(END);
    if !report.is_clean() {
        return Err(Failure::Other(format!("coroutines did not end: {report}")));
    }
    match &outcome.failure {
        _ if !report::is_balanced(&outcome) => Ok(NOT_BALANCED),
        None => Ok(crate::SUCCESS),
        Some(text) => {
            // What was written so far is worth having: it goes out before the message.
            output.flush()?;
            output::complain(&format!("kcoro: {text}\n"));
            Ok(crate::FAILURE)
        }
    }
}

/// Shows progress until the outcome is there.
struct Show<'a> {
    options: &'a DemoOptions,
    stages: &'a Stages,
    limit: Option<Duration>,
    workers: usize,
    /// In place on a terminal, otherwise line by line.
    screen: Option<Screen>,
    last_frame: Picture,
    last_line: Picture,
    resident_early_kib: Option<u64>,
}

impl<'a> Show<'a> {
    fn new(
        options: &'a DemoOptions,
        stages: &'a Stages,
        limit: Option<Duration>,
        workers: usize,
        output: &Output,
    ) -> Show<'a> {
        let in_place = options.format == StreamFormat::Text && output.can_redraw();
        Show {
            options,
            stages,
            limit,
            workers,
            screen: in_place.then(Screen::default),
            last_frame: Picture::default(),
            last_line: Picture::default(),
            resident_early_kib: None,
        }
    }

    fn run(&mut self, output: &mut Output) -> Result<Outcome, Failure> {
        self.start(output)?;
        let began = self.stages.gauges.began;
        let (mut redraw, mut line) = (began + REDRAW, began + LINE);
        loop {
            let next = if self.screen.is_some() { redraw.min(line) } else { line };
            match self.stages.done.recv_deadline(next) {
                Ok(outcome) => {
                    if let Some(screen) = &mut self.screen {
                        screen.clear(output)?;
                    }
                    return Ok(outcome);
                }
                Err(RecvTimeoutError::Closed) => {
                    return Err(Failure::Other("a stage has panicked".to_owned()));
                }
                Err(_) => {}
            }
            let now = Instant::now();
            if now >= line {
                self.each_second(output)?;
                line = after(line, LINE, now);
            }
            if now >= redraw {
                self.redraw(output)?;
                redraw = after(redraw, REDRAW, now);
            }
        }
    }

    fn picture(&self) -> Picture {
        Picture::take(&self.stages.gauges, self.limit, self.workers)
    }

    fn start(&self, output: &mut Output) -> Result<(), Failure> {
        if self.options.format == StreamFormat::Text {
            return Ok(());
        }
        let rate = match self.options.rate {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Max => None,
        };
        let start = Object::new("start")
            .string("version", env!("CARGO_PKG_VERSION"))
            .string("source", if self.options.replay.is_some() { "recording" } else { "proc" })
            .option("rate_hz", rate)
            .option("limit_s", self.limit.map(|limit| limit.as_secs_f64()))
            .plain("workers", self.workers);
        output.text(start.line())?;
        output.flush()
    }

    fn redraw(&mut self, output: &mut Output) -> Result<(), Failure> {
        let picture = self.picture();
        if let Some(screen) = &mut self.screen {
            let size = system::terminal_size().unwrap_or((80, 24));
            screen.draw(&picture.frame(&self.last_frame, size, output.colors()), output)?;
        }
        // Rates are those of the last half second, so that the digits can be read.
        if picture.at.saturating_sub(self.last_frame.at) >= 5 * REDRAW {
            self.last_frame = picture;
        }
        Ok(())
    }

    fn each_second(&mut self, output: &mut Output) -> Result<(), Failure> {
        if self.resident_early_kib.is_none() {
            self.resident_early_kib = system::resident_kib();
        }
        let picture = self.picture();
        if let Some(screen) = &mut self.screen {
            if self.options.status {
                screen.clear(output)?;
            }
        } else if self.options.format == StreamFormat::Text {
            output.text(format_args!("{}\n", picture.line(&self.last_line)))?;
        } else {
            output.text(progress(&picture))?;
        }
        if self.options.status {
            let rounds = self.stages.gauges.take_log();
            status(&self.stages.monster, &rounds, self.options.format, output)?;
        }
        self.last_line = picture;
        output.flush()
    }
}

/// The first tick of this period after `now`.
fn after(tick: Instant, period: Duration, now: Instant) -> Instant {
    let next = tick + period;
    if next > now { next } else { now + period }
}

fn progress(picture: &Picture) -> String {
    Object::new("progress")
        .float("elapsed_s", picture.at.as_secs_f64())
        .plain("sweeps", picture.sweeps)
        .plain("ticks_missed", picture.missed)
        .plain("processes", picture.processes)
        .plain("written", picture.written[0])
        .plain("dropped", picture.dropped)
        .plain("filter_read", picture.read[0])
        .plain("filter_wrote", picture.written[1])
        .plain("consumed", picture.read[1])
        .list("depth", &[picture.depth(0), picture.depth(1)])
        .plain("coordinated", picture.coordinated)
        .plain("rounds", picture.rounds)
        .line()
}

/// The contract's views: every pipe, every wait state that lives, the last coordinations.
fn status(
    monster: &Monster,
    log: &[Coordinated],
    format: StreamFormat,
    output: &mut Output,
) -> Result<(), Failure> {
    let (pipes, waits) = (monster.pipes_status(), monster.waits_status());
    let lines = pipes.iter().map(|line| line as &dyn StatusLine);
    let lines = lines.chain(waits.iter().map(|line| line as &dyn StatusLine));
    for line in lines.chain(log.iter().map(|line| line as &dyn StatusLine)) {
        match format {
            StreamFormat::Text => output.text(format_args!("{line}\n"))?,
            StreamFormat::Ndjson => output.text(json::status(line))?,
        }
    }
    Ok(())
}
