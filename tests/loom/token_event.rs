//! A published ticket: completer and canceller race while the owner parks; the payload reaches the
//! owner once, the party reaches the winner, nobody is woken twice or never. A mutant per ordering.

use super::*;
use crate::prim::{Arc, AtomicU32, UnsafeCell};
use loom::thread;

struct RelaxedPublish;
impl Orders for RelaxedPublish {
    const PUBLISH: Ordering = Ordering::Relaxed;
}

struct RelaxedClaim;
impl Orders for RelaxedClaim {
    const CLAIM: Ordering = Ordering::Relaxed;
}

/// The owner misses the payload.
struct ReleasePark;
impl Orders for ReleasePark {
    const PARK: Ordering = Ordering::Release;
}

/// The winner misses the party.
struct AcquirePark;
impl Orders for AcquirePark {
    const PARK: Ordering = Ordering::Acquire;
}

/// The owner misses the payload.
struct AcquireDeliver;
impl Orders for AcquireDeliver {
    const DELIVER: Ordering = Ordering::Acquire;
}

/// The winner misses the party.
struct ReleaseDeliver;
impl Orders for ReleaseDeliver {
    const DELIVER: Ordering = Ordering::Release;
}

struct Shared {
    word: AtomicU64,
    cargo: UnsafeCell<u32>,
    party: UnsafeCell<u32>,
    wakes: AtomicU32,
    wins: AtomicU32,
}

fn finish<O: Orders>(shared: &Shared, cargo: u32) {
    let Some(parked) = claim::<O>(&shared.word, 1, Outcome::Ready(0)) else { return };
    shared.wins.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the winner owns the cargo.
    shared.cargo.with_mut(|cell| unsafe { *cell = cargo });
    if deliver::<O>(&shared.word, parked) == Deliver::Wake {
        // SAFETY: the owner sleeps and has published the party.
        shared.party.with(|party| assert_eq!(unsafe { *party }, 2));
        shared.wakes.fetch_add(1, Ordering::Release);
    }
}

fn race<O: Orders + 'static>() {
    loom::model(|| {
        let shared = Arc::new(Shared {
            word: AtomicU64::new(0),
            cargo: UnsafeCell::new(0),
            party: UnsafeCell::new(0),
            wakes: AtomicU32::new(0),
            wins: AtomicU32::new(0),
        });
        let finishers = [10, 20].map(|cargo| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || finish::<O>(&shared, cargo))
        });
        // SAFETY: not published yet.
        shared.cargo.with_mut(|cell| unsafe { *cell = 1 });
        assert_eq!(publish::<O>(&shared.word), Some(1));
        // As `on_complete` does: the owner changes the party before it parks.
        // SAFETY: only a winner that has seen PARKED reads it.
        shared.party.with_mut(|party| unsafe { *party = 2 });
        let parked = park::<O>(&shared.word);
        if parked == Park::Done {
            // SAFETY: done, so the cargo is the owner's.
            shared.cargo.with(|cell| assert!(unsafe { *cell } >= 10));
            retire(&shared.word);
        } else if shared.wakes.load(Ordering::Acquire) == 1 {
            // SAFETY: woken, so the cargo is the owner's.
            shared.cargo.with(|cell| assert!(unsafe { *cell } >= 10));
        }
        for finisher in finishers {
            finisher.join().unwrap();
        }
        let (wins, wakes) =
            (shared.wins.load(Ordering::Relaxed), shared.wakes.load(Ordering::Relaxed));
        assert!(wins <= 1);
        assert_eq!(wakes, if parked == Park::Done { 0 } else { wins });
    });
}

#[test]
fn loom_completed_once() {
    race::<Shipped>();
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_publish() {
    race::<RelaxedPublish>();
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_claim() {
    race::<RelaxedClaim>();
}

#[test]
#[should_panic]
fn loom_mutant_release_park() {
    race::<ReleasePark>();
}

#[test]
#[should_panic]
fn loom_mutant_acquire_park() {
    race::<AcquirePark>();
}

#[test]
#[should_panic]
fn loom_mutant_acquire_deliver() {
    race::<AcquireDeliver>();
}

#[test]
#[should_panic]
fn loom_mutant_release_deliver() {
    race::<ReleaseDeliver>();
}

#[test]
fn loom_revoke_or_complete() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        assert_eq!(publish::<Shipped>(&word), Some(1));
        let other = Arc::clone(&word);
        let completer =
            thread::spawn(move || claim::<Shipped>(&other, 1, Outcome::Ready(0)).is_some());
        let revoked = revoke(&word, 1);
        assert_ne!(completer.join().unwrap(), revoked);
    });
}

/// The owner's thread completes by `deliver_here` while another thread tries to win.
#[test]
fn loom_delivered_on_the_owners_thread() {
    loom::model(|| {
        let shared = Arc::new(Shared {
            word: AtomicU64::new(0),
            cargo: UnsafeCell::new(0),
            party: UnsafeCell::new(2),
            wakes: AtomicU32::new(0),
            wins: AtomicU32::new(0),
        });
        assert_eq!(publish::<Shipped>(&shared.word), Some(1));
        let other = Arc::clone(&shared);
        let rival = thread::spawn(move || finish::<Shipped>(&other, 10));
        if claim::<Shipped>(&shared.word, 1, Outcome::Ready(0)).is_some() {
            shared.wins.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the winner owns the cargo.
            shared.cargo.with_mut(|cell| unsafe { *cell = 20 });
            assert_eq!(deliver_here(&shared.word), Deliver::Left);
            assert_eq!(park::<Shipped>(&shared.word), Park::Done);
        }
        rival.join().unwrap();
        // SAFETY: the winner, whoever it was, has finished.
        shared.cargo.with(|cell| assert!(unsafe { *cell } >= 10));
        assert_eq!(shared.wins.load(Ordering::Relaxed), 1);
        assert_eq!(shared.wakes.load(Ordering::Relaxed), 0);
    });
}

/// From any other thread `deliver_here` and the owner's `park` overwrite each other.
#[test]
#[should_panic]
fn loom_mutant_delivered_here_from_elsewhere() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        assert_eq!(publish::<Shipped>(&word), Some(1));
        let other = Arc::clone(&word);
        let winner = thread::spawn(move || {
            claim::<Shipped>(&other, 1, Outcome::Ready(0)).map(|_| deliver_here(&other))
        });
        let parked = park::<Shipped>(&word) == Park::Sleep;
        let woken = winner.join().unwrap().is_none_or(|deliver| deliver == Deliver::Wake);
        assert!(!parked || woken, "the owner sleeps and nobody wakes it");
    });
}
