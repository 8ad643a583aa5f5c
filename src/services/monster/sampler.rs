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
//! 3. Timestamps never go back within one sampler.
//!
//! # Who calls this, and what it may call
//!
//! One owner at a time, a thread or a coroutine. It blocks in the file system for the length of the
//! sweep and allocates only while the number of processes grows.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::proc_text::{parse_stat, parse_syscall};
use super::sample::Sample;
use crate::sys::proc_dir::{self, LISTING_BYTES, ProcDir};
use crate::sys::{limits, memory};

/// The longest `stat` line there can be: 52 numbers of 20 digits and a name of 64 bytes.
const STAT_BYTES: usize = 2048;

/// The limit of open files that most systems set, for when it cannot be read.
const OPEN_FILES_DEFAULT: usize = 1024;

/// The most files kept open, however high the limit of the process is.
const KEEP_OPEN_MAX: usize = 16 * 1024;

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
            dir,
            registers: self.registers,
            keep_open: self.keep_open.unwrap_or(half.min(KEEP_OPEN_MAX)),
            ns_per_tick: 1_000_000_000 / proc_dir::clock_ticks_per_second(),
            page_bytes: memory::page_size() as u64,
            started: Instant::now(),
            started_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            listing: vec![0; LISTING_BYTES],
            text: vec![0; STAT_BYTES],
            pids: Vec::new(),
            kept: Vec::new(),
            next: Vec::new(),
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
    dir: ProcDir,
    registers: Registers,
    keep_open: usize,
    ns_per_tick: u64,
    page_bytes: u64,
    started: Instant,
    started_unix: Duration,
    listing: Vec<u8>,
    text: Vec<u8>,
    pids: Vec<u32>,
    /// The files kept by the last sweep, sorted by pid.
    kept: Vec<(u32, File)>,
    /// The files that the sweep in progress keeps; empty between sweeps.
    next: Vec<(u32, File)>,
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
    /// # Errors
    ///
    /// The error of listing the directory. What goes wrong with a single process is counted in
    /// the [`Sweep`] instead.
    pub fn sweep(&mut self, samples: &mut Vec<Sample>) -> io::Result<Sweep> {
        let begin = Instant::now();
        samples.clear();
        let Sampler { dir, listing, pids, .. } = self;
        pids.clear();
        dir.list_numbers(listing, |pid| pids.push(pid))?;
        // The kernel lists pids in order already; another file system need not.
        self.pids.sort_unstable();

        let mut sweep = Sweep::default();
        let pids = std::mem::take(&mut self.pids);
        let mut kept = std::mem::take(&mut self.kept);
        let mut old = kept.drain(..).peekable();
        for &pid in &pids {
            while old.next_if(|(kept_pid, _)| *kept_pid < pid).is_some() {}
            let file = old.next_if(|(kept_pid, _)| *kept_pid == pid).map(|(_, file)| file);
            match self.sample(pid, file, &mut sweep) {
                Ok(Some(sample)) => samples.push(sample),
                Ok(None) => sweep.malformed += 1,
                Err(error) => count(&mut sweep, &error),
            }
        }
        drop(old);
        self.pids = pids;
        self.kept = std::mem::replace(&mut self.next, kept);
        sweep.sampled = samples.len();
        sweep.elapsed = begin.elapsed();
        Ok(sweep)
    }

    /// Reads one process, from `file` if it was kept open; `None` if it cannot be understood.
    fn sample(
        &mut self,
        pid: u32,
        file: Option<File>,
        sweep: &mut Sweep,
    ) -> io::Result<Option<Sample>> {
        let (file, length) = self.read_stat(pid, file)?;
        if self.next.len() < self.keep_open {
            self.next.push((pid, file));
        }
        let Some(stat) = parse_stat(&self.text[..length]) else { return Ok(None) };
        let since = self.started_unix + self.started.elapsed();
        let mut sample = Sample::new(pid, since.as_nanos() as u64);
        sample.command = stat.command;
        sample.state = stat.state;
        sample.cpu_time_ns = stat.cpu_ticks.saturating_mul(self.ns_per_tick);
        sample.memory_bytes = stat.resident_pages.saturating_mul(self.page_bytes);
        sample.stack_pointer = stat.stack_pointer;
        sample.instruction_pointer = stat.instruction_pointer;
        if self.registers == Registers::Syscall {
            self.read_registers(&mut sample, sweep);
        }
        Ok(Some(sample))
    }

    /// Fills `text` from the kept file, or from a fresh one if there is none or its process ended.
    fn read_stat(&mut self, pid: u32, file: Option<File>) -> io::Result<(File, usize)> {
        if let Some(file) = file
            && let Ok(length @ 1..) = file.read_at(&mut self.text, 0)
        {
            return Ok((file, length));
        }
        let file = self.open_file(pid, "stat")?;
        let length = file.read_at(&mut self.text, 0)?;
        Ok((file, length))
    }

    fn read_registers(&mut self, sample: &mut Sample, sweep: &mut Sweep) {
        let read =
            self.open_file(sample.pid, "syscall").and_then(|file| file.read_at(&mut self.text, 0));
        match read {
            Ok(length) => {
                if let Some((stack, instruction)) = parse_syscall(&self.text[..length]) {
                    sample.stack_pointer = Some(stack);
                    sample.instruction_pointer = Some(instruction);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                sweep.registers_denied += 1;
            }
            // The process ended after its stat was read: the sample stands without registers.
            Err(_) => {}
        }
    }

    /// Opens a file of a process; when descriptors run out, gives back half of those kept and tries
    /// once more.
    fn open_file(&mut self, pid: u32, name: &str) -> io::Result<File> {
        let mut path = [0; 32];
        let mut rest = &mut path[..];
        // 10 digits, a slash and the name leave room for the NUL, which `path` already holds.
        write!(rest, "{pid}/{name}")?;
        let path = std::ffi::CStr::from_bytes_until_nul(&path).map_err(io::Error::other)?;
        match self.dir.open_file(path) {
            Err(error) if proc_dir::out_of_descriptors(&error) && !self.next.is_empty() => {
                self.next.truncate(self.next.len() / 2);
                self.keep_open = self.next.len();
                self.dir.open_file(path)
            }
            result => result,
        }
    }
}

/// Files the error of one process under the right count.
fn count(sweep: &mut Sweep, error: &io::Error) {
    match error.kind() {
        io::ErrorKind::PermissionDenied => sweep.denied += 1,
        io::ErrorKind::NotFound => sweep.vanished += 1,
        _ if proc_dir::process_is_gone(error) => sweep.vanished += 1,
        _ => sweep.failed += 1,
    }
}
