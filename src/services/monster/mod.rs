//! Monster: pipes, wait states and shards over samples of every process of the machine.
//!
//! There is one pipe and one shard for each of the fifteen primes that divide the order of the
//! Monster group. A [`Sampler`] walks `/proc` and turns each process into a 64-byte [`Sample`];
//! [`assign_shard`] gives it a shard, [`apply_hecke`] is the arithmetic the filter stage does, and
//! [`record`] keeps a run in a file so that it can be repeated exactly.
//!
//! ```
//! use kcoro::monster::{Sampler, assign_shard};
//!
//! let mut sampler = Sampler::open("/proc")?;
//! let mut samples = Vec::new();
//! let sweep = sampler.sweep(&mut samples)?;
//! assert_eq!(sweep.sampled, samples.len());
//! for sample in &samples {
//!     assert_eq!(sample.shard, assign_shard(u64::from(sample.pid)));
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod crc;
mod hub;
mod pipe;
mod primes;
mod proc_text;
mod reader;
pub mod record;
mod roles;
mod sample;
mod sampler;
pub mod status;
mod wait_state;
mod waiters;

pub use hub::Monster;
pub use pipe::{PipeEnd, RING_CAPACITY, Role};
pub use primes::{
    HECKE_MODULUS, PIPE_COUNT, PRIMES, PipeId, SHARD_COUNT, ShardId, apply_hecke, assign_shard,
};
pub use roles::{Consumer, Coordinator, Filter, Producer, SampleSink, SampleSource};
pub use sample::{Command, ProcessState, Sample};
pub use sampler::{Registers, Sampler, SamplerBuilder, Sweep};
pub use wait_state::{WAIT_STATE_COUNT, WaitState};
