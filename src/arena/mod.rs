//! The descriptor arena: byte payloads that are counted, sliced, named and forwarded, never copied.
//!
//! A payload is a block of a size class with a header: reference count, generation, length. The safe
//! handle is [`Payload`]; the number that names it across a queue, a table or a process is its
//! [`Descriptor`] (class, index, generation), which goes stale when the block is recycled. Foreign
//! memory ([`Arena::alias`]) and memory registered once ([`Region`]) become payloads of the same type.
//!
//! ```text
//!   Payload {block, start, length} ---> header {word, store, data, length, owner} ---> bytes
//!
//!   alloc:  thread's magazine  <-- half a magazine at a time --  depot  <-- carve --  chunk (mmap)
//!   drop:   thread's magazine  -- half a magazine at a time -->  depot
//! ```
//!
//! # Invariants
//!
//! 1. Bytes that more than one handle can reach are read only.
//! 2. A descriptor resolves to the payload it was taken from, or to nothing.
//! 3. With a limit, the blocks of live payloads never exceed it; foreign memory and spilled payloads
//!    do not count. What threads keep unused is at most 4 MiB each on top.
//! 4. When all payloads are gone, depth, bytes and budget are zero again.
//!
//! # Who calls this, and what it may call
//!
//! Threads and coroutines. Nothing here suspends or waits: an allocation that finds the arena full
//! says so, and [`Arena::on_room`] is what a waiting layer builds on. Locks are leaves.
//!
//! Source: Bonwick and Adams, "Magazines and vmem", 2001; the reference word is this project's own.

mod budget;
mod chunks;
#[cfg(not(loom))]
mod class;
#[cfg(not(loom))]
mod descriptor;
#[cfg(not(loom))]
mod handle;
mod holds;
#[cfg(not(loom))]
mod magazine;
#[cfg(not(loom))]
mod payload;
mod refcount;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod slab;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod store;

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(not(loom))]
pub use self::{
    descriptor::Descriptor,
    handle::{Arena, Builder},
    magazine::release_thread,
    payload::{Payload, PayloadMut},
    region::{Region, RegionHandle, RegionSlice, RegionSliceMut},
    stats::{ArenaStats, ClassStats},
};
#[cfg(not(loom))]
use handle::allocate;
