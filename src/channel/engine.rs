//! The one engine behind rendezvous, bounded, unbounded and conflated channels: a buffer, the
//! parties that wait for room, the parties that wait for a value, and the rules between them.
//!
//! The kinds differ in capacity and overflow policy, not in code. Everything here runs under the
//! channel's lock, which is both gates of the queue that is its buffer, and returns what is to be
//! done after it: whom to wake, what to hand to the undelivered hook. While nobody waits, values go
//! in and out at the queue's ends without the engine, and within the same table: each end's gate
//! decides then where the table says that the lock does.
//!
//! # State
//!
//! The *cell* is where a value is on its way from a sender to a receiver: the sender's own frame,
//! the receiver's, or a place in the buffer.
//!
//! ```text
//!                 send, nobody waits            recv takes it
//!        +-------+ --------------> +--------------+ -------------> +---------+
//!        | EMPTY |                 | SENDER_READY |                | MATCHED |
//!        +-------+ --------------> +----------------+ -----------> +---------+
//!                 recv, no value   | RECEIVER_READY |  send gives it
//!                                  +----------------+
//!        SENDER_READY, RECEIVER_READY  -- timeout, cancel, close, another arm won -->  CANCELLED
//! ```
//!
//! | cell                        | where it is                        | who owns the value          |
//! |-----------------------------|------------------------------------|-----------------------------|
//! | EMPTY                       | nowhere: no node is linked         | -                           |
//! | SENDER_READY                | node in `senders`, cell full       | the sender                  |
//! | SENDER_READY (buffered)     | a place in `buffer`                | the channel                 |
//! | RECEIVER_READY              | node in `receivers`, cell empty    | -                           |
//! | MATCHED                     | node unlinked, wait won, value moved | the receiver              |
//! | CANCELLED                   | node unlinked, value not moved     | the sender                  |
//!
//! | from           | event                    | to        | who decides       | wake       |
//! |----------------|--------------------------|-----------|-------------------|------------|
//! | EMPTY          | send, no room, may wait  | SENDER_READY | lock           | -          |
//! | EMPTY          | send, room               | SENDER_READY (buffered) | lock | -          |
//! | EMPTY          | recv, no value, may wait | RECEIVER_READY | lock         | -          |
//! | RECEIVER_READY | send                     | MATCHED   | the wait word     | receiver   |
//! | SENDER_READY   | recv                     | MATCHED   | the wait word     | sender     |
//! | SENDER_READY   | recv makes room          | SENDER_READY (buffered) | the wait word | sender |
//! | buffered       | recv                     | MATCHED   | lock              | -          |
//! | buffered       | a newer value (DropOldest), last receiver gone | to the hook | lock | - |
//! | *_READY        | close                    | CANCELLED | the wait word     | the waiter |
//! | *_READY        | timeout, cancel, other arm | CANCELLED | the wait word   | the waiter, unlinked by itself |
//! | *_READY        | unwound, future dropped  | CANCELLED | lock              | -          |
//! | MATCHED (receiver) | unwound, future dropped | buffered, first | lock     | next receiver |
//!
//! Where the wait word decides and the waiter waits nowhere else, the lock decides for it.
//!
//! # Invariants
//!
//! 1. A receiver waits only while `buffer` is empty and no sender that could be won waits.
//! 2. A sender waits only while `buffer` holds `capacity` values and nobody could take its own.
//! 3. Values leave in the order in which they came: buffer first, then waiting senders in order.
//! 4. Nothing is added after `closed`; no one waits after it.
//!
//! # Who calls this, and what it may call
//!
//! `shared`, under the lock. No code of the user's runs here: no `Drop`, `Clone` or hook.

#![forbid(unsafe_code)]

use super::node::{List, Wake};
use super::policy::Overflow;
use crate::token::SlotRef;
use std::fmt;

/// Values in order of arrival.
pub(super) trait Values<T> {
    /// Values held.
    fn len(&self) -> usize;
    /// Adds the newest; the engine sees to the capacity.
    fn push(&mut self, value: T);
    /// Takes the oldest.
    fn pop(&mut self) -> Option<T>;
    /// Puts a value back in front of all others.
    fn unpop(&mut self, value: T);
}

/// What became of a value that was offered.
#[must_use]
pub(super) enum Sent {
    /// It is in the buffer.
    Stored,
    /// A waiting receiver has it; wake that one.
    Handed(Wake),
    /// The cell holds what fell out: the oldest value, or the one offered.
    Dropped,
    /// There is no room, and the policy is to wait. The value is still in the cell.
    Full,
    /// There is no room, and the policy is to fail. The value is still in the cell.
    Refused,
    /// The channel is closed. The value is still in the cell.
    Closed,
}

/// What came of asking for a value.
#[must_use]
pub(super) enum Received {
    /// It is in the cell; wake the sender that has got room or whose value it was.
    Value(Option<Wake>),
    /// There is none.
    Empty,
    /// There is none and none will come.
    Closed,
}

/// A channel's state under its lock.
pub(super) struct Engine<T> {
    /// Waiting with a value.
    pub(super) senders: List<T>,
    /// Waiting for a value.
    pub(super) receivers: List<T>,
    capacity: usize,
    overflow: Overflow,
    closed: bool,
}

impl<T> Engine<T> {
    /// An open, empty channel; without `capacity` it is unbounded.
    pub(super) fn new(capacity: Option<usize>, overflow: Overflow) -> Engine<T> {
        Engine {
            senders: List::new(),
            receivers: List::new(),
            capacity: capacity.unwrap_or(usize::MAX),
            overflow,
            closed: false,
        }
    }

    /// How many values the buffer may hold.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a send is not a matter of room alone.
    #[inline(always)]
    pub(super) fn bars_senders(&self) -> bool {
        self.closed || !self.receivers.is_empty()
    }

    /// Whether a receive is not a matter of values alone.
    #[inline(always)]
    pub(super) fn bars_receivers(&self) -> bool {
        !self.senders.is_empty()
    }

    /// Offers the value in `cell`, which is full.
    #[inline(always)]
    pub(super) fn send(&mut self, buffer: &mut impl Values<T>, cell: &mut Option<T>) -> Sent {
        if self.closed {
            return Sent::Closed;
        }
        if !self.receivers.is_empty()
            && let Some(wake) = self.receivers.give(cell)
        {
            return Sent::Handed(wake);
        }
        if buffer.len() < self.capacity {
            if let Some(value) = cell.take() {
                buffer.push(value);
            }
            return Sent::Stored;
        }
        self.overflow(buffer, cell)
    }

    #[inline(always)]
    fn overflow(&self, buffer: &mut impl Values<T>, cell: &mut Option<T>) -> Sent {
        match self.overflow {
            Overflow::Suspend => Sent::Full,
            Overflow::Fail => Sent::Refused,
            Overflow::DropLatest => Sent::Dropped,
            Overflow::DropOldest => {
                if let Some(oldest) = buffer.pop()
                    && let Some(value) = cell.replace(oldest)
                {
                    buffer.push(value);
                }
                Sent::Dropped
            }
        }
    }

    /// Asks for a value into `cell`, which is empty.
    #[inline(always)]
    pub(super) fn recv(&mut self, buffer: &mut impl Values<T>, cell: &mut Option<T>) -> Received {
        if let Some(value) = buffer.pop() {
            *cell = Some(value);
            let wake = if self.senders.is_empty() { None } else { self.refill(buffer) };
            return Received::Value(wake);
        }
        if !self.senders.is_empty()
            && let Some(wake) = self.senders.take(cell)
        {
            return Received::Value(Some(wake));
        }
        if self.closed { Received::Closed } else { Received::Empty }
    }

    /// The first waiting sender's value takes the place that has become free.
    #[inline(always)]
    fn refill(&mut self, buffer: &mut impl Values<T>) -> Option<Wake> {
        if buffer.len() >= self.capacity {
            return None;
        }
        let mut cell = None;
        let wake = self.senders.take(&mut cell)?;
        if let Some(value) = cell {
            buffer.push(value);
        }
        Some(wake)
    }

    /// Puts back a value that was taken and could not be used: to the next waiting receiver, or in
    /// front of the buffer.
    pub(super) fn put_back(
        &mut self,
        buffer: &mut impl Values<T>,
        mut value: Option<T>,
    ) -> Option<Wake> {
        let wake = self.receivers.give(&mut value);
        if let Some(value) = value {
            buffer.unpop(value);
        }
        wake
    }

    /// Closes; true the first time. Then [`dismiss`](Engine::dismiss) until nobody is left.
    pub(super) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    /// Ends one wait of a closed channel.
    pub(super) fn dismiss(&mut self) -> Option<Wake> {
        debug_assert!(self.closed);
        self.receivers.dismiss().or_else(|| self.senders.dismiss())
    }

    /// Whether a send of the party `own`, which may wait here itself, would not wait.
    pub(super) fn can_send(&self, buffer: &impl Values<T>, own: SlotRef) -> bool {
        self.closed
            || self.overflow != Overflow::Suspend
            || buffer.len() < self.capacity
            || self.receivers.has_other(own)
    }

    /// Whether a receive of the party `own`, which may wait here itself, would not wait.
    pub(super) fn can_recv(&self, buffer: &impl Values<T>, own: SlotRef) -> bool {
        self.closed || buffer.len() != 0 || self.senders.has_other(own)
    }
}

impl<T> fmt::Debug for Engine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("senders", &self.senders)
            .field("receivers", &self.receivers)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
