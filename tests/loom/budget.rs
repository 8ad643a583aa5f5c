//! Models of the budget: who waits for room is told of it.

use super::Budget;
use crate::prim::Arc;
use loom::sync::Mutex;
use loom::thread;

struct Shared {
    budget: Budget,
    waiting: Mutex<bool>,
}

/// Two threads give back ten bytes each, a third waits for fifteen until it has them.
fn waiter_is_told(wait: fn(&Budget, u64) -> bool) {
    loom::model(move || {
        let shared = Arc::new(Shared { budget: Budget::new(20), waiting: Mutex::new(false) });
        shared.budget.take(20).unwrap();
        let threads = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || {
                if shared.budget.give_back(10) {
                    let mut waiting = shared.waiting.lock().unwrap();
                    shared.budget.nobody_waits();
                    *waiting = false;
                }
            })
        });
        let mut got = false;
        for _ in 0..2 {
            got = shared.budget.take(15).is_ok();
            if got {
                break;
            }
            let mut waiting = shared.waiting.lock().unwrap();
            if wait(&shared.budget, 15) {
                *waiting = true;
                break;
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
        let waiting = *shared.waiting.lock().unwrap();
        assert!(got || !waiting || shared.budget.used() > 5, "asleep although there is room");
        assert!(shared.budget.used() <= 20);
    });
}

#[test]
fn loom_budget() {
    waiter_is_told(Budget::wait_unless_room);
}

#[test]
#[should_panic]
fn loom_budget_mutant_two_steps() {
    waiter_is_told(Budget::wait_unless_room_in_two_steps);
}
