//! Every end a coroutine can have, and what is dropped when.

use super::{Drops, panic_of};
use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task, Yielder, stack_stats};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard};

type Plain = Coroutine<(), (), ()>;

/// Leaked stacks are counted for the whole process: one test at a time.
fn leaks_one_at_a_time() -> MutexGuard<'static, ()> {
    static SERIAL: Mutex<()> = Mutex::new(());
    SERIAL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn leaked_by(f: impl FnOnce()) -> usize {
    let before = stack_stats().leaked;
    f();
    stack_stats().leaked - before
}

#[test]
fn never_started() {
    let drops = Drops::default();
    let guard = drops.guard();
    drop(Plain::new(move |_, ()| drop(guard)));
    let guard = drops.guard();
    drop(Task::new(move || drop(guard)));
    assert_eq!(drops.count(), 2);
}

#[test]
fn finished() {
    let drops = Drops::default();
    let guard = drops.guard();
    let mut generator = Plain::new(move |_, ()| drop(guard));
    generator.resume(());
    let guard = drops.guard();
    let task = Task::new(move || drop(guard));
    task.resume().unwrap();
    assert_eq!(drops.count(), 2);
    drop((generator, task));
    assert_eq!(drops.count(), 2);
}

#[test]
fn suspended() {
    let drops = Drops::default();
    let guard = drops.guard();
    let mut generator = Plain::new(move |y, ()| {
        let _guard = guard;
        y.suspend(());
        unreachable!();
    });
    generator.resume(());
    for parks in [false, true] {
        let guard = drops.guard();
        let task = Task::new(move || {
            let _guard = guard;
            if parks {
                coroutine::park()
            } else {
                coroutine::yield_now()
            }
            unreachable!();
        });
        task.resume().unwrap();
        assert_eq!(task.is_parked(), parks);
        drop(task);
    }
    assert_eq!(drops.count(), 2);
    drop(generator);
    assert_eq!(drops.count(), 3);
}

#[test]
fn panicked() {
    let drops = Drops::default();
    let guard = drops.guard();
    let mut generator = Plain::new(move |_, ()| {
        let _guard = guard;
        panic!("expected");
    });
    panic_of(|| generator.resume(()));
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        panic!("expected");
    });
    task.resume().unwrap_err();
    assert_eq!((drops.count(), task.state()), (2, State::Finished));
}

#[test]
fn forgotten() {
    let drops = Drops::default();
    let guard = drops.guard();
    let mut generator = Plain::new(move |y, ()| {
        let _guard = guard;
        y.suspend(());
    });
    generator.resume(());
    std::mem::forget(generator);
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        coroutine::park();
    });
    task.resume().unwrap();
    std::mem::forget(task);
    // The frames stand still for ever: later coroutines do not touch them.
    for _ in 0..200 {
        Task::new(|| _ = std::hint::black_box([1u8; 1000])).resume().unwrap();
    }
    assert_eq!(drops.count(), 0);
}

#[test]
fn swapped() {
    fn counter(from: u32) -> Coroutine<(), u32, ()> {
        Coroutine::new(move |y, ()| (from..from + 3).for_each(|n| y.suspend(n)))
    }
    let (mut a, mut b) = (counter(10), counter(20));
    assert_eq!(a.resume(()), CoroutineState::Yielded(10));
    assert_eq!(b.resume(()), CoroutineState::Yielded(20));
    std::mem::swap(&mut a, &mut b);
    assert_eq!(a.resume(()), CoroutineState::Yielded(21));
    drop(a);
    let mut moved = Box::new(b);
    assert_eq!(moved.resume(()), CoroutineState::Yielded(11));
    *moved = counter(30);
    assert_eq!(moved.resume(()), CoroutineState::Yielded(30));
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("from a destructor");
        }
    }
}

#[test]
fn panic_inside_drop() {
    let _serial = leaks_one_at_a_time();
    let drops = Drops::default();
    let leaked = leaked_by(|| {
        // At the end of a scope.
        let (first, last) = (drops.guard(), drops.guard());
        let mut generator = Plain::new(move |_, ()| {
            let _first = first;
            let _bomb = PanicsInDrop;
            let _last = last;
        });
        assert_eq!(panic_of(|| generator.resume(())), "from a destructor");
        // In a closure that never ran: the stack comes back all the same.
        let (bomb, guard) = (PanicsInDrop, drops.guard());
        let task = Task::new(move || drop((bomb, guard)));
        assert_eq!(panic_of(|| drop(task)), "from a destructor");
        let (bomb, guard) = (PanicsInDrop, drops.guard());
        let generator = Plain::new(move |_, ()| drop((bomb, guard)));
        assert_eq!(panic_of(|| drop(generator)), "from a destructor");
        // In the value of a body that ends although it is to unwind.
        let mut stubborn = Coroutine::<(), (), PanicsInDrop>::new(|y, ()| {
            let _ = catch_unwind(AssertUnwindSafe(|| y.suspend(())));
            PanicsInDrop
        });
        stubborn.resume(());
        assert_eq!(panic_of(|| drop(stubborn)), "from a destructor");
    });
    assert_eq!((drops.count(), leaked), (4, 0));
}

struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        coroutine::park();
        coroutine::yield_now();
    }
}

#[test]
fn park_inside_drop() {
    // On the way out of a scope a destructor may suspend like any other code.
    let drops = Drops::default();
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        drop(Waits);
    });
    assert_eq!(task.resume().unwrap(), State::Parked);
    task.unpark();
    assert_eq!(task.resume().unwrap(), State::Suspended);
    assert_eq!((task.resume().unwrap(), drops.count()), (State::Finished, 1));
    // Unwound from there, the rest is dropped.
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        drop(Waits);
    });
    assert_eq!(task.resume().unwrap(), State::Parked);
    drop(task);
    assert_eq!(drops.count(), 2);
}

#[test]
fn park_inside_drop_while_unwinding_returns_at_once() {
    let drops = Drops::default();
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        let _waits = Waits;
        coroutine::park();
    });
    task.resume().unwrap();
    drop(task);
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        let _waits = Waits;
        panic!("expected");
    });
    task.resume().unwrap_err();
    assert_eq!(drops.count(), 2);
}

struct SuspendsInDrop<'a>(&'a Yielder<(), ()>);

impl Drop for SuspendsInDrop<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.suspend(());
        }
    }
}

#[test]
fn suspend_inside_drop() {
    let drops = Drops::default();
    for resumes in 1..=2 {
        let guard = drops.guard();
        let mut generator = Plain::new(move |y, ()| {
            let _guard = guard;
            drop(SuspendsInDrop(y));
        });
        for _ in 0..resumes {
            generator.resume(());
        }
    }
    assert_eq!(drops.count(), 2);
}

#[test]
fn refusal_to_unwind_leaks_and_counts() {
    let _serial = leaks_one_at_a_time();
    let drops = Drops::default();
    let guard = drops.guard();
    let leaked = leaked_by(|| {
        let mut generator = Plain::new(move |y, ()| {
            let _guard = guard;
            loop {
                let _ = catch_unwind(AssertUnwindSafe(|| y.suspend(())));
            }
        });
        generator.resume(());
        drop(generator);
        let guard = drops.guard();
        let task = Task::new(move || {
            let _guard = guard;
            loop {
                let _ = catch_unwind(coroutine::park);
            }
        });
        task.resume().unwrap();
        drop(task);
    });
    assert_eq!((drops.count(), leaked), (0, 2));
    assert!(!std::thread::panicking());
}

#[test]
fn a_body_may_end_instead_of_unwinding() {
    let _serial = leaks_one_at_a_time();
    let drops = Drops::default();
    let guard = drops.guard();
    let leaked = leaked_by(|| {
        let task = Task::new(move || {
            let _guard = guard;
            let _ = catch_unwind(coroutine::park);
        });
        task.resume().unwrap();
        drop(task);
    });
    assert_eq!((drops.count(), leaked), (1, 0));
}

#[test]
fn panic_instead_of_unwinding_reaches_the_dropper() {
    let drops = Drops::default();
    let guard = drops.guard();
    let mut generator = Plain::new(move |y, ()| {
        let _guard = guard;
        let _ = catch_unwind(AssertUnwindSafe(|| y.suspend(())));
        panic!("rather this");
    });
    generator.resume(());
    assert_eq!(panic_of(|| drop(generator)), "rather this");
    let guard = drops.guard();
    let task = Task::new(move || {
        let _guard = guard;
        let _ = catch_unwind(coroutine::park);
        panic!("rather that");
    });
    task.resume().unwrap();
    assert_eq!(panic_of(|| drop(task)), "rather that");
    assert_eq!(drops.count(), 2);
}

#[test]
fn dropped_while_the_thread_panics() {
    let _serial = leaks_one_at_a_time();
    let drops = Drops::default();
    let leaked = leaked_by(|| {
        let (one, two) = (drops.guard(), drops.guard());
        panic_of(|| {
            let mut generator = Plain::new(move |y, ()| {
                let _guard = one;
                y.suspend(());
            });
            generator.resume(());
            let task = Task::new(move || {
                let _guard = two;
                coroutine::park();
            });
            task.resume().unwrap();
            // What never ran is dropped in the ordinary way.
            let guard = drops.guard();
            let _fresh = Task::new(move || drop(guard));
            panic!("expected");
        });
    });
    assert_eq!((drops.count(), leaked), (1, 2));
}

#[test]
fn unwinding_reaches_what_a_coroutine_owns() {
    let _serial = leaks_one_at_a_time();
    fn nested(depth: u32, drops: Drops) -> Plain {
        Coroutine::new(move |y, ()| {
            let _guard = drops.guard();
            if depth > 0 {
                let mut inner = nested(depth - 1, drops.clone());
                inner.resume(());
                let drops_of_task = drops.clone();
                let task = Task::new(move || {
                    let _guard = drops_of_task.guard();
                    coroutine::park();
                });
                task.resume().unwrap();
                y.suspend(());
            }
            y.suspend(());
        })
    }
    let drops = Drops::default();
    let leaked = leaked_by(|| {
        let mut outer = nested(5, drops.clone());
        outer.resume(());
        drop(outer);
    });
    assert_eq!((drops.count(), leaked), (11, 0));
}

#[test]
fn unwind_while_another_is_suspended() {
    let drops = Drops::default();
    let make = || {
        let guard = drops.guard();
        let task = Task::new(move || {
            let _guard = guard;
            coroutine::park();
        });
        task.resume().unwrap();
        task
    };
    let (a, b, c) = (make(), make(), make());
    drop(b);
    assert_eq!(drops.count(), 1);
    // Inside of a coroutine, and in the middle of a caught panic of it.
    let outer = Task::new(move || {
        panic_of(|| -> () { panic!("caught") });
        drop(a);
        coroutine::yield_now();
    });
    assert_eq!(outer.resume().unwrap(), State::Suspended);
    assert_eq!(drops.count(), 2);
    assert_eq!(c.resume().unwrap(), State::Finished);
    assert_eq!(outer.resume().unwrap(), State::Finished);
    assert_eq!(drops.count(), 3);
}

#[test]
fn forced_unwind_is_silent_and_poisons_as_a_panic_does() {
    let lock = Rc::new(Mutex::new(()));
    let task = Task::new({
        let lock = Rc::clone(&lock);
        move || {
            let _held = lock.lock();
            coroutine::park();
        }
    });
    task.resume().unwrap();
    drop(task);
    assert!(lock.is_poisoned() && !std::thread::panicking());
}

thread_local! {
    static KEPT: RefCell<Vec<Task>> = const { RefCell::new(Vec::new()) };
    static KEPT_GENERATORS: RefCell<Vec<Plain>> = const { RefCell::new(Vec::new()) };
}

/// A thread ends while it keeps live coroutines; returns (dropped, leaked).
fn end_of_a_thread(touch_first: bool) -> (u32, usize) {
    let counts = std::sync::Arc::new(std::sync::Mutex::new(0));
    struct Counted(std::sync::Arc<std::sync::Mutex<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            *self.0.lock().unwrap_or_else(|p| p.into_inner()) += 1;
        }
    }
    let for_thread = std::sync::Arc::clone(&counts);
    let leaked = leaked_by(|| {
        std::thread::spawn(move || {
            if !touch_first {
                drop(Task::new(|| ()));
            }
            // Destructors of thread-locals run in the reverse order of first use.
            KEPT.with(|_| ());
            KEPT_GENERATORS.with(|_| ());
            let (one, two) = (Counted(for_thread.clone()), Counted(for_thread.clone()));
            let (three, four) = (Counted(for_thread.clone()), Counted(for_thread));
            let task = Task::new(move || {
                let _guard = one;
                coroutine::park();
            });
            task.resume().unwrap();
            let mut generator = Plain::new(move |y, ()| {
                let _guard = two;
                y.suspend(());
            });
            generator.resume(());
            KEPT.with(|kept| kept.borrow_mut().extend([task, Task::new(move || drop(three))]));
            let fresh = Plain::new(move |_, ()| drop(four));
            KEPT_GENERATORS.with(|kept| kept.borrow_mut().extend([generator, fresh]));
        })
        .join()
        .unwrap();
    });
    let dropped = *counts.lock().unwrap();
    (dropped, leaked)
}

#[test]
fn thread_ends_with_live_coroutines() {
    let _serial = leaks_one_at_a_time();
    // They go before the thread's own part of the library: all are unwound.
    assert_eq!(end_of_a_thread(false), (4, 0));
    // They go after it: what needs it can only be leaked.
    assert_eq!(end_of_a_thread(true), (3, 1));
}

#[test]
fn made_at_the_very_end_of_a_thread() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            let mut generator = Coroutine::<u32, u32, u32>::new(|y, n| y.suspend(n + 1) * 2);
            assert_eq!(generator.resume(1), CoroutineState::Yielded(2));
            assert_eq!(generator.resume(4), CoroutineState::Complete(8));
            assert!(Task::new(|| ()).resume().is_err());
        }
    }
    thread_local!(static LATE: Late = const { Late });
    std::thread::spawn(|| {
        LATE.with(|_| ());
        Task::new(|| ()).resume().unwrap();
    })
    .join()
    .unwrap();
}
