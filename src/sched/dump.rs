//! What the coroutines of a runtime are doing: each worker answers for its own.
//!
//! Who asks leaves a ticket with every worker; a worker completes it at its next round, on its own
//! thread, so that nothing of a coroutine is read by another thread. A worker that does not come
//! round in time is stuck in a coroutine that neither ends nor parks, and is reported as that.
//!
//! # Invariants
//!
//! 1. A ticket is in `tickets` before `asked` is set, and `asked` is cleared before the tickets are
//!    taken: none is left behind.
//! 2. Asking wakes the worker by the protocol of `parker.rs`, so an idle one answers too.
//!
//! # Who calls this, and what it may call
//!
//! Anybody asks, and waits as for any ticket. Workers answer on their root context.

#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::{Remote, Shared};
use crate::coroutine::{ControlRef, Core, State, WaitReason};
use crate::prim::{AtomicBool, Mutex, Ordering};
use crate::token::{self, Payload, Ticket};

/// Who asks one worker.
#[derive(Debug, Default)]
pub(super) struct Questions {
    pub(super) asked: AtomicBool,
    tickets: Mutex<Vec<Ticket>>,
}

impl Questions {
    /// Completes every ticket that was left here.
    ///
    /// `elsewhere` are coroutines that are on no worker at the moment.
    #[cold]
    #[inline(never)]
    pub(super) fn answer(&self, core: &Core, elsewhere: &[LiveCoroutine]) {
        self.asked.store(false, Ordering::Relaxed);
        let tickets = std::mem::take(&mut *self.tickets.lock());
        let live = core.live();
        for ticket in tickets {
            let here = live.iter().copied().map(LiveCoroutine::of);
            let answer: Vec<LiveCoroutine> = here.chain(elsewhere.iter().cloned()).collect();
            // Stale: the asker has stopped waiting.
            let _ = ticket.complete(Payload::value(answer));
        }
    }
}

/// A coroutine that has started and not ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LiveCoroutine {
    /// Its number.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// Where it stands.
    pub state: State,
    /// Why it waits.
    pub reason: WaitReason,
    /// On what: the address of a channel, the number of a coroutine or ticket, a descriptor, or the
    /// monotonic nanoseconds of a deadline, as the reason says.
    pub waits_on: u64,
}

impl LiveCoroutine {
    pub(super) fn of(coroutine: ControlRef) -> LiveCoroutine {
        let (reason, waits_on) = coroutine.reason();
        LiveCoroutine {
            id: coroutine.id(),
            name: coroutine.name(),
            spawned_at: coroutine.location(),
            state: coroutine.state(),
            reason,
            waits_on,
        }
    }
}

impl fmt::Display for LiveCoroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coroutine {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " \"{name}\"")?;
        }
        write!(f, " (spawned at {}) {}", self.spawned_at, self.state)?;
        if self.reason != WaitReason::None {
            write!(f, ", waiting: {:?} on {:#x}", self.reason, self.waits_on)?;
        }
        Ok(())
    }
}

/// One worker's part of a [`RuntimeDump`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerDump {
    /// Which worker.
    pub index: usize,
    /// Its coroutines; `None` if it did not answer in time: the coroutine that runs there neither
    /// ends nor parks, or the runtime has ended.
    pub coroutines: Option<Vec<LiveCoroutine>>,
}

/// What the coroutines of a runtime were doing, worker by worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RuntimeDump {
    /// One entry for each worker.
    pub workers: Vec<WorkerDump>,
    /// Coroutines that were spawned and have not ended, those that have not started included.
    pub alive: u64,
}

impl RuntimeDump {
    /// The coroutines of all workers that answered.
    pub fn coroutines(&self) -> impl Iterator<Item = &LiveCoroutine> {
        self.workers.iter().flat_map(|worker| worker.coroutines.iter().flatten())
    }

    /// The workers that did not answer.
    pub fn stuck_workers(&self) -> impl Iterator<Item = usize> {
        self.workers.iter().filter(|worker| worker.coroutines.is_none()).map(|worker| worker.index)
    }
}

impl fmt::Display for RuntimeDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} alive on {} workers", self.alive, self.workers.len())?;
        for worker in &self.workers {
            match &worker.coroutines {
                None => write!(f, "\nworker {}: stuck, or ended", worker.index)?,
                Some(coroutines) => {
                    write!(f, "\nworker {}: {} started", worker.index, coroutines.len())?;
                    for coroutine in coroutines {
                        write!(f, "\n  {coroutine}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Looks at a runtime from anywhere, also while somebody else ends it.
#[derive(Clone)]
pub struct Observer(Arc<Shared>);

impl Observer {
    pub(crate) fn new(shared: &Arc<Shared>) -> Observer {
        Observer(Arc::clone(shared))
    }

    /// Coroutines that were spawned and have not ended.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.0.alive()
    }

    /// Asks every worker what its coroutines are doing, and waits up to `patience` for the answers.
    ///
    /// Costs each worker a walk over its coroutines; nothing while nobody asks.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = kcoro::Runtime::builder().workers(1).build()?;
    /// let parked = rt.spawn(|| kcoro::park());
    /// while rt.observer().dump(Duration::from_secs(1)).coroutines().count() == 0 {}
    /// let dump = rt.observer().dump(Duration::from_secs(1));
    /// assert!(dump.to_string().contains("Park"));
    /// # drop(parked);
    /// # Ok::<(), kcoro::error::BuildError>(())
    /// ```
    #[must_use]
    pub fn dump(&self, patience: Duration) -> RuntimeDump {
        let deadline = Instant::now().checked_add(patience);
        let tickets: Vec<Ticket> = self.0.started().iter().map(|remote| ask(remote)).collect();
        let workers = tickets.into_iter().enumerate().map(|(index, ticket)| {
            let answer = match deadline {
                Some(deadline) => token::wait_deadline(ticket, deadline),
                None => token::wait(ticket),
            };
            let coroutines = answer.ok().and_then(|payload| payload.downcast().ok());
            WorkerDump { index, coroutines }
        });
        RuntimeDump { workers: workers.collect(), alive: self.0.alive() }
    }
}

fn ask(remote: &Remote) -> Ticket {
    let ticket = token::publish();
    remote.questions.tickets.lock().push(ticket);
    // The light fence in `wake` orders the flag before the look at the worker's sleep word.
    remote.questions.asked.store(true, Ordering::Relaxed);
    remote.wake();
    ticket
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("alive", &self.alive()).finish_non_exhaustive()
    }
}
