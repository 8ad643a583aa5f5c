//! Every error the crate returns, one file a subject.
//!
//! All of them are plain enums that name what happened and give back what the caller put in.

mod arena;
mod broadcast;
mod bytes;
mod channel;
mod coroutine;
mod io;
mod monster;
mod record;
mod spawn;
mod stack;
mod time;
mod token;
mod workers;

pub use arena::{AliasError, ArenaError, RegionError, StaleDescriptor};
pub use broadcast::{
    BroadcastCancelError, BroadcastError, BroadcastTimeoutError, TryBroadcastError,
};
pub use bytes::SendBytesError;
pub use channel::{
    RecvCancelError, RecvError, RecvTimeoutError, SendCancelError, SendError, SendTimeoutError,
    TryRecvError, TrySendError,
};
#[allow(unused_imports, reason = "the scheduler names it next")]
pub(crate) use coroutine::panic_text;
pub use coroutine::{FinishedError, ResumeError};
pub use io::Incomplete;
pub use monster::{CoordError, IdError, PipeOpenError, ReadError, WaitStateError, WriteError};
pub use record::RecordError;
pub use spawn::{BuildError, SpawnError};
pub use stack::StackError;
pub use time::{Cancelled, Elapsed};
pub use token::{CancelReason, Stale, WaitError};
pub use workers::WorkersError;
