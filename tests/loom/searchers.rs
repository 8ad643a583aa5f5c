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

/// A searcher finds work that keeps it for ever. What was posted meanwhile by someone who relied on
/// it must be taken by the sleeper.
fn found_and_gone(fences: bool) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(Model {
            sleep: Sleep::new(),
            searchers: Searchers::new(),
            work: AtomicUsize::new(0),
        });
        let sleepers = Arc::new(AtomicUsize::new(0));
        let look_fence = move || {
            if fences {
                fence(Ordering::SeqCst);
            }
        };
        shared.searchers.begin();
        let searcher = {
            let (shared, sleepers) = (Arc::clone(&shared), Arc::clone(&sleepers));
            thread::spawn(move || {
                let Model { sleep, searchers, work } = &*shared;
                if !searchers.end() {
                    return;
                }
                look_fence();
                if sleepers.load(Ordering::Relaxed) != 0 {
                    look_fence();
                    if work.load(Ordering::Relaxed) != 0 && searchers.count() == 0 {
                        searchers.summon([sleep].into_iter());
                    }
                }
            })
        };
        let poster = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.work.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if shared.searchers.count() == 0 {
                    shared.searchers.summon([&shared.sleep].into_iter());
                }
            })
        };
        let Model { sleep, searchers, work } = &*shared;
        while work.swap(0, Ordering::Relaxed) == 0 {
            sleep.prepare();
            sleepers.fetch_add(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if work.load(Ordering::Relaxed) == 0 {
                while sleep.is_sleeping() {
                    thread::yield_now();
                }
            }
            sleepers.fetch_sub(1, Ordering::Relaxed);
            if sleep.cancel() == SUMMONED {
                searchers.end();
            }
        }
        searcher.join().unwrap();
        poster.join().unwrap();
    });
}

#[test]
fn who_finds_work_keeps_its_promise() {
    found_and_gone(true);
}

/// The searcher's look may come from before the post that relied on it.
#[test]
#[should_panic]
fn without_a_fence_the_promise_is_broken() {
    found_and_gone(false);
}
