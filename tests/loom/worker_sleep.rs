//! The sleep protocol: a worker never sleeps on work that was posted.

use super::{NOTIFIED, SLEEPING, Sleep};
use crate::prim::{Arc, AtomicUsize, Ordering, fence};
use loom::thread;

/// The system call: it sleeps while the word says so, which here means until somebody changes it.
fn sleep_on(sleep: &Sleep) {
    while sleep.is_sleeping() {
        thread::yield_now();
    }
}

fn two_posters(fences: bool) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new((Sleep::new(), AtomicUsize::new(0)));
        let posters: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (sleep, work) = &*shared;
                    work.fetch_add(1, Ordering::Relaxed);
                    if fences {
                        fence(Ordering::SeqCst);
                    }
                    sleep.notify(NOTIFIED);
                })
            })
            .collect();
        let (sleep, work) = &*shared;
        let mut done = 0;
        while done < 2 {
            let found = work.swap(0, Ordering::Relaxed);
            done += found;
            if found == 0 {
                sleep.prepare();
                if fences {
                    fence(Ordering::SeqCst);
                }
                if work.load(Ordering::Relaxed) == 0 {
                    sleep_on(sleep);
                }
                let _ = sleep.cancel();
            }
        }
        posters.into_iter().for_each(|p| p.join().unwrap());
        assert_ne!(sleep.cancel(), SLEEPING);
    });
}

#[test]
fn no_wake_up_is_lost() {
    two_posters(true);
}

/// Without the fences the worker can sleep for ever, which loom reports as too many branches.
#[test]
#[should_panic]
fn without_fences_it_sleeps_for_ever() {
    two_posters(false);
}
