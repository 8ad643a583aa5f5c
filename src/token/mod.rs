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
//! | `slot`        | one cache line: word, party, payload                            |
//! | `table`       | all slots, by number                                            |
//! | `shard`       | a thread's free slots and counters                              |
//! | `thread`      | what a thread keeps: shard and slot                             |
//! | `party`       | the four calls to the coroutine layer                           |
//! | `wait`        | `Wait`, `SlotRef`, `Claim`: what channels, joins and locks use  |

mod event;
mod freelist;
mod parker;
mod state;

#[cfg(not(loom))]
mod party;
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
pub use ticket::Ticket;

pub(crate) use state::Outcome;
#[cfg(not(loom))]
pub(crate) use wait::{Claim, SlotRef, Wait};
