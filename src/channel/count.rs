//! Where a channel's operations meet its figures.

#![forbid(unsafe_code)]

use super::engine::{Received, Sent};
use super::metrics::{Failure, Figures, Snapshot};
use super::shared::{End, Inside, Shared, Side};

impl<T> Shared<T> {
    /// The bytes of the value in `cell`, for the figures.
    #[inline(always)]
    pub(super) fn weigh(&self, cell: &Option<T>) -> u64 {
        match (&self.figures, cell) {
            (Some(_), Some(value)) => size_of_val(value) as u64,
            _ => 0,
        }
    }

    /// Counts an offer, under the lock.
    #[inline(always)]
    pub(super) fn count_send(&self, engine: &Inside<'_, T>, sent: &Sent, bytes: u64) {
        if let Some(figures) = &self.figures {
            let went_in = matches!(sent, Sent::Stored | Sent::Handed(_) | Sent::Dropped);
            let handed = matches!(sent, Sent::Handed(_));
            count_send(figures, engine.buffer.len(), went_in, handed, bytes);
        }
    }

    /// Counts a request, under the lock.
    #[inline(always)]
    pub(super) fn count_recv(&self, engine: &Inside<'_, T>, received: &Received, bytes: u64) {
        if let Some(figures) = &self.figures {
            let came = matches!(received, Received::Value(_));
            let from_waiter = matches!(received, Received::Value(Some(_)));
            let matched = from_waiter && self.capacity == Some(0);
            count_recv(figures, engine.buffer.len(), came, from_waiter, matched, bytes);
        }
    }

    /// What the overflow policy lets fall.
    pub(super) fn discard(&self, value: T) {
        if let Some(figures) = &self.figures {
            figures.dropped();
            figures.undelivered(1);
        }
        self.undelivered.one(value);
    }

    /// Counts an operation that did not happen.
    pub(super) fn count_failure(&self, side: Side, end: End) {
        let Some(figures) = &self.figures else { return };
        figures.failed(match (side, end) {
            (Side::Send, End::Refused | End::Done) => Failure::Full,
            (Side::Recv, End::Refused | End::Done) => Failure::Empty,
            (Side::Send, End::TimedOut) => Failure::SendTimeout,
            (Side::Recv, End::TimedOut) => Failure::RecvTimeout,
            (Side::Send, End::Closed) => Failure::SendClosed,
            (Side::Recv, End::Closed) => Failure::RecvClosed,
            (Side::Send, End::Cancelled) => Failure::SendCancelled,
            (Side::Recv, End::Cancelled) => Failure::RecvCancelled,
        });
    }

    /// The figures at this moment.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::now(self.len(), self.is_closed());
        if let Some(figures) = &self.figures {
            snapshot.counted = true;
            figures.read(&mut snapshot);
        }
        snapshot
    }
}

// Plain values are passed, not the outcome itself: an outcome whose address is taken lives in memory,
// and is copied about in pieces that the processor cannot forward.

#[cold]
#[inline(never)]
fn count_send(figures: &Figures, len: usize, went_in: bool, handed: bool, bytes: u64) {
    if went_in {
        figures.sent(1, bytes, len);
    }
    if handed {
        figures.received(1, bytes);
        figures.matched();
    }
}

#[cold]
#[inline(never)]
fn count_recv(
    figures: &Figures,
    len: usize,
    came: bool,
    from_waiter: bool,
    matched: bool,
    bytes: u64,
) {
    if came {
        figures.received(1, bytes);
    }
    if from_waiter {
        // A waiting sender's value went in, or at a rendezvous straight here.
        figures.sent(1, bytes, len);
    }
    if matched {
        figures.matched();
    }
}
