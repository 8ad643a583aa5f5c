//! Where a channel's operations meet its figures.
//!
//! Each way of a value through the channel counts itself, in the branch that takes it, with one
//! plain addition; everything else is worked out when somebody asks.

#![forbid(unsafe_code)]

use super::metrics::{Failure, Snapshot};
use super::shared::{End, Shared, Side};

impl<T> Shared<T> {
    /// Counts a value that went into the buffer, which now holds `len`. While nobody else sends.
    #[inline(always)]
    pub(super) fn count_stored(&self, len: impl FnOnce() -> usize) {
        if let Some(figures) = &self.figures {
            figures.stored(len());
        }
    }

    /// Counts a value that went straight to a waiting receiver. Under the lock.
    #[inline(always)]
    pub(super) fn count_handed(&self) {
        if let Some(figures) = &self.figures {
            figures.handed();
        }
    }

    /// Counts a value that came out, while nobody else receives; `from_waiter`: a waiting sender's went
    /// in, or straight here, under the lock.
    #[inline(always)]
    pub(super) fn count_taken(&self, from_waiter: bool) {
        if let Some(figures) = &self.figures {
            figures.taken();
            if from_waiter {
                figures.fetched();
            }
        }
    }

    /// Counts a value that a waiting receiver was given and did not take: it is in the buffer now.
    /// Under the lock.
    pub(super) fn count_handed_back(&self) {
        if let Some(figures) = &self.figures {
            figures.handed_back();
        }
    }

    /// Counts a value that was taken out and is in the buffer again. Under the lock.
    pub(super) fn count_taken_back(&self) {
        if let Some(figures) = &self.figures {
            figures.taken_back();
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
            figures.read(&mut snapshot, self.capacity == Some(0), size_of::<T>());
        }
        snapshot
    }
}
