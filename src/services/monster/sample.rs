//! One observation of one process: [`Sample`], and the two small types inside it.
//!
//! A sample is plain data of exactly one cache line. The command is held inline, because a million
//! samples a second must not mean a million allocations.
//!
//! # Invariants
//!
//! 1. `Sample` is `Copy` and 64 bytes long.
//! 2. A [`Command`] holds at most 15 bytes, all of them as the kernel gave them.

#![forbid(unsafe_code)]

use std::fmt;
use std::num::NonZeroU64;

use super::primes::ShardId;

/// The longest command name the kernel keeps for a process, in bytes.
pub(super) const COMMAND_MAX: usize = 15;

/// What was seen of one process at one moment.
///
/// # Examples
///
/// ```
/// use kcoro::monster::Sample;
///
/// let sample = Sample::new(4711, 1_000_000);
/// assert_eq!(sample.pid, 4711);
/// assert_eq!(size_of::<Sample>(), 64);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was seen: nanoseconds since the Unix epoch, never going back for one process.
    pub timestamp_ns: u64,
    /// User and system time the process has used so far, in nanoseconds, all threads together.
    pub cpu_time_ns: u64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// The instruction pointer in user space, where the kernel shows it.
    pub instruction_pointer: Option<NonZeroU64>,
    /// The stack pointer in user space, where the kernel shows it.
    pub stack_pointer: Option<NonZeroU64>,
    /// The process id.
    pub pid: u32,
    /// The name of the program, as the kernel keeps it.
    pub command: Command,
    /// What the process was doing.
    pub state: ProcessState,
    /// The shard of the process: `assign_shard(pid)`.
    pub shard: ShardId,
    /// The residue that the Hecke operator of the last filter gave, 0 to 70; `None` before any.
    hecke: Residue,
}

const _: () = assert!(size_of::<Sample>() == 64, "a sample is one cache line");

/// A residue modulo 71, or [`Residue::NONE`]: one byte where `Option<u8>` takes two.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Residue(u8);

impl Residue {
    const NONE: Residue = Residue(u8::MAX);
}

impl fmt::Debug for Residue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Residue::NONE { f.write_str("None") } else { write!(f, "{}", self.0) }
    }
}

impl Sample {
    /// A sample of `pid` with nothing else known; its shard is already assigned.
    #[must_use]
    pub fn new(pid: u32, timestamp_ns: u64) -> Sample {
        Sample {
            timestamp_ns,
            cpu_time_ns: 0,
            memory_bytes: 0,
            instruction_pointer: None,
            stack_pointer: None,
            pid,
            command: Command::default(),
            state: ProcessState::Other,
            shard: super::primes::assign_shard(u64::from(pid)),
            hecke: Residue::NONE,
        }
    }

    /// The residue that the last Hecke operator gave, 0 to 70; `None` if none was applied.
    #[must_use]
    pub fn hecke(&self) -> Option<u64> {
        (self.hecke != Residue::NONE).then_some(u64::from(self.hecke.0))
    }

    /// Applies the Hecke operator with `index` to the last residue, or to the pid if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::monster::{PipeId, Sample};
    ///
    /// let mut sample = Sample::new(40, 0);
    /// sample.apply_hecke(PipeId::new(0)?);
    /// assert_eq!(sample.hecke(), Some(9)); // 40 * 2 mod 71
    /// # Ok::<(), kcoro::error::IdError>(())
    /// ```
    pub fn apply_hecke(&mut self, index: super::primes::PipeId) {
        let value = self.hecke().unwrap_or(u64::from(self.pid));
        self.hecke = Residue(super::primes::apply_hecke(value, index.index()) as u8);
    }

    /// The byte that stands for the residue in a recording.
    pub(super) fn hecke_byte(&self) -> u8 {
        self.hecke.0
    }

    /// Sets the residue from a recording; false if the byte stands for nothing.
    #[must_use]
    pub(super) fn set_hecke_byte(&mut self, byte: u8) -> bool {
        let known = u64::from(byte) < super::primes::HECKE_MODULUS || byte == Residue::NONE.0;
        if known {
            self.hecke = Residue(byte);
        }
        known
    }
}

/// The command name of a process: up to 15 bytes, held inline.
///
/// The kernel lets a process choose any bytes but NUL, so the bytes are kept as they are and only
/// made harmless when shown: [`Display`](fmt::Display) escapes control characters, quotes and what is not UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Command {
    len: u8,
    bytes: [u8; COMMAND_MAX],
}

impl Command {
    /// The command with these bytes; what is longer than 15 is cut off.
    ///
    /// # Examples
    ///
    /// ```
    /// use kcoro::monster::Command;
    ///
    /// assert_eq!(Command::new(b"a-name-of-twenty-bytes").as_bytes(), b"a-name-of-twent");
    /// assert_eq!(Command::new(b"a\nb").to_string(), "a\\nb");
    /// ```
    #[must_use]
    pub fn new(name: &[u8]) -> Command {
        let len = name.len().min(COMMAND_MAX);
        let mut bytes = [0; COMMAND_MAX];
        bytes[..len].copy_from_slice(&name[..len]);
        Command { len: len as u8, bytes }
    }

    /// The bytes as the kernel gave them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            write!(f, "{}{}", chunk.valid().escape_debug(), chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// What a process was doing when it was sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ProcessState {
    /// Running or ready to run.
    Running = b'R',
    /// Asleep in a wait that a signal ends.
    Sleeping = b'S',
    /// Asleep in a wait that no signal ends, mostly for a disk.
    DiskSleep = b'D',
    /// Stopped by a signal.
    Stopped = b'T',
    /// Stopped by a debugger.
    Traced = b't',
    /// Ended, not yet collected by its parent.
    Zombie = b'Z',
    /// Ended.
    Dead = b'X',
    /// A kernel thread with nothing to do.
    Idle = b'I',
    /// A state this version does not know.
    Other = b'?',
}

impl ProcessState {
    /// The state behind the letter that `/proc` uses.
    #[must_use]
    pub const fn from_letter(letter: u8) -> ProcessState {
        match letter {
            b'R' => ProcessState::Running,
            b'S' => ProcessState::Sleeping,
            b'D' => ProcessState::DiskSleep,
            b'T' => ProcessState::Stopped,
            b't' => ProcessState::Traced,
            b'Z' => ProcessState::Zombie,
            b'X' => ProcessState::Dead,
            b'I' => ProcessState::Idle,
            _ => ProcessState::Other,
        }
    }

    /// The letter that `/proc` uses; `?` for [`ProcessState::Other`].
    #[must_use]
    pub const fn letter(self) -> char {
        self as u8 as char
    }
}
