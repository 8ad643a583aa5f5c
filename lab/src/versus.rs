//! Comparisons with other libraries: one case, several peers, each sample in a process of its own.
//!
//! A benchmark lists its [`Case`]s and calls [`main`]. The program runs itself again for each
//! sample (`--case CASE --peer PEER`), so that no peer's threads, heap or caches stand in another's
//! way; the samples of a case take turns, so that a busy machine disturbs all peers alike. A sample is
//! the best of several slices; the best of the samples is the figure, their median shows the noise,
//! and the ratio is that of the bests.
//!
//! ```text
//! cargo bench -p kcoro-lab --bench versus_runtime -- [--only CASE[,CASE]] [--rounds N] [--quick]
//! cargo bench -p kcoro-lab --bench versus_runtime -- --list
//! ```
//!
//! Without `--bench`, as under `cargo test --benches`, our own side of each case runs once, briefly.

mod driver;
mod go;
mod report;
mod system;

pub use driver::main;
pub use system::{CpuTime, last_cpu, pin, pin_to};

use std::time::{Duration, Instant};

/// Our own name in the tables.
pub const OWN: &str = "kcoro";

/// How much of a peer's work a sample does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As the tables want it.
    Full,
    /// Some tenths of a second a sample.
    Quick,
    /// As short as it can be: is the case sound?
    Brief,
}

/// Which CPUs the process of a sample may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpus {
    /// The last one of those that are allowed: everything on one worker.
    One,
    /// All that are allowed.
    All,
}

/// One workload and those who do it.
#[derive(Debug)]
pub struct Case {
    /// What `--only` and `--case` call it.
    pub name: String,
    /// What one step is.
    pub step: &'static str,
    /// CPUs of a sample's process.
    pub cpus: Cpus,
    /// Who does the work; our own side is called [`OWN`] or begins with it.
    pub peers: Vec<Peer>,
    /// What is to be reached.
    pub goals: Vec<Goal>,
}

impl Case {
    /// A case without peers and goals.
    #[must_use]
    pub fn new(name: impl Into<String>, step: &'static str, cpus: Cpus) -> Case {
        Case { name: name.into(), step, cpus, peers: Vec::new(), goals: Vec::new() }
    }

    /// Adds a peer of this program.
    #[must_use]
    pub fn peer(mut self, name: &'static str, work: impl Fn(&mut Sample) + 'static) -> Case {
        self.peers.push(Peer { name, work: Work::Here(Box::new(work)) });
        self
    }

    /// Adds the Go program with these arguments, if Go is installed.
    #[must_use]
    pub fn go(mut self, arguments: &[&str]) -> Case {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.peers.push(Peer { name: "go", work: Work::Go(arguments) });
        self
    }

    /// Adds a goal for our own side.
    #[must_use]
    pub fn goal(mut self, metric: &'static str, bound: Bound) -> Case {
        self.goals.push(Goal { metric, bound });
        self
    }
}

/// Someone who does a case's work.
#[derive(Debug)]
pub struct Peer {
    /// What `--peer` calls it.
    pub name: &'static str,
    /// The work.
    pub work: Work,
}

/// How a peer's work is started.
pub enum Work {
    /// In this program.
    Here(Box<dyn Fn(&mut Sample)>),
    /// By the Go program, with these arguments.
    Go(Vec<String>),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Work::Here(_) => f.write_str("Here"),
            Work::Go(arguments) => f.debug_tuple("Go").field(arguments).finish(),
        }
    }
}

/// A figure that our own side is to reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The metric it is about.
    pub metric: &'static str,
    /// How far.
    pub bound: Bound,
}

/// What is asked of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// This or better, on the machine that the goals were set for.
    Here(f64),
    /// This multiple of the peer's figure of the same run, or better.
    Of(&'static str, f64),
    /// Better than every peer.
    Ahead,
}

/// What a process that takes a sample writes down.
#[derive(Debug)]
pub struct Sample {
    size: Size,
    cpus: Cpus,
}

impl Sample {
    /// A sample of this size, on these CPUs.
    #[must_use]
    pub fn new(size: Size, cpus: Cpus) -> Sample {
        Sample { size, cpus }
    }

    /// `full` of a full sample, less of a smaller one.
    #[must_use]
    pub fn scale(&self, full: usize) -> usize {
        match self.size {
            Size::Full => full,
            Size::Quick => (full / 10).max(1),
            Size::Brief => (full / 1000).max(4),
        }
    }

    /// One of three, by the size of the sample.
    #[must_use]
    pub fn pick<T>(&self, full: T, quick: T, brief: T) -> T {
        match self.size {
            Size::Full => full,
            Size::Quick => quick,
            Size::Brief => brief,
        }
    }

    /// Writes a figure down. Units that end in `/s` and `x` are the better the more.
    pub fn figure(&mut self, metric: &str, value: f64, unit: &str) {
        println!("{metric} {value} {unit}");
    }

    /// Finds a number of steps that takes long enough, measures it several times, and returns the
    /// least time of a step in nanoseconds.
    ///
    /// `run` does as many steps as it is told, a multiple of 16, and returns the time that they took.
    /// On one CPU the slices are short, so that on a busy machine some are not interrupted; on two
    /// they are long, because the second worker takes a while to join in.
    pub fn time(&self, mut run: impl FnMut(usize) -> Duration) -> f64 {
        if self.size == Size::Brief {
            return run(64).as_nanos() as f64 / 64.0;
        }
        let (aim, slices) = match self.cpus {
            Cpus::One => (4e6, self.pick(60, 15, 1)),
            Cpus::All => (self.pick(60e6, 15e6, 1e6), self.pick(5, 3, 1)),
        };
        let mut steps = 1024usize;
        let first = loop {
            let taken = run(steps).as_nanos() as f64;
            if taken > aim / 10.0 {
                break taken;
            }
            steps *= if taken < aim / 100.0 { 8 } else { 4 };
        };
        let steps = ((steps as f64 * aim / first) as usize).max(16) & !15;
        let mut least = f64::MAX;
        for _ in 0..slices {
            least = least.min(run(steps).as_nanos() as f64 / steps as f64);
        }
        least
    }

    /// [`time`](Sample::time), written down as `time` in nanoseconds.
    pub fn steps(&mut self, run: impl FnMut(usize) -> Duration) {
        let least = self.time(run);
        self.figure("time", least, "ns");
    }

    /// [`time`](Sample::time), written down as `rate` in millions of steps a second.
    pub fn rate(&mut self, run: impl FnMut(usize) -> Duration) {
        let least = self.time(run);
        self.figure("rate", 1e3 / least, "M/s");
    }
}

/// The time that `f` takes.
pub fn elapsed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

/// The value below which `share` of the sorted values lie.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// A cheap scramble of a number, so that deadlines and costs do not come in order.
#[must_use]
pub fn scramble(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}
