//! A thread sleeps on its flag, with and without a deadline; the notifier's value is seen, and no
//! notification is lost. The futex is modelled by loom's mutex and condition variable.

use super::*;
use crate::prim::{Arc, UnsafeCell};
use loom::sync::{Condvar, Mutex};
use loom::thread;

struct RelaxedNotify;
impl Orders for RelaxedNotify {
    const NOTIFY: Ordering = Ordering::Relaxed;
}

struct RelaxedPark;
impl Orders for RelaxedPark {
    const PARK: Ordering = Ordering::Relaxed;
}

/// Compares and sleeps in one step, like the kernel. A deadline passes at once.
struct ModelFutex {
    wakes: Mutex<u32>,
    bell: Condvar,
}

impl Futex for ModelFutex {
    type Deadline = ();

    fn wait(&self, word: &AtomicU32, expected: u32, deadline: Option<()>) -> bool {
        if deadline.is_some() {
            return false;
        }
        let wakes = self.wakes.lock().unwrap();
        if word.load(Ordering::Relaxed) == expected {
            drop(self.bell.wait(wakes).unwrap());
        }
        true
    }

    fn wake(&self, _word: &AtomicU32) {
        *self.wakes.lock().unwrap() += 1;
        self.bell.notify_one();
    }
}

struct Shared<O> {
    parker: Parker<O>,
    futex: ModelFutex,
    value: UnsafeCell<u32>,
}

fn sleep_and_wake<O: Orders + 'static>(deadline: Option<()>) {
    loom::model(move || {
        let shared = Arc::new(Shared::<O> {
            parker: Parker::new(),
            futex: ModelFutex { wakes: Mutex::new(0), bell: Condvar::new() },
            value: UnsafeCell::new(0),
        });
        let other = Arc::clone(&shared);
        let winner = thread::spawn(move || {
            // SAFETY: the sleeper reads it after the notification.
            other.value.with_mut(|value| unsafe { *value = 7 });
            other.parker.notify(&other.futex);
        });
        if !shared.parker.park(&shared.futex, deadline) {
            // As `Wait::park_deadline` does when it loses the word.
            assert!(shared.parker.park(&shared.futex, None));
        }
        // SAFETY: notified, so the winner is done with it.
        shared.value.with(|value| assert_eq!(unsafe { *value }, 7));
        winner.join().unwrap();
    });
}

#[test]
fn loom_notified_once() {
    sleep_and_wake::<Shipped>(None);
}

#[test]
fn loom_notified_after_the_deadline() {
    sleep_and_wake::<Shipped>(Some(()));
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_notify() {
    sleep_and_wake::<RelaxedNotify>(None);
}

#[test]
#[should_panic]
fn loom_mutant_relaxed_park() {
    sleep_and_wake::<RelaxedPark>(None);
}
