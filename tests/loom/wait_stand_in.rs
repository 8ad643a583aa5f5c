//! Waits of loom's threads: the wait word that ships, and loom's own sleep under it.
//!
//! Slots live for ever, as they do in the table: a partner that comes too late may still ask one.

use super::state::{Outcome, Shipped, WaitWord};
use crate::coroutine::WaitReason;
use crate::prim::{AtomicBool, Ordering};
use loom::sync::Notify;
use std::cell::Cell;
use std::time::Instant;

struct Slot {
    word: WaitWord<Shipped>,
    /// Whether the present wait has been woken.
    woken: AtomicBool,
    bell: Notify,
}

impl Slot {
    fn new() -> Slot {
        Slot { word: WaitWord::new(), woken: AtomicBool::new(false), bell: Notify::new() }
    }

    fn sleep(&self) {
        // Acquire from the Release of `wake`. The bell may ring for nothing.
        while !self.woken.load(Ordering::Acquire) {
            self.bell.wait();
        }
        self.woken.store(false, Ordering::Relaxed);
    }
}

loom::thread_local! {
    static OWN: Cell<Option<&'static Slot>> = Cell::new(None);
}

#[derive(Clone, Copy)]
pub(crate) struct SlotRef {
    slot: &'static Slot,
}

impl SlotRef {
    pub(crate) fn claim(self, generation: u32, outcome: Outcome) -> Option<Claim> {
        self.slot.word.claim(generation, outcome).ok().map(|()| Claim { slot: self.slot })
    }

    pub(crate) fn claim_exclusive(self, generation: u32, outcome: Outcome) -> Option<Claim> {
        let won = self.slot.word.claim_exclusive(generation, outcome);
        won.then_some(Claim { slot: self.slot })
    }

    pub(crate) fn same(self, other: SlotRef) -> bool {
        std::ptr::eq(self.slot, other.slot)
    }
}

impl std::fmt::Debug for SlotRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.slot.word.fmt(f)
    }
}

#[must_use]
pub(crate) struct Claim {
    slot: &'static Slot,
}

impl Claim {
    pub(crate) fn wake(self) {
        // Release to the Acquire of `sleep`.
        self.slot.woken.store(true, Ordering::Release);
        self.slot.bell.notify();
    }
}

#[must_use]
pub(crate) struct Wait {
    slot: &'static Slot,
    generation: u32,
}

impl Wait {
    pub(crate) fn begin_for(_: WaitReason, _: usize) -> Wait {
        let slot = OWN.with(|own| {
            let slot = own.get().unwrap_or_else(|| Box::leak(Box::new(Slot::new())));
            own.set(Some(slot));
            slot
        });
        let generation = slot.word.arm().expect("a model waits a few times");
        Wait { slot, generation }
    }

    pub(crate) fn slot(&self) -> SlotRef {
        SlotRef { slot: self.slot }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn park(self) -> Outcome {
        self.slot.sleep();
        self.slot.word.outcome()
    }

    /// A deadline passes at once.
    pub(crate) fn park_deadline(self, _: Instant) -> Outcome {
        if self.slot.word.claim(self.generation, Outcome::TimedOut).is_err() {
            self.slot.sleep();
        }
        self.slot.word.outcome()
    }

    pub(crate) fn retract(self) -> Result<(), Wait> {
        if self.slot.word.retract(self.generation) { Ok(()) } else { Err(self) }
    }
}
