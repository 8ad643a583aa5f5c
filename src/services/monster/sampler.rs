//! The sampler: one [`Sample`] for each process, from the real `/proc`, a hundred times a second.
//!
//! What a sweep costs is opening and reading one `stat` file per process. A `stat` that stays open
//! and is read again at offset 0 costs half of one that is opened each time (here 4.2 us against
//! 8.4 us on `/proc`, 0.9 us against 3.5 us on a plain file system), so the sampler keeps files
//! open, up to a limit that leaves the program half of its descriptors; processes beyond the limit
//! are opened each time. A file that is kept open belongs to one process for good: when that has
//! ended, reading gives an error even if its pid has been given to another.
//!
//! # Invariants
//!
//! 1. Each process that the listing shows is counted in exactly one field of [`Sweep`].
//! 2. `kept` is sorted by pid and holds at most `keep_open` files.
//! 3. Timestamps never go back from one sweep to the next, nor within one part of a sweep.
//!
//! # Who calls this, and what it may call
//!
//! One owner at a time, a thread or a coroutine. It blocks in the file system for the length of the
//! sweep and allocates only while the number of processes grows.

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::reader::{Kept, Part, Reader};
use super::sample::Sample;
use crate::sched::join;
use crate::sys::proc_dir::{self, LISTING_BYTES, ProcDir};
use crate::sys::{limits, memory};

/// The limit of open files that most systems set, for when it cannot be read.
const OPEN_FILES_DEFAULT: usize = 1024;

/// The most files kept open, however high the limit of the process is.
const KEEP_OPEN_MAX: usize = 16 * 1024;

/// How many processes make a part that is worth another worker's while: a millisecond's work.
const PART_PROCESSES: usize = 256;

/// The most parts of a sweep.
const PARTS_MAX: usize = 64;

/// Where the instruction and the stack pointer come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Registers {
    /// From the `stat` file: it is free, but the kernel shows them there only while a process dumps
    /// core.
    #[default]
    Stat,
    /// From the `syscall` file: a second file per process, readable for one's own processes or
    /// with the right to trace, and empty for a process that runs at that moment.
    Syscall,
}

/// What one sweep over all processes saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sweep {
    /// Samples taken.
    pub sampled: usize,
    /// Processes that ended between the listing and the reading; skipped.
    pub vanished: usize,
    /// Processes whose `stat` may not be read; skipped.
    pub denied: usize,
    /// Processes whose `stat` could not be understood; skipped.
    pub malformed: usize,
    /// Processes that could not be read for another reason, such as too many open files; skipped.
    pub failed: usize,
    /// Samples without registers because the `syscall` file may not be read.
    pub registers_denied: usize,
    /// How long the sweep took.
    pub elapsed: Duration,
}

impl Sweep {
    /// Processes that the listing showed.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.sampled + self.vanished + self.denied + self.malformed + self.failed
    }

    /// Adds the counts of a part, but for the samples.
    fn add(&mut self, part: &Sweep) {
        self.vanished += part.vanished;
        self.denied += part.denied;
        self.malformed += part.malformed;
        self.failed += part.failed;
        self.registers_denied += part.registers_denied;
    }
}

/// Configures a [`Sampler`].
#[derive(Debug, Clone)]
pub struct SamplerBuilder {
    root: PathBuf,
    registers: Registers,
    keep_open: Option<usize>,
}

impl SamplerBuilder {
    /// Where the instruction and stack pointers come from; [`Registers::Stat`] if not called.
    #[must_use]
    pub fn registers(mut self, registers: Registers) -> SamplerBuilder {
        self.registers = registers;
        self
    }

    /// How many files to keep open between sweeps; half of the process's limit if not called.
    #[must_use]
    pub fn keep_open(mut self, files: usize) -> SamplerBuilder {
        self.keep_open = Some(files);
        self
    }

    /// Opens the directory and makes the sampler.
    ///
    /// # Errors
    ///
    /// The error of opening or listing the root, which the message names.
    pub fn build(self) -> io::Result<Sampler> {
        let dir = ProcDir::open(&self.root).map_err(|error| {
            let text = format!("cannot list processes in {}: {error}", self.root.display());
            io::Error::new(error.kind(), text)
        })?;
        let half = limits::open_files().unwrap_or(OPEN_FILES_DEFAULT) / 2;
        Ok(Sampler {
            reader: Reader {
                dir,
                registers: self.registers,
                ns_per_tick: 1_000_000_000 / proc_dir::clock_ticks_per_second(),
                page_bytes: memory::page_size() as u64,
                started: Instant::now(),
                started_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            },
            keep_open: self.keep_open.unwrap_or(half.min(KEEP_OPEN_MAX)),
            listing: vec![0; LISTING_BYTES],
            pids: Vec::new(),
            kept: Vec::new(),
            parts: Vec::new(),
        })
    }
}

/// Samples all processes below a `/proc` directory.
///
/// # Examples
///
/// ```
/// use kcoro::monster::{Registers, Sampler};
///
/// let mut sampler = Sampler::builder("/proc").registers(Registers::Syscall).build()?;
/// let mut samples = Vec::new();
/// let sweep = sampler.sweep(&mut samples)?;
/// println!("{} processes in {:?}", sweep.sampled, sweep.elapsed);
/// assert!(samples.iter().any(|sample| sample.pid == std::process::id()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Sampler {
    reader: Reader,
    keep_open: usize,
    listing: Vec<u8>,
    pids: Vec<u32>,
    /// The files kept by the last sweep, sorted by pid.
    kept: Vec<Kept>,
    /// Empty between sweeps.
    parts: Vec<Part>,
}

impl Sampler {
    /// A sampler of the processes below `root`, usually `/proc`, with the defaults.
    ///
    /// # Errors
    ///
    /// As for [`SamplerBuilder::build`].
    pub fn open(root: impl AsRef<Path>) -> io::Result<Sampler> {
        Sampler::builder(root).build()
    }

    /// A builder for a sampler of the processes below `root`.
    pub fn builder(root: impl AsRef<Path>) -> SamplerBuilder {
        let root = root.as_ref().to_path_buf();
        SamplerBuilder { root, registers: Registers::default(), keep_open: None }
    }

    /// Samples every process once, in order of pid, into `samples`, which is cleared first.
    ///
    /// Many processes are sampled in parts, by [`join`]: in a coroutine, workers that have nothing
    /// else to do help.
    ///
    /// # Errors
    ///
    /// The error of listing the directory. What goes wrong with a single process is counted in
    /// the [`Sweep`] instead.
    pub fn sweep(&mut self, samples: &mut Vec<Sample>) -> io::Result<Sweep> {
        let begin = Instant::now();
        samples.clear();
        let Sampler { reader, listing, pids, parts, kept, keep_open } = self;
        pids.clear();
        reader.dir.list_numbers(listing, |pid| pids.push(pid))?;
        // The kernel lists pids in order already; another file system need not.
        pids.sort_unstable();

        let count = (pids.len() / PART_PROCESSES).clamp(1, PARTS_MAX);
        parts.resize_with(count, Part::new);
        let quota = *keep_open / count;
        parts.iter_mut().for_each(|part| part.quota = quota);
        run(reader, pids, kept, parts);

        let mut sweep = Sweep::default();
        kept.clear();
        for part in parts.iter_mut() {
            sweep.add(&std::mem::take(&mut part.sweep));
            samples.append(&mut part.samples);
            kept.append(&mut part.kept);
        }
        if parts.iter().any(|part| part.quota < quota) {
            *keep_open = parts.iter().map(|part| part.quota).sum();
        }
        sweep.sampled = samples.len();
        sweep.elapsed = begin.elapsed();
        Ok(sweep)
    }
}

/// Runs all parts, halves side by side.
fn run(reader: &Reader, pids: &[u32], kept: &mut [Kept], parts: &mut [Part]) {
    if let [part] = parts {
        return part.run(reader, pids, kept);
    }
    let middle = parts.len() / 2;
    let (low_pids, high_pids) = pids.split_at(pids.len() * middle / parts.len());
    let first = high_pids.first().copied().unwrap_or(u32::MAX);
    let (low_kept, high_kept) = kept.split_at_mut(kept.partition_point(|kept| kept.pid < first));
    let (low_parts, high_parts) = parts.split_at_mut(middle);
    join(
        || run(reader, low_pids, low_kept, low_parts),
        || run(reader, high_pids, high_kept, high_parts),
    );
}
