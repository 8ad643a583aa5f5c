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
            count_send(figures, engine.buffer.len(), sent, bytes);
        }
    }

    /// Counts a request, under the lock.
    #[inline(always)]
    pub(super) fn count_recv(&self, engine: &Inside<'_, T>, received: &Received, bytes: u64) {
        if let Some(figures) = &self.figures {
            count_recv(figures, engine.buffer.len(), self.capacity, received, bytes);
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

#[inline(never)]
fn count_send(figures: &Figures, len: usize, sent: &Sent, bytes: u64) {
    match sent {
        Sent::Stored | Sent::Dropped => figures.sent(1, bytes, len),
        Sent::Handed(_) => {
            figures.sent(1, bytes, len);
            figures.received(1, bytes);
            figures.matched();
        }
        Sent::Full | Sent::Refused | Sent::Closed => {}
    }
}

#[inline(never)]
fn count_recv(figures: &Figures, len: usize, room: Option<usize>, received: &Received, bytes: u64) {
    if let Received::Value(wake) = received {
        figures.received(1, bytes);
        if wake.is_some() {
            // A waiting sender's value went in, or at a rendezvous straight here.
            figures.sent(1, bytes, len);
            if room == Some(0) {
                figures.matched();
            }
        }
    }
}
