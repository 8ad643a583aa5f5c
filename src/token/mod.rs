//! Tickets: everything that waits holds one, and exactly one party ends it.
//!
//! A wait has a slot in a table that lives as long as the process, and a generation that tells this
//! wait from the slot's earlier ones. Whoever wins one compare-and-swap on the slot's word ends the
//! wait: partner, close, timeout, cancel. The others are told that they lost. Coroutines, plain
//! threads, futures and callbacks wait behind the same word.
//!
//! | file          | owns                                                            |
//! |---------------|-----------------------------------------------------------------|
//! | `state`       | the word of a party's wait (pure)                               |
//! | `event`       | the same word of a published ticket (pure)                      |
//! | `parker`      | a plain thread's sleep (pure)                                   |
//! | `freelist`    | free slots, local and remote (pure)                             |
//! | `table`       | the slot, one cache line, and all slots by number               |
//! | `slot`        | what a slot can hold                                            |
//! | `shard`       | a thread's free slots and counters                              |
//! | `thread`      | what a thread keeps: shard and slot                             |
//! | `party`       | the four calls to the coroutine layer                           |
//! | `wait`        | `Wait`, `SlotRef`, `Claim`: what channels, joins and locks use  |
//! | `future`      | the same for futures                                            |
//! | `ticket`      | published tickets: the public calls                             |
//! | `payload`     | what a completed ticket carries                                 |
//! | `cargo`       | the cell of a slot in which that lies                           |
//! | `callback`    | closures that wait for a ticket                                 |
//! | `inbox`       | the kernel's queue and sleep (pure)                             |
//! | `kernel`      | the thread for signals, callbacks, deadlines and chores         |
//!
//! # Publishing a ticket
//!
//! ```
//! use kcoro::token::{self, Payload};
//!
//! let ticket = token::publish();
//! // Hand the ticket, or its number, to whatever will know of the event.
//! std::thread::spawn(move || {
//!     assert!(ticket.complete(Payload::value("hello")).is_ok());
//!     assert!(ticket.complete(Payload::empty()).is_err(), "once only");
//! });
//! let payload = token::wait(ticket)?;
//! assert_eq!(payload.downcast::<&str>().unwrap(), "hello");
//! # Ok::<(), kcoro::error::WaitError>(())
//! ```

mod event;
mod freelist;
mod inbox;
mod parker;
mod state;

#[cfg(not(loom))]
mod callback;
#[cfg(not(loom))]
mod cargo;
#[cfg(not(loom))]
mod future;
#[cfg(not(loom))]
mod kernel;
#[cfg(not(loom))]
mod party;
#[cfg(not(loom))]
mod payload;
#[cfg(not(loom))]
mod shard;
#[cfg(not(loom))]
mod slot;
#[cfg(not(loom))]
mod table;
#[cfg(not(loom))]
mod thread;
#[cfg(not(loom))]
mod ticket;
#[cfg(not(loom))]
mod wait;

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub use future::TicketFuture;
#[cfg(not(loom))]
pub use kernel::{Kernel, KernelGuard};
#[cfg(not(loom))]
pub use payload::Payload;
#[cfg(not(loom))]
pub use shard::Stats;
#[cfg(not(loom))]
pub use ticket::{
    Ticket, on_complete, publish, publish_callback, publish_future, try_wait, wait, wait_deadline,
    wait_timeout, withdraw,
};

/// Waits of the models' threads: the real word, and loom's sleep.
#[cfg(all(test, loom))]
#[path = "../../tests/loom/wait_stand_in.rs"]
mod wait;

pub(crate) use state::Outcome;
#[cfg(all(test, loom))]
pub(crate) use wait::{Claim, SlotRef, Wait};
#[cfg(not(loom))]
pub(crate) use {
    future::AsyncWait,
    kernel::Chore,
    party::{Clock, set_clock},
    ticket::end_at,
    wait::{Claim, SlotRef, Wait},
};
