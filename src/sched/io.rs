//! Coroutines of one worker that wait for file descriptors.
//!
//! Each worker has a poller of its own, made when the first of its coroutines waits: coroutines do
//! not change threads, so neither do their interests. A descriptor may have several waiters in each
//! direction, on several workers.
//!
//! # Invariants
//!
//! 1. A descriptor in `entries` has a waiter, and is armed for what its waiters want.
//! 2. A waiter is taken out before its wait ends: by the report, or by its own guard.
//! 3. Claims are woken after the table was left.
//!
//! # Who calls this, and what it may call
//!
//! The worker polls; its coroutines register. Nothing here suspends.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::Arc;

use crate::sys::Errno;
use crate::sys::poller::{Interrupt, Poller};
use crate::token::{Claim, Outcome, SlotRef, Wait};

/// One direction of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Reading would not block.
    Readable,
    /// Writing would not block.
    Writable,
}

#[derive(Debug)]
struct Waiter {
    interest: Interest,
    slot: SlotRef,
    generation: u32,
}

/// The descriptors that coroutines of one worker wait for.
#[derive(Debug)]
pub(super) struct Descriptors {
    poller: Option<Poller>,
    entries: HashMap<RawFd, Vec<Waiter>>,
}

impl Descriptors {
    pub(super) fn new() -> Descriptors {
        Descriptors { poller: None, entries: HashMap::new() }
    }

    /// Whether anybody waits here.
    pub(super) fn is_active(&self) -> bool {
        !self.entries.is_empty()
    }

    /// What other threads ring to get the worker out of its poller.
    pub(super) fn interrupt(&self) -> Option<Arc<Interrupt>> {
        self.poller.as_ref().map(Poller::interrupt)
    }

    /// Registers a wait. `Ok(false)`: the descriptor is of a kind that never blocks.
    pub(super) fn register(
        &mut self,
        fd: RawFd,
        interest: Interest,
        wait: &Wait,
    ) -> Result<bool, Errno> {
        if self.poller.is_none() {
            self.poller = Some(Poller::new()?);
        }
        let waiter = Waiter { interest, slot: wait.slot(), generation: wait.generation() };
        self.entries.entry(fd).or_default().push(waiter);
        match self.arm(fd) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.withdraw(fd, wait);
                if error == Errno::NOT_POLLABLE { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Takes a wait out that has ended otherwise, or does nothing if it was reported.
    pub(super) fn withdraw(&mut self, fd: RawFd, wait: &Wait) {
        let Some(waiters) = self.entries.get_mut(&fd) else { return };
        waiters.retain(|w| !(w.slot.same(wait.slot()) && w.generation == wait.generation()));
        if waiters.is_empty() {
            self.entries.remove(&fd);
            if let Some(poller) = &self.poller {
                poller.remove(fd);
            }
        }
    }

    fn arm(&self, fd: RawFd) -> Result<(), Errno> {
        let (Some(poller), Some(waiters)) = (&self.poller, self.entries.get(&fd)) else {
            return Ok(());
        };
        let wants = |interest| waiters.iter().any(|w| w.interest == interest);
        poller.rearm(fd, fd as u64, wants(Interest::Readable), wants(Interest::Writable))
    }

    /// Waits up to `timeout` nanoseconds (`None`: for ever, `Some(0)`: not at all) for a descriptor
    /// or an interrupt; returns the claims to wake.
    #[must_use = "the coroutines sleep until they are woken"]
    pub(super) fn poll(&mut self, timeout: Option<u64>) -> Vec<Claim> {
        let mut claims = Vec::new();
        let Some(poller) = &self.poller else { return claims };
        if timeout == Some(0) && self.entries.is_empty() {
            return claims;
        }
        let mut ready = Vec::new();
        poller.wait(timeout, |event| ready.push(event));
        for event in ready {
            let fd = event.key as RawFd;
            let Some(waiters) = self.entries.get_mut(&fd) else { continue };
            waiters.retain(|w| {
                let hit = match w.interest {
                    Interest::Readable => event.readable,
                    Interest::Writable => event.writable,
                };
                if hit {
                    claims.extend(w.slot.claim(w.generation, Outcome::Ready(0)));
                }
                !hit
            });
            if waiters.is_empty() {
                self.entries.remove(&fd);
            } else if self.arm(fd).is_err() {
                // It was closed: those who still wait find out when they are woken.
                for w in self.entries.remove(&fd).into_iter().flatten() {
                    claims.extend(w.slot.claim(w.generation, Outcome::Ready(0)));
                }
            }
        }
        claims
    }
}
