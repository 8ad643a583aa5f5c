//! Posters that leave the waking to a searcher: there is one, or it is made up for.

use super::super::parker::{SUMMONED, Sleep};
use super::Searchers;
use crate::prim::{Arc, AtomicUsize, Ordering, fence};
use loom::thread;

struct Model {
    sleep: Sleep,
    searchers: Searchers,
    work: AtomicUsize,
}

fn two_posters(summon: fn(&Model)) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(Model {
            sleep: Sleep::new(),
            searchers: Searchers::new(),
            work: AtomicUsize::new(0),
        });
        let posters: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.work.fetch_add(1, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    if shared.searchers.count() == 0 {
                        summon(&shared);
                    }
                })
            })
            .collect();
        let Model { sleep, searchers, work } = &*shared;
        let mut done = 0;
        while done < 2 {
            let found = work.swap(0, Ordering::Relaxed);
            done += found;
            if found == 0 {
                sleep.prepare();
                fence(Ordering::SeqCst);
                if work.load(Ordering::Relaxed) == 0 {
                    while sleep.is_sleeping() {
                        thread::yield_now();
                    }
                }
                if sleep.cancel() == SUMMONED {
                    searchers.end();
                }
            }
        }
        posters.into_iter().for_each(|p| p.join().unwrap());
        assert_eq!(searchers.count(), 0);
    });
}

#[test]
fn no_wake_up_is_lost() {
    two_posters(|m| {
        m.searchers.summon([&m.sleep].into_iter());
    });
}

/// A poster that finds no sleeper and leaves it at that: work lies there, and the worker sleeps.
#[test]
#[should_panic]
fn without_a_second_look_it_sleeps_for_ever() {
    two_posters(|m| {
        let _ = m.searchers.summon_once([&m.sleep].into_iter());
    });
}
