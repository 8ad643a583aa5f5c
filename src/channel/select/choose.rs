//! The choice itself, and the select whose arms are known only when it runs.

use super::operation::{Operation, Place};
use super::order::Order;
use crate::coroutine::{self, WaitReason};
use crate::token::{Outcome, Wait};
use std::fmt;
use std::time::{Duration, Instant};

/// Arms that a [`Select`] holds without allocating.
const INLINE: usize = 8;

/// Restarts in a row before others are let run in between.
const HASTY: u32 = 4;

/// For `select!`: chooses an arm that need not wait.
#[doc(hidden)]
pub fn choose_now(arms: &mut [&mut dyn Operation], biased: bool) -> Option<usize> {
    order(arms.len(), biased).find(|&at| arms[at].try_now())
}

/// For `select!`: waits until an arm is chosen. Without arms it waits for ever.
#[doc(hidden)]
pub fn choose_wait(arms: &mut [&mut dyn Operation], biased: bool) -> usize {
    choose(arms, biased, None, false).expect("without a deadline it ends with an arm")
}

fn order(len: usize, biased: bool) -> Order {
    if biased { Order::given(len) } else { Order::fair(len) }
}

/// Waits until an arm is chosen, or until `deadline`. With `watch` the arms are enlisted to look
/// only, and the chosen one has done nothing.
///
/// # Panics
///
/// If there are too many arms to be numbered, or an arm does.
fn choose(
    arms: &mut [&mut dyn Operation],
    biased: bool,
    deadline: Option<Instant>,
    watch: bool,
) -> Option<usize> {
    assert!(arms.len() <= 1 << 16, "a select has at most 65536 arms");
    let mut restarts = 0;
    loop {
        if !watch && let Some(at) = choose_now(arms, biased) {
            return Some(at);
        }
        if let Some(at) = arms.iter_mut().position(|arm| arm.prepare()) {
            return Some(at);
        }
        // From here to the park no code of the user's runs: a wait that has begun must be ended, and
        // a party has one at a time.
        let on = arms.first().map_or(0, |arm| std::ptr::from_ref(*arm).addr());
        let wait = Wait::begin_for(WaitReason::Select, on);
        let (slot, generation) = (wait.slot(), wait.generation());
        let mut enlisted = Enlisted(&mut *arms);
        let mut ready = None;
        for at in order(enlisted.0.len(), biased || !watch) {
            let arm = u16::try_from(at).expect("there are not more, see above");
            if !enlisted.0[at].enlist(Place { slot, generation, arm, watch }) {
                ready = Some(at);
                break;
            }
        }
        let outcome = if let Some(at) = ready {
            match wait.retract() {
                Ok(()) => {
                    drop(enlisted);
                    if watch {
                        return Some(at);
                    }
                    restarts += 1;
                    if restarts > HASTY {
                        give_way();
                    }
                    continue;
                }
                // Someone has chosen meanwhile, and the wake is on its way.
                Err(claimed) => claimed.park(),
            }
        } else {
            let own = enlisted.0.iter().filter_map(|arm| arm.deadline());
            match own.chain(deadline).min() {
                Some(earliest) => wait.park_deadline(earliest),
                None => wait.park(),
            }
        };
        let chosen = match outcome {
            Outcome::Ready(arm) => Some(usize::from(arm)),
            _ => None,
        };
        enlisted.leave_but(chosen);
        std::mem::forget(enlisted);
        match chosen {
            Some(at) if watch => {
                arms[at].leave();
                return Some(at);
            }
            Some(at) if arms[at].chosen() => return Some(at),
            Some(_) => {}
            None => {
                let now = Instant::now();
                let due = |arm: &&mut dyn Operation| arm.deadline().is_some_and(|at| at <= now);
                if let Some(at) = arms.iter().position(due) {
                    return Some(at);
                }
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return None;
                }
            }
        }
    }
}

/// Two selects that find each other again and again: one of them must be slower.
#[cold]
fn give_way() {
    coroutine::yield_now();
}

/// Arms that may be enlisted; they leave when this is dropped.
struct Enlisted<'a, 'b>(&'a mut [&'b mut dyn Operation]);

impl Enlisted<'_, '_> {
    fn leave_but(&mut self, chosen: Option<usize>) {
        for (at, arm) in self.0.iter_mut().enumerate() {
            if Some(at) != chosen {
                arm.leave();
            }
        }
    }
}

impl Drop for Enlisted<'_, '_> {
    fn drop(&mut self) {
        self.leave_but(None);
    }
}

/// A select whose arms are put together as the program runs.
///
/// Arms are values of their own: [`Receiver::arm`](crate::channel::Receiver::arm),
/// [`Sender::arm`](crate::channel::Sender::arm), [`after`](super::after),
/// [`Cancelled::arm`](crate::cancel::Cancelled::arm). The one that was chosen has done its operation
/// and gives its result; the others have done nothing, and a send arm still has its value. Up to 8
/// arms nothing is allocated.
///
/// # Examples
///
/// ```
/// use kcoro::channel::{self, Arm, Select};
///
/// let (tx, rx) = channel::bounded(1);
/// let (full, _keep) = channel::bounded(1);
/// full.send("full").unwrap();
/// tx.send(7).unwrap();
///
/// let (mut receive, mut send) = (rx.arm(), full.arm("later"));
/// let mut select = Select::new();
/// let received = select.add(&mut receive);
/// let sent = select.add(&mut send);
/// let chosen = select.wait();
/// assert!(chosen == received && chosen != sent);
/// assert_eq!(receive.take(), Ok(7));
/// assert_eq!(send.unsent(), Some("later"));
/// ```
pub struct Select<'a> {
    inline: [&'a mut dyn Operation; INLINE],
    /// All of them, once there are too many.
    more: Vec<&'a mut dyn Operation>,
    len: usize,
    biased: bool,
}

impl<'a> Select<'a> {
    /// A select without arms: waiting on it is waiting for ever.
    #[must_use]
    pub fn new() -> Select<'a> {
        Select { inline: [(); INLINE].map(|()| no_arm()), more: Vec::new(), len: 0, biased: false }
    }

    /// Of several arms that could go on, the one that was added first is chosen, and not a random
    /// one.
    #[must_use]
    pub fn biased(mut self) -> Select<'a> {
        self.biased = true;
        self
    }

    /// Adds an arm and returns its number: 0, 1, 2 and so on.
    pub fn add(&mut self, arm: &'a mut dyn Operation) -> usize {
        let number = self.len;
        self.len += 1;
        if number < INLINE {
            self.inline[number] = arm;
        } else {
            if number == INLINE {
                self.more.extend(self.inline.iter_mut().map(|at| std::mem::replace(at, no_arm())));
            }
            self.more.push(arm);
        }
        number
    }

    fn arms(&mut self) -> &mut [&'a mut dyn Operation] {
        if self.more.is_empty() { &mut self.inline[..self.len] } else { &mut self.more }
    }

    /// Waits until one arm has done its operation, and returns its number. Without arms: for ever.
    pub fn wait(&mut self) -> usize {
        let biased = self.biased;
        choose_wait(self.arms(), biased)
    }

    /// As [`wait`](Self::wait), if an arm need not wait; otherwise `None`, and no arm has done
    /// anything.
    pub fn try_wait(&mut self) -> Option<usize> {
        let biased = self.biased;
        choose_now(self.arms(), biased)
    }

    /// As [`wait`](Self::wait) for at most `timeout`; `None` if it is over, and no arm has done
    /// anything.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<usize> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.wait_deadline(deadline),
            None => Some(self.wait()),
        }
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline`.
    pub fn wait_deadline(&mut self, deadline: Instant) -> Option<usize> {
        let biased = self.biased;
        choose(self.arms(), biased, Some(deadline), false)
    }

    /// Waits until an arm could go on, and returns its number without doing its operation. Another
    /// party may be faster, so that the operation has to wait after all.
    pub fn ready(&mut self) -> usize {
        let biased = self.biased;
        choose(self.arms(), biased, None, true).expect("without a deadline it ends with an arm")
    }

    /// As [`ready`](Self::ready) for at most `timeout`.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Option<usize> {
        let biased = self.biased;
        choose(self.arms(), biased, Instant::now().checked_add(timeout), true)
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Select::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("arms", &self.len).field("biased", &self.biased).finish()
    }
}

/// Fills the places of arms that are not there; it has no size, so that nothing is allocated.
struct NoArm;

fn no_arm<'a>() -> &'a mut dyn Operation {
    Box::leak(Box::new(NoArm))
}

impl super::operation::Sealed for NoArm {}

impl Operation for NoArm {
    fn try_now(&mut self) -> bool {
        false
    }

    fn enlist(&mut self, _: Place) -> bool {
        true
    }

    fn leave(&mut self) {}
}

#[cfg(all(test, loom))]
#[path = "../../../tests/loom/channel_select.rs"]
mod loom_tests;
