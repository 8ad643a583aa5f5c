//! Tests of what the layers above use; `tests/token.rs` tests the public side.

use super::slot::Kind;
use super::{Outcome, SlotRef, Wait};
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn thread_is_woken_by_the_one_winner() {
    let (register, registered) = mpsc::channel::<(SlotRef, u32)>();
    let partner = std::thread::spawn(move || {
        let mut won = 0;
        for (round, (slot, generation)) in registered.into_iter().enumerate() {
            let claim = slot.claim(generation, Outcome::Ready(round as u16));
            assert!(slot.claim(generation, Outcome::Closed).is_none(), "the second loses");
            if let Some(claim) = claim {
                won += 1;
                claim.wake();
            }
        }
        won
    });
    for round in 0..1000_u16 {
        let wait = Wait::begin();
        register.send((wait.slot(), wait.generation())).unwrap();
        assert_eq!(wait.park(), Outcome::Ready(round));
    }
    drop(register);
    assert_eq!(partner.join().unwrap(), 1000);
}

#[test]
fn retract_leaves_a_stale_generation() {
    let wait = Wait::begin();
    let (slot, generation) = (wait.slot(), wait.generation());
    assert!(slot.is_waiting(generation));
    wait.retract().unwrap();
    assert!(slot.claim(generation, Outcome::Closed).is_none());

    let wait = Wait::begin();
    assert!(slot.same(wait.slot()), "a thread keeps its slot");
    assert!(slot.claim(generation, Outcome::Closed).is_none(), "the old generation is stale");
    let claim = slot.claim_exclusive(wait.generation(), Outcome::Closed).unwrap();
    let wait = wait.retract().unwrap_err();
    claim.wake();
    assert_eq!(wait.park(), Outcome::Closed);
}

#[test]
fn deadline_and_completion_race() {
    let mut timed_out = 0;
    for round in 0..500_u64 {
        let wait = Wait::begin();
        let (slot, generation) = (wait.slot(), wait.generation());
        let partner = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(round % 80));
            slot.claim(generation, Outcome::Cancelled).map(super::Claim::wake).is_some()
        });
        let outcome = wait.park_deadline(Instant::now() + Duration::from_micros(90));
        assert_eq!(partner.join().unwrap(), outcome == Outcome::Cancelled);
        timed_out += u32::from(outcome == Outcome::TimedOut);
    }
    println!("{timed_out} of 500 timed out");
}

#[test]
fn slots_go_home_and_are_reused() {
    let slots: Vec<_> = (0..1000).map(|_| super::table::alloc()).collect();
    let before = super::table::sizes().0;
    // Freed elsewhere: they come back through the remote list.
    std::thread::spawn(move || slots.into_iter().for_each(super::table::free)).join().unwrap();
    let again: Vec<_> = (0..1000).map(|_| super::table::alloc()).collect();
    let mut numbers: Vec<_> = again.iter().map(|slot| slot.index()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 1000);
    println!("{before} slots before, {} after", super::table::sizes().0);
    again.into_iter().for_each(super::table::free);
}

#[test]
fn worn_out_slots_are_replaced() {
    let wait = Wait::begin();
    let (slot, generation) = (wait.slot(), wait.generation());
    wait.retract().unwrap();
    slot.age_to(u32::MAX);
    let wait = Wait::begin();
    assert!(!slot.same(wait.slot()));
    assert!(slot.claim(generation, Outcome::Closed).is_none());
    wait.retract().unwrap();
}

#[test]
fn hand_driven_coroutine_waits_in_its_own_slot() {
    use crate::coroutine::Task;
    let (register, registered) = mpsc::channel::<(SlotRef, u32)>();
    let (report, reported) = mpsc::channel();
    let task = Task::new(move || {
        for _ in 0..100 {
            let wait = Wait::begin();
            register.send((wait.slot(), wait.generation())).unwrap();
            report.send(wait.park()).unwrap();
        }
    });
    task.resume().unwrap();
    for round in 0..100_u16 {
        task.resume().unwrap();
        assert!(task.is_parked(), "a resume alone does not end a wait");
        let (slot, generation) = registered.recv().unwrap();
        std::thread::spawn(move || {
            slot.claim(generation, Outcome::Ready(round)).unwrap().wake();
        })
        .join()
        .unwrap();
        task.resume().unwrap();
        assert_eq!(reported.recv().unwrap(), Outcome::Ready(round));
    }
    assert!(task.is_finished());
}

#[test]
fn dropping_a_waiting_coroutine_ends_its_wait() {
    use crate::coroutine::Task;
    let (register, registered) = mpsc::channel::<(SlotRef, u32)>();
    let task = Task::new(move || {
        let wait = Wait::begin();
        register.send((wait.slot(), wait.generation())).unwrap();
        wait.park();
    });
    task.resume().unwrap();
    let (slot, generation) = registered.recv().unwrap();
    assert!(slot.is_waiting(generation));
    drop(task);
    assert!(slot.claim(generation, Outcome::Closed).is_none());
}

/// A winner may do without a locked instruction only where the owner cannot be on another thread.
#[test]
fn only_who_stays_is_taken_to_be_here() {
    super::shard::with(|shard| {
        for (kind, here) in [(Kind::Thread, true), (Kind::Coroutine, true), (Kind::Migrant, false)]
        {
            let slot = super::table::alloc_in(shard);
            slot.set_owner(kind, std::ptr::dangling_mut());
            let generation = slot.publish();
            let won = slot.win(generation, Outcome::Ready(0)).unwrap().seen_from(shard);
            assert_eq!(won.is_here(), here, "{kind:?}");
            won.keep();
            super::table::free_in(shard, slot);
        }
    });
}
