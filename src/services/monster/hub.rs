//! [`Monster`]: the handle to fifteen pipes and 256 wait states.
//!
//! # Invariants
//!
//! 1. Handles are counted references to one [`Hub`]; ends of pipes and wait states keep it alive as well.
//!
//! # Who calls this, and what it may call
//!
//! Coroutines and threads.

#![forbid(unsafe_code)]

use super::pipe::{Pipe, PipeEnd, Role};
use super::primes::{PIPE_COUNT, PipeId, ShardId};
use super::status::{Coordinated, PipeStatus, WaitStatus};
use super::wait_state::{WaitState, WaitTable};
use crate::error::{PipeOpenError, WaitStateError};
use crate::prim::Arc;

/// What the handles of one [`Monster`] share.
#[derive(Debug)]
pub(super) struct Hub {
    /// The pid of this process, the identity in status lines.
    pid: u32,
    pub(super) pipes: [Pipe; PIPE_COUNT],
    pub(super) waits: WaitTable,
}

/// Fifteen pipes, and 256 wait states over fifteen shards. Cloning gives another handle to the same
/// ones.
///
/// # Examples
///
/// ```
/// use kcoro::monster::{Monster, ShardId};
///
/// let monster = Monster::new();
/// let state = monster.wait_state(ShardId::new(5)?)?;
/// state.signal_ready();
/// for line in monster.waits_status() {
///     println!("{line}"); // Wait 0: pid=1234, shard=5, sequence=1, ready=1
/// }
/// state.wait_for_coord(None)?; // the signal was kept
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monster {
    hub: Arc<Hub>,
}

impl Monster {
    /// All pipes unopened, no wait state yet.
    #[must_use]
    pub fn new() -> Monster {
        let pipes = std::array::from_fn(|_| Pipe::new());
        Monster { hub: Arc::new(Hub { pid: std::process::id(), pipes, waits: WaitTable::new() }) }
    }

    /// Opens an end of a pipe. A role may have several ends open.
    ///
    /// # Errors
    ///
    /// [`PipeOpenError::Closed`] if the pipe was closed and an end from before is still there.
    pub fn open(&self, pipe: PipeId, role: Role) -> Result<PipeEnd, PipeOpenError> {
        PipeEnd::open(&self.hub, pipe, role)
    }

    /// Creates a wait state on `shard`.
    ///
    /// # Errors
    ///
    /// [`WaitStateError::AllInUse`] if 256 live already.
    pub fn wait_state(&self, shard: ShardId) -> Result<WaitState, WaitStateError> {
        WaitState::create(&self.hub, shard)
    }

    /// Wakes every party that waits on `shard` at this moment, and says how many.
    ///
    /// The result is the log line as well: `Coordinated 3 apps on shard 5`.
    pub fn coordinate_shard(&self, shard: ShardId) -> Coordinated {
        self.hub.waits.coordinate(shard)
    }

    /// All fifteen pipes, in order.
    #[must_use]
    pub fn pipes_status(&self) -> Vec<PipeStatus> {
        let pipes = PipeId::all().zip(&self.hub.pipes);
        pipes.map(|(id, pipe)| pipe.status(id, self.hub.pid)).collect()
    }

    /// The live wait states, by index. Each entry was so at the same moment.
    #[must_use]
    pub fn waits_status(&self) -> Vec<WaitStatus> {
        self.hub.waits.status(self.hub.pid)
    }
}

impl Default for Monster {
    fn default() -> Monster {
        Monster::new()
    }
}
