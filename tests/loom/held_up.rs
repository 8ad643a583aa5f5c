//! A spare worker, the monitor that calls it, and who posts work meanwhile: the spare takes the work.

use super::super::parker::{NOTIFIED, SLEEPING, Sleep};
use super::HeldUp;
use crate::prim::{Arc, AtomicUsize, Ordering, fence};
use loom::thread;

struct Model {
    sleep: Sleep,
    held_up: HeldUp,
    sleepers: AtomicUsize,
    work: AtomicUsize,
}

/// What a weakened spare or monitor leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lacks {
    Nothing,
    /// The spare does not compare with what it knew when it was counted.
    SecondLook,
    Fences,
}

impl Model {
    fn fence(&self, lacks: Lacks) {
        if lacks != Lacks::Fences {
            fence(Ordering::SeqCst);
        }
    }

    /// The only worker is held up, so only the spare can take the work.
    fn spare(&self, lacks: Lacks) {
        loop {
            let takes = self.held_up.is_any();
            if takes && self.work.swap(0, Ordering::Relaxed) == 1 {
                return;
            }
            self.sleep.prepare();
            self.sleepers.fetch_add(usize::from(takes), Ordering::Relaxed);
            self.fence(lacks);
            let stay_up = (lacks != Lacks::SecondLook && takes != self.held_up.is_any())
                || (takes && self.work.load(Ordering::Relaxed) != 0);
            while !stay_up && self.sleep.is_sleeping() {
                thread::yield_now();
            }
            self.sleepers.fetch_sub(usize::from(takes), Ordering::Relaxed);
            assert!(matches!(self.sleep.cancel(), SLEEPING | NOTIFIED));
        }
    }

    fn monitor(&self, lacks: Lacks) {
        if self.held_up.set(1) {
            self.fence(lacks);
            self.sleep.notify(NOTIFIED);
        }
    }

    fn poster(&self, lacks: Lacks) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.fence(lacks);
        if self.sleepers.load(Ordering::Relaxed) != 0 && self.held_up.is_any() {
            self.sleep.notify(NOTIFIED);
        }
    }
}

fn called(lacks: Lacks) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(Model {
            sleep: Sleep::new(),
            held_up: HeldUp::new(),
            sleepers: AtomicUsize::new(0),
            work: AtomicUsize::new(0),
        });
        let others = [Model::monitor, Model::poster].map(|act| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || act(&shared, lacks))
        });
        shared.spare(lacks);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(shared.sleepers.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn the_spare_takes_the_work() {
    called(Lacks::Nothing);
}

/// It sleeps for ever, which loom reports as too many branches.
#[test]
#[should_panic]
fn without_a_second_look_it_sleeps() {
    called(Lacks::SecondLook);
}

#[test]
#[should_panic]
fn without_fences_it_sleeps() {
    called(Lacks::Fences);
}
