//! Reads one part of all processes: what a [`Part`] does, another can do at the same time.
//!
//! # Invariants
//!
//! 1. Each pid of a part is counted in exactly one field of its [`Sweep`].
//! 2. A part keeps at most `quota` files open, sorted by pid.
//!
//! # Who calls this, and what it may call
//!
//! The sampler, from as many coroutines as there are parts. Blocks in the file system for the
//! length of a part; never suspends.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::proc_text::{parse_stat, parse_syscall};
use super::sample::Sample;
use super::sampler::{Registers, Sweep};
use crate::sys::proc_dir::{self, ProcDir};

/// The longest `stat` line there can be: 52 numbers of 20 digits and a name of 64 bytes.
const STAT_BYTES: usize = 2048;

/// The `stat` file of a process, kept open from one sweep to the next.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) pid: u32,
    /// `None` once the next sweep has taken it.
    file: Option<File>,
}

/// What all parts of a sweep share.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) dir: ProcDir,
    pub(super) registers: Registers,
    pub(super) ns_per_tick: u64,
    pub(super) page_bytes: u64,
    pub(super) started: Instant,
    /// `started` since the Unix epoch.
    pub(super) started_unix: Duration,
}

impl Reader {
    /// Nanoseconds since the Unix epoch, never going back.
    fn now_ns(&self) -> u64 {
        (self.started_unix + self.started.elapsed()).as_nanos() as u64
    }

    fn open_file(&self, pid: u32, name: &str) -> io::Result<File> {
        let mut path = [0; 32];
        let mut rest = &mut path[..];
        // 10 digits, a slash and the name leave room for the NUL, which `path` already holds.
        write!(rest, "{pid}/{name}")?;
        let path = std::ffi::CStr::from_bytes_until_nul(&path).map_err(io::Error::other)?;
        self.dir.open_file(path)
    }
}

/// A part of a sweep: what it reads with, and what it has found.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) samples: Vec<Sample>,
    pub(super) sweep: Sweep,
    /// The files it keeps for the next sweep.
    pub(super) kept: Vec<Kept>,
    /// How many it may keep; less than it was given if the system ran out.
    pub(super) quota: usize,
    text: Vec<u8>,
}

impl Part {
    pub(super) fn new() -> Part {
        Part {
            samples: Vec::new(),
            sweep: Sweep::default(),
            kept: Vec::new(),
            quota: 0,
            text: vec![0; STAT_BYTES],
        }
    }

    /// Samples these processes, in their order, from the files that are still open for them.
    pub(super) fn run(&mut self, reader: &Reader, pids: &[u32], kept: &mut [Kept]) {
        let mut old = kept.iter_mut().peekable();
        for &pid in pids {
            // A file whose process is no longer listed is of no use to anybody.
            while let Some(gone) = old.next_if(|kept| kept.pid < pid) {
                gone.file = None;
            }
            let file = old.next_if(|kept| kept.pid == pid).and_then(|kept| kept.file.take());
            match self.sample(reader, pid, file) {
                Ok(Some(sample)) => self.samples.push(sample),
                Ok(None) => self.sweep.malformed += 1,
                Err(error) => count(&mut self.sweep, &error),
            }
        }
    }

    /// Reads one process, from `file` if it was kept open; `None` if it cannot be understood.
    fn sample(
        &mut self,
        reader: &Reader,
        pid: u32,
        file: Option<File>,
    ) -> io::Result<Option<Sample>> {
        let (file, length) = self.read_stat(reader, pid, file)?;
        if self.kept.len() < self.quota {
            self.kept.push(Kept { pid, file: Some(file) });
        }
        let Some(stat) = parse_stat(&self.text[..length]) else { return Ok(None) };
        let mut sample = Sample::new(pid, reader.now_ns());
        sample.command = stat.command;
        sample.state = stat.state;
        sample.cpu_time_ns = stat.cpu_ticks.saturating_mul(reader.ns_per_tick);
        sample.memory_bytes = stat.resident_pages.saturating_mul(reader.page_bytes);
        sample.stack_pointer = stat.stack_pointer;
        sample.instruction_pointer = stat.instruction_pointer;
        if reader.registers == Registers::Syscall {
            self.read_registers(reader, &mut sample);
        }
        Ok(Some(sample))
    }

    /// Fills `text` from the kept file, or from a fresh one if there is none or its process ended.
    fn read_stat(
        &mut self,
        reader: &Reader,
        pid: u32,
        file: Option<File>,
    ) -> io::Result<(File, usize)> {
        if let Some(file) = file
            && let Ok(length @ 1..) = file.read_at(&mut self.text, 0)
        {
            return Ok((file, length));
        }
        let file = self.open_file(reader, pid, "stat")?;
        let length = file.read_at(&mut self.text, 0)?;
        Ok((file, length))
    }

    fn read_registers(&mut self, reader: &Reader, sample: &mut Sample) {
        let file = self.open_file(reader, sample.pid, "syscall");
        match file.and_then(|file| file.read_at(&mut self.text, 0)) {
            Ok(length) => {
                if let Some((stack, instruction)) = parse_syscall(&self.text[..length]) {
                    sample.stack_pointer = Some(stack);
                    sample.instruction_pointer = Some(instruction);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.sweep.registers_denied += 1;
            }
            // The process ended after its stat was read: the sample stands without registers.
            Err(_) => {}
        }
    }

    /// Opens a file of a process; when descriptors run out, gives back half of those kept and tries
    /// once more.
    fn open_file(&mut self, reader: &Reader, pid: u32, name: &str) -> io::Result<File> {
        match reader.open_file(pid, name) {
            Err(error) if proc_dir::out_of_descriptors(&error) && !self.kept.is_empty() => {
                self.kept.truncate(self.kept.len() / 2);
                self.quota = self.kept.len();
                reader.open_file(pid, name)
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
