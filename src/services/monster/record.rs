//! A run of samples in a file: written by [`Recorder`], read back by [`Replay`].
//!
//! A run that is replayed is the same each time, which a test or a bug report needs. The form is
//! binary: a sample takes 64 bytes where a line of JSON takes 200, and thousands of samples a
//! hundred times a second add up. Samples come in blocks of at most 1,024, each with a checksum,
//! so both sides need the memory of one block, whatever the length of the recording.
//!
//! ```text
//! file  = header block* end           all numbers little-endian
//! header: "KCMONREC" u16 version, u16 bytes per sample (64), u32 zero
//! block:  u32 count 1..=1024 or 0, u32 flags (1: last block of its sweep, 2: end of recording),
//!         u64 time of the sweep (ns since the Unix epoch),
//!         u64 elapsed ns, u32 vanished, u32 denied, u32 malformed, u32 failed,
//!         u32 registers denied, u32 zero, count samples, u32 CRC-32 of all the block before it
//! end:    a block with count 0 and flag 2
//! sample: u64 timestamp, u64 cpu ns, u64 memory, u64 ip, u64 sp (0: unknown), u32 pid,
//!         u8 length and 15 bytes of command, u8 state letter, u8 shard, u8 hecke (255: none), u8 0
//! ```
//!
//! # Invariants
//!
//! 1. What [`Replay`] returns has passed the checksum of its block and the check of each field.
//! 2. A recording without its end block gives every whole block and then
//!    [`RecordError::Truncated`].
//!
//! # Who calls this, and what it may call
//!
//! Threads or coroutines; reading and writing block as the stream underneath does.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::num::NonZeroU64;
use std::time::Duration;

use super::crc::crc32;
use super::primes::ShardId;
use super::sample::{COMMAND_MAX, Command, ProcessState, Sample};
use super::sampler::Sweep;
use crate::error::RecordError;

/// The version of the format that this library writes and reads.
pub const FORMAT_VERSION: u16 = 1;

/// The most samples in one block.
pub const BLOCK_SAMPLES: usize = 1024;

const MAGIC: [u8; 8] = *b"KCMONREC";
const HEADER_BYTES: usize = 16;
const BLOCK_HEAD_BYTES: usize = 48;
const CRC_BYTES: usize = 4;
const SAMPLE_BYTES: usize = 64;
const LAST_OF_SWEEP: u32 = 1;
const END_OF_RECORDING: u32 = 2;

/// Writes sweeps to a stream.
///
/// # Examples
///
/// ```
/// use kcoro::monster::record::{Recorder, Replay};
/// use kcoro::monster::{Sample, Sweep};
///
/// let mut recorder = Recorder::new(Vec::new())?;
/// recorder.sweep(1_000, &Sweep::default(), &[Sample::new(4711, 1_000)])?;
/// let file = recorder.finish()?;
///
/// let mut replay = Replay::new(&file[..])?;
/// let mut samples = Vec::new();
/// let block = replay.next_block(&mut samples)?.expect("one block was written");
/// assert_eq!((block.time_ns, samples[0].pid), (1_000, 4711));
/// assert!(replay.next_block(&mut samples)?.is_none());
/// # Ok::<(), kcoro::error::RecordError>(())
/// ```
#[derive(Debug)]
pub struct Recorder<W: Write> {
    stream: W,
    block: Vec<u8>,
}

impl<W: Write> Recorder<W> {
    /// Begins a recording.
    ///
    /// Writes go out in blocks of up to 64 KiB, so `stream` needs no buffer of its own.
    ///
    /// # Errors
    ///
    /// The error of writing the header.
    pub fn new(mut stream: W) -> io::Result<Recorder<W>> {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[10..12].copy_from_slice(&(SAMPLE_BYTES as u16).to_le_bytes());
        stream.write_all(&header)?;
        Ok(Recorder { stream, block: Vec::new() })
    }

    /// Appends one sweep, taken at `time_ns` nanoseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The error of writing; the recording then ends with the last whole block.
    pub fn sweep(&mut self, time_ns: u64, sweep: &Sweep, samples: &[Sample]) -> io::Result<()> {
        let mut rest = samples;
        loop {
            let (now, later) = rest.split_at(rest.len().min(BLOCK_SAMPLES));
            let flags = if later.is_empty() { LAST_OF_SWEEP } else { 0 };
            self.write_block(flags, time_ns, sweep, now)?;
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
        }
    }

    /// Writes the end mark, flushes, and gives the stream back.
    ///
    /// A recording that is not finished reads as cut short.
    ///
    /// # Errors
    ///
    /// The error of writing or flushing.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_block(END_OF_RECORDING, 0, &Sweep::default(), &[])?;
        self.stream.flush()?;
        Ok(self.stream)
    }

    fn write_block(
        &mut self,
        flags: u32,
        time_ns: u64,
        sweep: &Sweep,
        samples: &[Sample],
    ) -> io::Result<()> {
        let block = &mut self.block;
        block.clear();
        block.extend((samples.len() as u32).to_le_bytes());
        block.extend(flags.to_le_bytes());
        block.extend(time_ns.to_le_bytes());
        block.extend((sweep.elapsed.as_nanos() as u64).to_le_bytes());
        let counts = [
            sweep.vanished,
            sweep.denied,
            sweep.malformed,
            sweep.failed,
            sweep.registers_denied,
            0,
        ];
        for count in counts {
            block.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        for sample in samples {
            encode(sample, block);
        }
        block.extend(crc32(block).to_le_bytes());
        self.stream.write_all(block)
    }
}

/// What belongs to the block that [`Replay::next_block`] has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// When its sweep was taken: nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The counts of its sweep; `sampled` counts this block only.
    pub sweep: Sweep,
    /// True if it is the last block of its sweep.
    pub last_of_sweep: bool,
}

/// Reads a recording, block by block.
#[derive(Debug)]
pub struct Replay<R: Read> {
    stream: R,
    /// Where the next block begins.
    offset: u64,
    block: Vec<u8>,
    ended: bool,
}

impl<R: Read> Replay<R> {
    /// Reads and checks the header.
    ///
    /// Reads go in pieces of up to 64 KiB, so `stream` needs no buffer of its own.
    ///
    /// # Errors
    ///
    /// [`RecordError::NotARecording`], [`RecordError::Version`], [`RecordError::Truncated`] or
    /// [`RecordError::Io`].
    pub fn new(mut stream: R) -> Result<Replay<R>, RecordError> {
        let mut header = [0; HEADER_BYTES];
        let length = read_up_to(&mut stream, &mut header)?;
        if length < MAGIC.len() || header[..8] != MAGIC {
            return Err(RecordError::NotARecording);
        }
        if length < HEADER_BYTES {
            return Err(RecordError::Truncated { offset: length as u64 });
        }
        let found = u16::from_le_bytes([header[8], header[9]]);
        if found != FORMAT_VERSION {
            return Err(RecordError::Version { found, supported: FORMAT_VERSION });
        }
        if header[10..] != [SAMPLE_BYTES as u8, 0, 0, 0, 0, 0] {
            return Err(RecordError::Invalid { offset: 0, field: "sample size" });
        }
        Ok(Replay { stream, offset: HEADER_BYTES as u64, block: Vec::new(), ended: false })
    }

    /// Reads the next block into `samples`, which is cleared first; `None` at the end mark.
    ///
    /// # Errors
    ///
    /// Any [`RecordError`] but the first two. After an error the recording cannot be read on; the
    /// blocks before it were whole.
    pub fn next_block(&mut self, samples: &mut Vec<Sample>) -> Result<Option<Block>, RecordError> {
        samples.clear();
        if self.ended {
            return Ok(None);
        }
        let begin = self.offset;
        self.block.clear();
        self.fill(BLOCK_HEAD_BYTES)?;
        let count = self.u32_at(0) as usize;
        let flags = self.u32_at(4);
        if count > BLOCK_SAMPLES {
            return Err(RecordError::Invalid { offset: begin, field: "number of samples" });
        }
        self.fill(BLOCK_HEAD_BYTES + count * SAMPLE_BYTES + CRC_BYTES)?;
        let (body, crc) = self.block.split_at(self.block.len() - CRC_BYTES);
        if crc != crc32(body).to_le_bytes() {
            return Err(RecordError::Checksum { offset: begin });
        }
        if flags == END_OF_RECORDING {
            self.ended = true;
            return Ok(None);
        }
        if flags & !LAST_OF_SWEEP != 0 {
            return Err(RecordError::Invalid { offset: begin, field: "flags" });
        }
        for bytes in body[BLOCK_HEAD_BYTES..].chunks_exact(SAMPLE_BYTES) {
            let sample =
                decode(bytes).map_err(|field| RecordError::Invalid { offset: begin, field })?;
            samples.push(sample);
        }
        self.offset += self.block.len() as u64;
        Ok(Some(Block {
            time_ns: u64_at(&self.block, 8),
            sweep: self.sweep_of_block(count),
            last_of_sweep: flags & LAST_OF_SWEEP != 0,
        }))
    }

    fn sweep_of_block(&self, count: usize) -> Sweep {
        Sweep {
            sampled: count,
            elapsed: Duration::from_nanos(u64_at(&self.block, 16)),
            vanished: self.u32_at(24) as usize,
            denied: self.u32_at(28) as usize,
            malformed: self.u32_at(32) as usize,
            failed: self.u32_at(36) as usize,
            registers_denied: self.u32_at(40) as usize,
        }
    }

    /// Reads until `block` holds `length` bytes.
    fn fill(&mut self, length: usize) -> Result<(), RecordError> {
        let held = self.block.len();
        self.block.resize(length, 0);
        let read = read_up_to(&mut self.stream, &mut self.block[held..])?;
        if held + read < length {
            return Err(RecordError::Truncated { offset: self.offset + (held + read) as u64 });
        }
        Ok(())
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(array_at(&self.block, at))
    }
}

/// Reads until `buffer` is full or the stream ends; returns how much was read.
fn read_up_to(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn encode(sample: &Sample, out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend(sample.timestamp_ns.to_le_bytes());
    out.extend(sample.cpu_time_ns.to_le_bytes());
    out.extend(sample.memory_bytes.to_le_bytes());
    out.extend(sample.instruction_pointer.map_or(0, NonZeroU64::get).to_le_bytes());
    out.extend(sample.stack_pointer.map_or(0, NonZeroU64::get).to_le_bytes());
    out.extend(sample.pid.to_le_bytes());
    let name = sample.command.as_bytes();
    out.push(name.len() as u8);
    out.extend(name);
    out.resize(begin + 60, 0);
    out.extend([sample.state.letter() as u8, sample.shard.index() as u8, sample.hecke_byte(), 0]);
}

/// The sample in these 64 bytes, or the field that no recorder writes like this.
fn decode(bytes: &[u8]) -> Result<Sample, &'static str> {
    let mut sample = Sample::new(u32::from_le_bytes(array_at(bytes, 40)), u64_at(bytes, 0));
    sample.cpu_time_ns = u64_at(bytes, 8);
    sample.memory_bytes = u64_at(bytes, 16);
    sample.instruction_pointer = NonZeroU64::new(u64_at(bytes, 24));
    sample.stack_pointer = NonZeroU64::new(u64_at(bytes, 32));
    let length = usize::from(bytes[44]);
    if length > COMMAND_MAX {
        return Err("length of a command");
    }
    sample.command = Command::new(&bytes[45..45 + length]);
    sample.state = ProcessState::from_letter(bytes[60]);
    if sample.state.letter() as u8 != bytes[60] {
        return Err("process state");
    }
    sample.shard = ShardId::new(usize::from(bytes[61])).map_err(|_| "shard")?;
    if !sample.set_hecke_byte(bytes[62]) {
        return Err("hecke residue");
    }
    Ok(sample)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
