//! Waiting for file descriptors.
//!
//! Each worker has a poller of its own, made when the first of its coroutines waits: coroutines do
//! not change threads, so neither do their interests. (One that may migrate waits like one that is
//! driven by hand.) A descriptor may have several waiters in each
//! direction, on several workers. A plain thread blocks; a coroutine driven by hand waits at the
//! thread of `watcher.rs`.
//!
//! # Invariants
//!
//! 1. A descriptor in `entries` has a waiter, and is armed for what its waiters want.
//! 2. A waiter is taken out before its wait ends: by the report, or by its own guard.
//! 3. Claims are woken after the table was left.
//! 4. A report wakes everybody who waits for it, and each looks again: it may be about a file that
//!    had the number before, or another may have taken what there was.
//!
//! # Who calls this, and what it may call
//!
//! The worker polls; its coroutines register, and suspend in [`wait_ready`] only.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::{watcher, worker::current_worker};
use crate::cancel::CancelToken;
use crate::coroutine::{WaitReason, current_waiter};
use crate::sys::poller::{Interrupt, Poller, Ready, block_until_ready};
use crate::sys::{Errno, clock};
use crate::timer::{self, FOREVER};
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
    poller: Option<Arc<Poller>>,
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
        self.poller.as_ref().map(|poller| poller.interrupt())
    }

    /// Registers a wait. `Ok(false)`: the descriptor is of a kind that never blocks.
    pub(super) fn register(
        &mut self,
        fd: RawFd,
        interest: Interest,
        wait: &Wait,
    ) -> Result<bool, Errno> {
        if self.poller.is_none() {
            self.poller = Some(Arc::new(Poller::new()?));
        }
        let waiter = Waiter { interest, slot: wait.slot(), generation: wait.generation() };
        self.entries.entry(fd).or_default().push(waiter);
        match self.arm(fd) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.withdraw(fd, wait.slot(), wait.generation());
                if error == Errno::NOT_POLLABLE { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Takes a wait out that has ended otherwise, or does nothing if it was reported.
    pub(super) fn withdraw(&mut self, fd: RawFd, slot: SlotRef, generation: u32) {
        let Some(waiters) = self.entries.get_mut(&fd) else { return };
        waiters.retain(|w| !(w.slot.same(slot) && w.generation == generation));
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

    /// The poller, for a thread that waits in it without holding the table.
    pub(super) fn poller(&self) -> Option<Arc<Poller>> {
        self.poller.clone()
    }

    /// Waits up to `timeout` nanoseconds (`None`: for ever, `Some(0)`: not at all) for a descriptor
    /// or an interrupt; returns the claims to wake.
    #[must_use = "the coroutines sleep until they are woken"]
    pub(super) fn poll(&mut self, timeout: Option<u64>) -> Vec<Claim> {
        let Some(poller) = &self.poller else { return Vec::new() };
        if timeout == Some(0) && self.entries.is_empty() {
            return Vec::new();
        }
        let mut ready = Vec::new();
        poller.wait(timeout, |event| ready.push(event));
        self.report(ready)
    }

    /// Ends the waits that `ready` is about; returns the claims to wake.
    #[must_use = "the coroutines sleep until they are woken"]
    pub(super) fn report(&mut self, ready: Vec<Ready>) -> Vec<Claim> {
        let mut claims = Vec::new();
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

/// What may end a wait besides the descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// Nanoseconds of the clock.
    pub(crate) deadline: u64,
    pub(crate) cancel: Option<&'a CancelToken>,
}

impl Limits<'_> {
    fn is_over(&self) -> bool {
        self.deadline != FOREVER && clock::now() >= self.deadline
    }

    /// Whether the token, which comes before everything else, is cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(CancelToken::is_cancelled)
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The descriptor is ready.
    Ready,
    /// The deadline has passed.
    TimedOut,
    /// The token was cancelled.
    Cancelled,
}

/// Waits until `fd` is ready, within `limits`.
///
/// # Errors
///
/// The kernel's: it is not open, or cannot be watched.
pub(crate) fn wait_ready(
    fd: RawFd,
    interest: Interest,
    limits: Limits<'_>,
) -> Result<Waited, Errno> {
    let readable = interest == Interest::Readable;
    let deadline = limits.deadline;
    loop {
        if limits.is_cancelled() {
            return Ok(Waited::Cancelled);
        }
        if block_until_ready(fd, readable, Some(0))? {
            return Ok(Waited::Ready);
        }
        if limits.is_over() {
            return Ok(Waited::TimedOut);
        }
        let me = current_waiter();
        if me.is_none() && limits.cancel.is_none() {
            let until = (deadline != FOREVER).then_some(deadline);
            let ready = block_until_ready(fd, readable, until)?;
            return Ok(if ready { Waited::Ready } else { Waited::TimedOut });
        }
        let reason = if readable { WaitReason::Readable } else { WaitReason::Writable };
        let wait = Wait::begin_for(reason, fd as usize);
        // One that may leave this worker waits at the thread that belongs to none, and so does a
        // thread, which could not be cancelled in the kernel.
        let stays = me.is_some_and(|me| me.is_scheduled() && !me.is_migratable());
        let registered = match (stays, current_worker()) {
            (true, Some(worker)) => worker.descriptors.borrow_mut().register(fd, interest, &wait),
            _ => watcher::register(fd, interest, &wait),
        };
        match registered {
            Ok(true) => {}
            other => {
                // Registered nowhere, so nobody can have claimed it.
                let retracted = wait.retract();
                debug_assert!(retracted.is_ok(), "a wait that nobody knows of was claimed");
                return other.map(|_| Waited::Ready);
            }
        }
        let guard = Withdraw { fd, slot: wait.slot(), generation: wait.generation(), stays };
        let cancel = limits.cancel.map(|token| token.end_wait(wait.slot(), wait.generation()));
        // A report has taken the wait out of the table; anything else leaves that to the guard.
        if timer::park_deadline(wait, deadline) == Outcome::Ready(0) {
            core::mem::forget(guard);
        }
        drop(cancel);
    }
}

/// Takes a wait that ended otherwise than by a report out of the table.
struct Withdraw {
    fd: RawFd,
    slot: SlotRef,
    generation: u32,
    /// It waits at its worker.
    stays: bool,
}

impl Drop for Withdraw {
    fn drop(&mut self) {
        let Withdraw { fd, slot, generation, stays } = *self;
        match current_worker() {
            Some(worker) if stays => {
                worker.descriptors.borrow_mut().withdraw(fd, slot, generation);
            }
            _ => watcher::withdraw(fd, slot, generation),
        }
    }
}
