//! The lines that tell what Monster is doing: pipes, wait states, coordinations, summaries.
//!
//! Each type is plain data with two forms: its [`Display`](fmt::Display) is the text line, and
//! [`StatusLine::ndjson`] writes one JSON object without a line break, with `type` and `schema` first, so that a
//! stream of mixed lines can be told apart.
//!
//! # Invariants
//!
//! 1. A text line holds no line break; nor does an NDJSON line, whatever a command is called.
//!
//! # Who calls this, and what it may call
//!
//! Anyone; pure formatting.

#![forbid(unsafe_code)]

use std::fmt::{self, Write};

use super::primes::{PipeId, ShardId};
use super::sample::Sample;

/// The version of the NDJSON forms, in the field `schema` of each line.
pub const NDJSON_SCHEMA: u32 = 1;

/// A line with a text form and an NDJSON form.
pub trait StatusLine: fmt::Display {
    /// Writes the line as one JSON object, without a line break.
    ///
    /// # Errors
    ///
    /// Only those of `out`.
    fn ndjson(&self, out: &mut dyn Write) -> fmt::Result;
}

/// One pipe at one moment: `Pipe 0: producer=1234, consumer=5678, readers=1, writers=1, closed=0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeStatus {
    /// Which pipe.
    pub pipe: PipeId,
    /// The pid of the process whose producer opened it; `None` shows as 0.
    pub producer: Option<u32>,
    /// The pid of the process whose consumer opened it; `None` shows as 0.
    pub consumer: Option<u32>,
    /// Open ends of the consumer's side.
    pub readers: usize,
    /// Open ends of the producer's side.
    pub writers: usize,
    /// True once it is closed; shows as 0 or 1.
    pub closed: bool,
    /// Samples on their way from the producer to the consumer; in the NDJSON form only.
    pub depth: usize,
    /// Samples on their way back; in the NDJSON form only.
    pub depth_back: usize,
}

impl fmt::Display for PipeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Pipe {}: producer={}, consumer={}, readers={}, writers={}, closed={}",
            self.pipe,
            self.producer.unwrap_or(0),
            self.consumer.unwrap_or(0),
            self.readers,
            self.writers,
            u8::from(self.closed)
        )
    }
}

impl StatusLine for PipeStatus {
    fn ndjson(&self, out: &mut dyn Write) -> fmt::Result {
        begin(out, "pipe")?;
        write!(out, ",\"pipe\":{},\"producer\":{}", self.pipe, OrNull(self.producer))?;
        write!(out, ",\"consumer\":{},\"readers\":{}", OrNull(self.consumer), self.readers)?;
        write!(out, ",\"writers\":{},\"closed\":{}", self.writers, self.closed)?;
        write!(out, ",\"depth\":{},\"depth_back\":{}}}", self.depth, self.depth_back)
    }
}

/// One live wait state: `Wait 0: pid=1234, shard=5, sequence=42, ready=0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitStatus {
    /// The index of the wait state, 0 to 255.
    pub wait: usize,
    /// The pid of the process that created it.
    pub pid: u32,
    /// The shard it waits for.
    pub shard: ShardId,
    /// Its sequence number: greater for each wait state created.
    pub sequence: u64,
    /// True once it was signalled; shows as 0 or 1.
    pub ready: bool,
}

impl fmt::Display for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WaitStatus { wait, pid, shard, sequence, ready } = self;
        let ready = u8::from(*ready);
        write!(f, "Wait {wait}: pid={pid}, shard={shard}, sequence={sequence}, ready={ready}")
    }
}

impl StatusLine for WaitStatus {
    fn ndjson(&self, out: &mut dyn Write) -> fmt::Result {
        let WaitStatus { wait, pid, shard, sequence, ready } = self;
        begin(out, "wait")?;
        write!(out, ",\"wait\":{wait},\"pid\":{pid},\"shard\":{shard}")?;
        write!(out, ",\"sequence\":{sequence},\"ready\":{ready}}}")
    }
}

/// What one call to coordinate a shard did: `Coordinated 3 apps on shard 5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coordinated {
    /// How many waiters were woken.
    pub apps: usize,
    /// On which shard.
    pub shard: ShardId,
}

impl fmt::Display for Coordinated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coordinated {} apps on shard {}", self.apps, self.shard)
    }
}

impl StatusLine for Coordinated {
    fn ndjson(&self, out: &mut dyn Write) -> fmt::Result {
        begin(out, "coordinated")?;
        write!(out, ",\"apps\":{},\"shard\":{}}}", self.apps, self.shard)
    }
}

/// What a role did over its whole life, said at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Summary {
    /// `Producer: Wrote 1000 samples to ring 0`
    Producer {
        /// Samples written.
        wrote: u64,
        /// To which ring.
        ring: PipeId,
    },
    /// `Filter: Read 1000 samples, wrote 800 to ring 1`
    Filter {
        /// Samples read.
        read: u64,
        /// Samples written on.
        wrote: u64,
        /// To which ring.
        ring: PipeId,
    },
    /// `Consumer: Read 800 samples, processed 800`
    Consumer {
        /// Samples read.
        read: u64,
        /// Samples processed.
        processed: u64,
    },
    /// `Coordinator: Coordinated 3 apps on shard 0`
    Coordinator(Coordinated),
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Summary::Producer { wrote, ring } => {
                write!(f, "Producer: Wrote {wrote} samples to ring {ring}")
            }
            Summary::Filter { read, wrote, ring } => {
                write!(f, "Filter: Read {read} samples, wrote {wrote} to ring {ring}")
            }
            Summary::Consumer { read, processed } => {
                write!(f, "Consumer: Read {read} samples, processed {processed}")
            }
            Summary::Coordinator(coordinated) => write!(f, "Coordinator: {coordinated}"),
        }
    }
}

impl StatusLine for Summary {
    fn ndjson(&self, out: &mut dyn Write) -> fmt::Result {
        begin(out, "summary")?;
        match self {
            Summary::Producer { wrote, ring } => {
                write!(out, ",\"role\":\"producer\",\"wrote\":{wrote},\"ring\":{ring}}}")
            }
            Summary::Filter { read, wrote, ring } => {
                write!(
                    out,
                    ",\"role\":\"filter\",\"read\":{read},\"wrote\":{wrote},\"ring\":{ring}}}"
                )
            }
            Summary::Consumer { read, processed } => {
                write!(out, ",\"role\":\"consumer\",\"read\":{read},\"processed\":{processed}}}")
            }
            Summary::Coordinator(Coordinated { apps, shard }) => {
                write!(out, ",\"role\":\"coordinator\",\"apps\":{apps},\"shard\":{shard}}}")
            }
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} cpu=", self.pid, self.command, self.state.letter())?;
        let (seconds, rest) = (self.cpu_time_ns / 1_000_000_000, self.cpu_time_ns % 1_000_000_000);
        write!(f, "{seconds}.{:02}s mem={}K", rest / 10_000_000, self.memory_bytes / 1024)?;
        write!(f, " shard={}", self.shard)
    }
}

impl StatusLine for Sample {
    fn ndjson(&self, out: &mut dyn Write) -> fmt::Result {
        begin(out, "sample")?;
        write!(out, ",\"pid\":{},\"timestamp_ns\":{}", self.pid, self.timestamp_ns)?;
        write!(out, ",\"command\":\"{}\"", JsonText(self.command.as_bytes()))?;
        write!(out, ",\"state\":\"{}\"", self.state.letter())?;
        write!(
            out,
            ",\"cpu_time_ns\":{},\"memory_bytes\":{}",
            self.cpu_time_ns, self.memory_bytes
        )?;
        write!(out, ",\"instruction_pointer\":{}", OrNull(self.instruction_pointer))?;
        write!(out, ",\"stack_pointer\":{}", OrNull(self.stack_pointer))?;
        write!(out, ",\"shard\":{},\"hecke\":{}}}", self.shard, OrNull(self.hecke()))
    }
}

fn begin(out: &mut dyn Write, kind: &str) -> fmt::Result {
    write!(out, "{{\"type\":\"{kind}\",\"schema\":{NDJSON_SCHEMA}")
}

/// A number, or `null`.
struct OrNull<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// Bytes as the inside of a JSON string; what is not UTF-8 becomes U+FFFD.
struct JsonText<'a>(&'a [u8]);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter {
                    '"' | '\\' => write!(f, "\\{letter}")?,
                    '\0'..' ' | '\x7f' => write!(f, "\\u{:04x}", letter as u32)?,
                    _ => f.write_char(letter)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}
