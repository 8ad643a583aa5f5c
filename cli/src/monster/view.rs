//! What is shown while the demonstration runs: a picture of the gauges, as lines.
//!
//! Pure: numbers in, text out. A frame fits any terminal, however small: it is cut to the width
//! and, from the least important line on, to the height.
//!
//! # Who calls this, and what it may call
//!
//! The main thread, a few times a second.

use std::fmt::{self, Write};
use std::time::Duration;

use kcoro::monster::{RING_CAPACITY, SHARD_COUNT};

use super::meter::read;
use super::stages::Gauges;
use super::tally::Busy;

/// The width of the column of labels.
const LABEL: usize = 11;
const BAR: usize = 20;

/// The gauges at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    pub(super) at: Duration,
    pub(super) limit: Option<Duration>,
    pub(super) workers: usize,
    pub(super) sweeps: u64,
    pub(super) missed: u64,
    pub(super) processes: u64,
    pub(super) sweep_p50: Option<Duration>,
    pub(super) sweep_max: Duration,
    pub(super) written: [u64; 2],
    pub(super) read: [u64; 2],
    pub(super) dropped: u64,
    pub(super) p50: [Option<Duration>; 2],
    pub(super) p99: [Option<Duration>; 2],
    pub(super) coordinated: u64,
    pub(super) rounds: u64,
    pub(super) shards: [u64; SHARD_COUNT],
    pub(super) busiest: Vec<Busy>,
}

impl Picture {
    /// Reads the gauges. The reader of a pipe is asked first, so that no depth is below zero.
    pub(super) fn take(gauges: &Gauges, limit: Option<Duration>, workers: usize) -> Picture {
        let read_counts = [0, 1].map(|hop: usize| read(&gauges.hops[hop].read));
        let latency = |share| [0, 1].map(|hop: usize| gauges.hops[hop].latency.quantile(share));
        Picture {
            at: gauges.began.elapsed(),
            limit,
            workers,
            sweeps: read(&gauges.sweeps),
            missed: read(&gauges.missed),
            processes: read(&gauges.processes),
            sweep_p50: gauges.sweep_time.quantile(0.5),
            sweep_max: gauges.sweep_time.max(),
            written: [0, 1].map(|hop: usize| read(&gauges.hops[hop].written)),
            read: read_counts,
            dropped: read(&gauges.dropped),
            p50: latency(0.5),
            p99: latency(0.99),
            coordinated: read(&gauges.coordinated),
            rounds: read(&gauges.rounds),
            shards: gauges.tally.shards(),
            busiest: gauges.tally.busiest(),
        }
    }

    /// Samples in a pipe.
    pub(super) fn depth(&self, hop: usize) -> u64 {
        // A reader counts after it has read, a writer before the next write: by one at most too few.
        self.written[hop].saturating_sub(self.read[hop]).min(RING_CAPACITY as u64)
    }

    /// How much per second a count has grown since `before`.
    fn rate(&self, before: &Picture, count: impl Fn(&Picture) -> u64) -> f64 {
        let seconds = self.at.saturating_sub(before.at).as_secs_f64();
        let grown = count(self).saturating_sub(count(before));
        if seconds > 0.0 { grown as f64 / seconds } else { 0.0 }
    }

    /// The line for a stream that is not a terminal.
    pub(super) fn line(&self, before: &Picture) -> String {
        let seconds = self.at.as_secs_f64();
        let sweeps = self.rate(before, |picture| picture.sweeps);
        let samples = self.rate(before, |picture| picture.read[1]);
        let mut line = format!(
            "{seconds:6.1} s: {} processes, {sweeps:.1} sweeps/s, {} samples/s through both pipes",
            Grouped(self.processes),
            Grouped(samples.round() as u64)
        );
        for hop in [0, 1] {
            let p99 = Short(self.p99[hop].unwrap_or_default());
            let _ = write!(line, ", pipe {hop}: {} deep, p99 {p99}", Grouped(self.depth(hop)));
        }
        let _ = write!(line, ", dropped {}, coordinated {}", self.dropped, self.coordinated);
        line
    }

    /// The lines for a terminal of this size. Without room for all, one line with the essence.
    pub(super) fn frame(
        &self,
        before: &Picture,
        size: (usize, usize),
        colors: bool,
    ) -> Vec<String> {
        let (width, height) = size;
        let mut lines = self.lines(before);
        // The cursor rests on the line below, and the last column stays free, so nothing wraps.
        if height <= lines.len() {
            let samples = self.rate(before, |picture| picture.read[1]).round() as u64;
            let text = format!("{:.1} s  {} samples/s", self.at.as_secs_f64(), Grouped(samples));
            lines = vec![("monster", text)];
        }
        lines.into_iter().map(|(label, text)| fitted(label, &text, width, colors)).collect()
    }

    fn lines(&self, before: &Picture) -> Vec<(&'static str, String)> {
        let rate = |count: fn(&Picture) -> u64| Grouped(self.rate(before, count).round() as u64);
        let time = match self.limit {
            Some(limit) => {
                let done = self.at.as_secs_f64() / limit.as_secs_f64();
                let (at, limit) = (self.at.as_secs_f64(), limit.as_secs_f64());
                format!("{} {at:.1} of {limit:.1} s", Bar(done))
            }
            None => format!("{:.1} s", self.at.as_secs_f64()),
        };
        let sweeps = self.rate(before, |picture| picture.sweeps);
        let mut sampler = format!("{} processes at {sweeps:.1} Hz", Grouped(self.processes));
        let (p50, max) = (Short(self.sweep_p50.unwrap_or_default()), Short(self.sweep_max));
        let _ = write!(sampler, ", a sweep takes {p50}, at most {max}");
        if self.missed > 0 {
            let _ = write!(sampler, ", {} ticks missed", self.missed);
        }
        let pipe = |hop: usize| {
            let depth = self.depth(hop);
            let bar = Bar(depth as f64 / RING_CAPACITY as f64);
            let (p50, p99) = (self.p50[hop].unwrap_or_default(), self.p99[hop].unwrap_or_default());
            format!("{bar} {:>6} deep   p50 {}  p99 {}", Grouped(depth), Short(p50), Short(p99))
        };
        let (into, out) = (rate(|picture| picture.read[0]), rate(|picture| picture.written[1]));
        let waiting = super::stages::APPS_PER_SHARD * SHARD_COUNT;
        let mut busiest = String::new();
        for Busy { pid, command, percent } in &self.busiest {
            let _ = write!(busiest, "{command} ({pid}) {percent:.0} %   ");
        }
        vec![
            ("monster", format!("{time}   {} workers", self.workers)),
            ("sampler", sampler),
            ("pipe 0", pipe(0)),
            ("filter", format!("{into} samples/s in, {out} out")),
            ("pipe 1", pipe(1)),
            ("consumer", format!("{} samples/s", rate(|picture| picture.read[1]))),
            ("shards", Shares(&self.shards).to_string()),
            (
                "apps",
                format!("{waiting} waiting, {} woken in {} rounds", self.coordinated, self.rounds),
            ),
            ("dropped", self.dropped.to_string()),
            ("busiest", busiest),
        ]
    }
}

/// The line, cut to the width, its label in bold.
fn fitted(label: &str, text: &str, width: usize, colors: bool) -> String {
    let room = width.saturating_sub(1);
    let line: String = format!("{label:<LABEL$}{text}").chars().take(room).collect();
    let line = line.trim_end();
    if !colors {
        return line.to_owned();
    }
    let (label, text) = line.split_at(line.len().min(label.len()));
    format!("\x1b[1m{label}\x1b[0m{text}")
}

/// A bar for a share of the whole.
struct Bar(f64);

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = (self.0.clamp(0.0, 1.0) * BAR as f64).round() as usize;
        write!(f, "[{:#<filled$}{:.<rest$}]", "", "", rest = BAR - filled)
    }
}

/// What each shard has of all samples, in percent.
struct Shares<'a>(&'a [u64]);

impl fmt::Display for Shares<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().sum::<u64>().max(1) as f64;
        for count in self.0 {
            write!(f, "{:.0} ", *count as f64 / all * 100.0)?;
        }
        f.write_str("%")
    }
}

/// A number with a comma between groups of three digits.
pub(super) struct Grouped(pub(super) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// A duration with three digits and its unit.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos() as f64;
        let (value, unit) = match ns {
            0.0..1e3 => (ns, "ns"),
            1e3..1e6 => (ns / 1e3, "us"),
            1e6..1e9 => (ns / 1e6, "ms"),
            _ => (ns / 1e9, "s"),
        };
        let digits = if unit == "ns" || value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            2
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kcoro::monster::Command;

    fn picture() -> Picture {
        let busy = Busy { pid: 4711, command: Command::new(b"rustc"), percent: 97.3 };
        Picture {
            at: Duration::from_millis(2_500),
            limit: Some(Duration::from_secs(5)),
            workers: 2,
            sweeps: 250,
            processes: 304,
            written: [76_000, 60_000],
            read: [74_000, 60_000],
            p99: [Some(Duration::from_micros(123)); 2],
            coordinated: 90,
            rounds: 2,
            shards: [20_000; SHARD_COUNT],
            busiest: vec![busy],
            ..Picture::default()
        }
    }

    #[test]
    fn a_frame_fits_every_terminal() {
        for (width, height) in [(1, 1), (2, 2), (10, 3), (40, 10), (80, 24), (500, 100)] {
            for colors in [false, true] {
                let frame = picture().frame(&Picture::default(), (width, height), colors);
                assert!(frame.len() < height.max(2), "{width}x{height}: {}", frame.len());
                for line in frame {
                    let plain = line.replace("\x1b[1m", "").replace("\x1b[0m", "");
                    assert!(plain.chars().count() < width.max(1), "{width}x{height}: {line:?}");
                    assert_eq!(colors, line.contains('\x1b'), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn a_frame_of_usual_size_says_it_all() {
        let frame = picture().frame(&Picture::default(), (80, 24), false).join("\n");
        for words in [
            "[##########..........] 2.5 of 5.0 s   2 workers",
            "304 processes at 100.0 Hz",
            "pipe 0     [####................]  2,000 deep",
            "p99 123 us",
            "consumer   24,000 samples/s",
            "45 waiting, 90 woken in 2 rounds",
            "rustc (4711) 97 %",
        ] {
            assert!(frame.contains(words), "{words} in\n{frame}");
        }
    }

    #[test]
    fn a_line_says_the_same() {
        let line = picture().line(&Picture::default());
        let expected = "   2.5 s: 304 processes, 100.0 sweeps/s, 24,000 samples/s through both \
                        pipes, pipe 0: 2,000 deep, p99 123 us, pipe 1: 0 deep, p99 123 us, \
                        dropped 0, coordinated 90";
        assert_eq!(line, expected);
    }

    #[test]
    fn numbers_and_durations() {
        let grouped = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in grouped {
            assert_eq!(Grouped(number).to_string(), text);
        }
        let short = [(0, "0 ns"), (999, "999 ns"), (1_500, "1.50 us"), (12_340_000, "12.3 ms")];
        for (ns, text) in short {
            assert_eq!(Short(Duration::from_nanos(ns)).to_string(), text);
        }
        assert_eq!(Short(Duration::from_secs(120)).to_string(), "120 s");
    }
}
