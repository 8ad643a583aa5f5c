//! The wait word: partner, timeout and cancel race for one wait; the owner's frame and the slot's
//! next wait stay safe. One mutant for each ordering.

use super::*;
use crate::prim::{Arc, AtomicU32, UnsafeCell};
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

struct Shared<O> {
    word: WaitWord<O>,
    /// What the owner writes before it arms, and the winner touches.
    frame: UnsafeCell<u32>,
    wakes: AtomicU32,
}

fn three_claimers<O: Orders + 'static>() {
    loom::model(|| {
        let shared = Arc::new(Shared::<O> {
            word: WaitWord::new(),
            frame: UnsafeCell::new(0),
            wakes: AtomicU32::new(0),
        });
        let claimers = [Outcome::Ready(3), Outcome::TimedOut].map(|outcome| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || claim_as(&shared, outcome))
        });
        // SAFETY: the word is idle, so nobody else touches the frame.
        shared.frame.with_mut(|frame| unsafe { *frame = 1 });
        assert_eq!(shared.word.arm(), Some(1));
        // The others may come before the wait begins; this one cannot.
        let mut won = u32::from(claim_as(&shared, Outcome::Cancelled));
        for claimer in claimers {
            won += u32::from(claimer.join().unwrap());
        }
        assert_eq!(won, 1);
        assert_eq!(shared.wakes.load(Ordering::Relaxed), 1);
        assert!(!shared.word.is_waiting(1));
        // SAFETY: every claimer has been joined.
        shared.frame.with(|frame| assert_eq!(unsafe { *frame }, 2));
        // The next wait: the old generation loses.
        assert_eq!(shared.word.arm(), Some(2));
        assert_eq!(shared.word.claim(1, Outcome::Closed), Err(Refused::Lost));
        assert!(shared.word.retract(2));
    });
}

fn claim_as<O: Orders>(shared: &Shared<O>, outcome: Outcome) -> bool {
    if shared.word.claim(1, outcome).is_err() {
        return false;
    }
    assert_eq!(shared.word.outcome(), outcome, "the outcome is the winner's");
    // SAFETY: the winner owns the frame.
    shared.frame.with_mut(|frame| unsafe { *frame += 1 });
    shared.wakes.fetch_add(1, Ordering::Relaxed);
    true
}

#[test]
fn loom_one_of_three_wins() {
    three_claimers::<Shipped>();
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_arm() {
    three_claimers::<RelaxedArm>();
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_claim() {
    three_claimers::<RelaxedClaim>();
}

#[test]
fn loom_retract_or_claim() {
    loom::model(|| {
        let word = Arc::new(WaitWord::<Shipped>::new());
        assert_eq!(word.arm(), Some(1));
        let other = Arc::clone(&word);
        let partner = thread::spawn(move || other.claim(1, Outcome::Closed).is_ok());
        let retracted = word.retract(1);
        assert_ne!(partner.join().unwrap(), retracted);
    });
}

#[test]
fn loom_exclusive_under_a_lock() {
    loom::model(|| {
        let word = Arc::new(WaitWord::<Shipped>::new());
        let lock = Arc::new(loom::sync::Mutex::new(0));
        assert_eq!(word.arm(), Some(1));
        let claimers = [0, 1].map(|arm| {
            let (word, lock) = (Arc::clone(&word), Arc::clone(&lock));
            thread::spawn(move || {
                let mut won = lock.lock().unwrap();
                *won += u32::from(word.claim_exclusive(1, Outcome::Ready(arm)));
            })
        });
        for claimer in claimers {
            claimer.join().unwrap();
        }
        assert_eq!(*lock.lock().unwrap(), 1);
    });
}

/// Two that hold no common lock both believe that they won, or the debug check fires.
#[test]
#[should_panic]
fn loom_mutant_exclusive_without_lock() {
    loom::model(|| {
        let word = Arc::new(WaitWord::<Shipped>::new());
        assert_eq!(word.arm(), Some(1));
        let other = Arc::clone(&word);
        let partner = thread::spawn(move || other.claim_exclusive(1, Outcome::Closed));
        let here = word.claim_exclusive(1, Outcome::Ready(0));
        assert_ne!(partner.join().unwrap(), here);
    });
}
