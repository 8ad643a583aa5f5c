//! Started coroutines that change workers, because their spawner has allowed it.
//!
//! A worker with several ready coroutines offers those that may leave while another worker lacks
//! work; whoever looks for work takes one and becomes its home. What is offered counts as stealable
//! work: it is posted, and sleepers are woken, like a closure that has not started.
//!
//! ```text
//!    home, on its root context                      any worker, on its root context
//!    ready queue --> off the core --> [ offered ] --> on the core, home := me --> run
//! ```
//!
//! # Invariants
//!
//! 1. A coroutine that is offered is owned by the queue alone: see `coroutine::Migrant`.
//! 2. The queue's lock orders everything its former home did before what its next home does.
//! 3. Who offers looks at the queue again before it ends: nothing is left behind at shutdown.
//!
//! # Who calls this, and what it may call
//!
//! Workers, on their root context. Nothing here suspends.

use std::collections::VecDeque;

use super::dump::LiveCoroutine;
use super::worker::Worker;
use crate::coroutine::{Core, Migrant, sched};
use crate::prim::{AtomicUsize, Mutex, Ordering};

/// What one worker offers at a time.
const MOST: usize = 4;

/// The coroutines that any worker of a runtime may go on with.
#[derive(Debug, Default)]
pub(super) struct Migrants {
    queue: Mutex<VecDeque<Migrant>>,
    /// The length of the queue, for those who do not hold its lock. A hint, except after the sleep
    /// protocol's fence.
    waiting: AtomicUsize,
}

impl Migrants {
    /// Whether there is nothing to take. A hint, except after the sleep protocol's fence.
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    fn push(&self, migrants: Vec<Migrant>) {
        let mut queue = self.queue.lock();
        queue.extend(migrants);
        self.waiting.store(queue.len(), Ordering::Relaxed);
    }

    fn take(&self) -> Option<Migrant> {
        if self.is_empty() {
            return None;
        }
        let mut queue = self.queue.lock();
        let migrant = queue.pop_front();
        self.waiting.store(queue.len(), Ordering::Relaxed);
        migrant
    }

    /// What those who wait here are doing.
    pub(super) fn describe(&self) -> Vec<LiveCoroutine> {
        let queue = self.queue.lock();
        queue.iter().map(|migrant| LiveCoroutine::of(migrant.coroutine())).collect()
    }
}

impl Worker {
    /// Offers what may leave if somebody lacks work. On the root context.
    #[inline(always)]
    pub(super) fn offer_migrants(&self, core: &Core) {
        if core.migrates.get() && core.ready_len() > 1 && self.shared.is_anybody_hungry() {
            self.offer_some(core);
        }
    }

    #[cold]
    #[inline(never)]
    fn offer_some(&self, core: &Core) {
        let mut migrants = Vec::new();
        // SAFETY: this is the root context of the core's thread.
        unsafe { core.take_migrants(MOST, |migrant| migrants.push(migrant)) };
        if !migrants.is_empty() {
            self.shared.migrants.push(migrants);
            self.shared.wake_one();
        }
    }

    /// Goes on with a coroutine that was offered, if there is one. On the root context.
    #[cold]
    #[inline(never)]
    pub(super) fn run_migrant(&self, core: &Core) -> bool {
        let Some(migrant) = self.shared.migrants.take() else { return false };
        self.found_work();
        self.note_migration();
        // SAFETY: this is the root context of the core's thread; the migrant is in no queue and
        // suspended.
        unsafe {
            let coroutine = core.take_in(self.schedule(), migrant);
            sched::run(core, coroutine);
        }
        true
    }
}
