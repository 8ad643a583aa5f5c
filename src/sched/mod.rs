//! The scheduler: workers, the closures they start and the coroutines they run.
//!
//! A closure that was spawned and has not started is a pointer in a queue, which any worker may
//! take. Once started it has a stack and stays where it is, unless its spawner lets it go. README.md in this folder draws the life
//! of a coroutine through the queues and proves the sleep protocol.

#[cfg(not(loom))]
pub(crate) mod blocking;
mod completion;
#[cfg(not(loom))]
mod decay;
#[cfg(not(loom))]
mod dump;
#[cfg(not(loom))]
pub(crate) mod enter;
#[cfg(not(loom))]
mod fork;
mod held_up;
mod inbox;
#[cfg(not(loom))]
pub(crate) mod io;
#[cfg(not(loom))]
mod job;
#[cfg(not(loom))]
mod join;
#[cfg(not(loom))]
mod join_future;
#[cfg(not(loom))]
mod migrate;
#[cfg(not(loom))]
pub(crate) mod monitor;
#[cfg(not(loom))]
mod pace;
mod parker;
#[cfg(not(loom))]
mod patience;
#[cfg(not(loom))]
mod report;
#[cfg(not(loom))]
mod scope;
mod search;
#[cfg(not(loom))]
pub(crate) mod shared;
#[cfg(not(loom))]
mod shutdown;
#[cfg(not(loom))]
mod spawn;
#[cfg(not(loom))]
pub(crate) mod start;
#[cfg(not(loom))]
mod tidy;
#[cfg(not(loom))]
mod watcher;
#[cfg(not(loom))]
pub(crate) mod worker;

#[cfg(not(loom))]
pub use blocking::{blocking, blocking_cancellable};
#[cfg(not(loom))]
pub use dump::{LiveCoroutine, Observer, RuntimeDump, WorkerDump};
#[cfg(not(loom))]
pub use fork::join;
#[cfg(not(loom))]
pub use join::{JoinHandle, LocalJoinHandle};
#[cfg(not(loom))]
pub use monitor::{StallReport, block_in_place};
#[cfg(not(loom))]
pub use report::{RuntimeMetrics, ShutdownReport, StuckCall, StuckCoroutine};
#[cfg(not(loom))]
pub use scope::{cancel_token, with_cancel_token};
#[cfg(not(loom))]
pub use shared::{Aborted, PanicReport};
#[cfg(not(loom))]
pub use spawn::{Builder, spawn, spawn_local};
#[cfg(not(loom))]
pub(crate) use worker::current_worker;
