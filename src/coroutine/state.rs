//! The life of a coroutine, as one byte that anybody may read.
//!
//! ```text
//!            resume / first run        park                 wake
//!  +---------+ -----> +---------+ -----> +--------+ -----> +-------+
//!  | CREATED |        | RUNNING |        | PARKED |        | READY |
//!  +---------+        +---------+ <----+ +--------+        +-------+
//!                      |  |  ^         |     resume (spurious) |
//!               yield  |  |  +---------+-----------------------+
//!       +-----------+  |  |   resume / run
//!       | SUSPENDED | <+  +-----> FINISHED (return, panic, forced unwind)
//!       +-----------+
//! ```
//!
//! | from      | call   | to        | who                      | the caller must now        |
//! |-----------|--------|-----------|--------------------------|----------------------------|
//! | CREATED   | run    | RUNNING   | driver or worker         | switch to the first frame  |
//! | SUSPENDED | run    | RUNNING   | driver or worker         | switch to it               |
//! | READY     | run    | RUNNING   | driver or worker         | switch to it               |
//! | PARKED    | run    | RUNNING   | driver only (spurious)   | switch to it               |
//! | RUNNING   | yield  | SUSPENDED | the coroutine itself     | switch away                |
//! | RUNNING   | park   | PARKED    | the coroutine itself     | switch away                |
//! | PARKED    | wake   | READY     | who completed its wait   | nothing, or queue it       |
//! | RUNNING   | finish | FINISHED  | its root function        | leave the stack for good   |
//!
//! The byte is for the driver's own decisions, which run on one thread, and for reports by others.
//! It decides no race: who may wake a parked coroutine is decided by the ticket it waits on.
//! Hence every access is Relaxed.

use core::fmt;

/// Where a coroutine stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Made, never run.
    Created = 0,
    /// Woken, waiting for its turn.
    Ready = 1,
    /// Running, or waiting for a coroutine that it resumed itself.
    Running = 2,
    /// It gave way by itself and may be resumed at any time.
    Suspended = 3,
    /// It waits to be woken.
    Parked = 4,
    /// Its function has returned, has panicked or was unwound.
    Finished = 5,
}

impl State {
    /// Whether a coroutine in this state may be resumed.
    #[must_use]
    pub fn is_resumable(self) -> bool {
        !matches!(self, State::Running | State::Finished)
    }

    pub(super) fn from_byte(byte: u8) -> State {
        match byte {
            0 => State::Created,
            1 => State::Ready,
            2 => State::Running,
            3 => State::Suspended,
            4 => State::Parked,
            _ => State::Finished,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Created => "created",
            State::Ready => "ready",
            State::Running => "running",
            State::Suspended => "suspended",
            State::Parked => "parked",
            State::Finished => "finished",
        })
    }
}

/// Why a coroutine is not running, kept for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum WaitReason {
    /// It does not wait.
    None,
    /// `park()`: it waits for its `Unparker`.
    Park,
    /// It waits for a ticket to be completed.
    Ticket,
    /// It waits for another coroutine to end.
    Join,
    /// It waits for room in a channel.
    Send,
    /// It waits for a value from a channel.
    Recv,
    /// It waits for the first of several events.
    Select,
    /// It waits for a point in time.
    Sleep,
    /// It waits for a file descriptor to become readable.
    Readable,
    /// It waits for a file descriptor to become writable.
    Writable,
    /// It waits for a job on the blocking pool.
    Blocking,
    /// It waits for a future to make progress.
    Future,
    /// It waits for a cancellation.
    Cancel,
}
