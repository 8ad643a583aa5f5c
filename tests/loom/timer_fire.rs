//! A deadline against a partner and a cancel: the wheel fires on the waiter's own thread, the others
//! claim from theirs, and the waiter takes its timer out when it goes on. From the wheel and the wait
//! word as they ship.

use super::*;
use crate::prim::{Arc, AtomicBool, UnsafeCell};
use crate::timer::Wheel;
use loom::thread;

/// `arm` publishes nothing.
struct RelaxedArm;
impl Orders for RelaxedArm {
    const ARM: Ordering = Ordering::Relaxed;
}

/// `claim` sees nothing.
struct RelaxedClaim;
impl Orders for RelaxedClaim {
    const CLAIM: Ordering = Ordering::Relaxed;
}

/// What becomes of the timer of a wait that ended otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// The waiter takes it out.
    Disarmed,
    /// It stays and falls due later.
    Left,
}

/// Whose wait a timer ends that falls due.
#[derive(Clone, Copy)]
enum Fires {
    /// The one it was armed for: its ticket has the generation.
    ItsOwn,
    /// Whatever waits in the slot.
    Whatever,
}

struct Shared<O> {
    word: WaitWord<O>,
    /// What the waiter writes before it arms, and who ends the wait touches.
    frame: UnsafeCell<u32>,
    /// The letter that tells the waiter's thread of the wake-up.
    woken: AtomicBool,
    wake: Ordering,
}

impl<O: Orders> Shared<O> {
    fn end(&self, generation: u32, outcome: Outcome) -> bool {
        let won = self.word.claim(generation, outcome).is_ok();
        if won {
            // SAFETY: the winner owns the frame.
            self.frame.with_mut(|frame| unsafe { *frame += 1 });
        }
        won
    }

    fn end_from_afar(&self, outcome: Outcome) {
        if self.end(1, outcome) {
            assert!(!self.woken.swap(true, self.wake), "woken twice");
        }
    }
}

const DUE: u64 = 1;
const LATER: u64 = 1 << 40;

fn race<O: Orders + 'static>(wake: Ordering, after: After, fires: Fires) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(Shared::<O> {
            word: WaitWord::new(),
            frame: UnsafeCell::new(0),
            woken: AtomicBool::new(false),
            wake,
        });
        let others = || {
            [Outcome::Ready(0), Outcome::Cancelled].map(|outcome| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.end_from_afar(outcome))
            })
        };
        // They may come too early; without a timer that fires, one of them must not.
        let early = (after == After::Disarmed).then(others);
        let mut wheel = Wheel::new(0);
        // SAFETY: the word is idle, so nobody else touches the frame.
        shared.frame.with_mut(|frame| unsafe { *frame = 1 });
        assert_eq!(shared.word.arm(), Some(1));
        let key = wheel.insert(DUE, 1).expect("not for ever");
        let others = early.unwrap_or_else(others);
        // A round of the worker: letters, then timers; here the time has come in the first.
        let mut over = shared.woken.load(Ordering::Acquire);
        if !over && after == After::Disarmed {
            wheel
                .advance(DUE, |generation| over = shared.end(generation as u32, Outcome::TimedOut));
            if over {
                assert_eq!(shared.word.outcome(), Outcome::TimedOut);
            }
        }
        while !over {
            thread::yield_now();
            over = shared.woken.load(Ordering::Acquire);
        }
        // The waiter goes on.
        if after == After::Disarmed {
            wheel.cancel(key);
            assert_eq!(wheel.len(), 0);
        }
        // SAFETY: the wait has ended, and whoever ended it has let the waiter know.
        shared.frame.with_mut(|frame| unsafe {
            assert_eq!(*frame, 2);
            *frame = 3;
        });
        // Its next wait: what is left of the first one must not end it.
        assert_eq!(shared.word.arm(), Some(2));
        wheel.insert(LATER, 2);
        wheel.advance(DUE, |generation| {
            let generation = match fires {
                Fires::ItsOwn => generation as u32,
                Fires::Whatever => 2,
            };
            assert!(!shared.end(generation, Outcome::TimedOut), "a late timer ended another wait");
        });
        assert!(shared.word.retract(2));
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn loom_the_deadline_or_another() {
    race::<Shipped>(Ordering::AcqRel, After::Disarmed, Fires::ItsOwn);
}

#[test]
fn loom_a_timer_that_was_left_is_harmless() {
    race::<Shipped>(Ordering::AcqRel, After::Left, Fires::ItsOwn);
}

/// A timer without a generation ends the wait after its own.
#[test]
#[should_panic]
fn loom_mutant_no_generation() {
    race::<Shipped>(Ordering::AcqRel, After::Left, Fires::Whatever);
}

/// Who ends the wait from afar does not see what the waiter wrote before.
#[test]
#[should_panic]
fn loom_mutant_timer_relaxed_arm() {
    race::<RelaxedArm>(Ordering::AcqRel, After::Disarmed, Fires::ItsOwn);
}

#[test]
#[should_panic]
fn loom_mutant_timer_relaxed_claim() {
    race::<RelaxedClaim>(Ordering::AcqRel, After::Disarmed, Fires::ItsOwn);
}

/// The waiter does not see what was done for it.
#[test]
#[should_panic]
fn loom_mutant_relaxed_letter() {
    race::<Shipped>(Ordering::Relaxed, After::Disarmed, Fires::ItsOwn);
}
