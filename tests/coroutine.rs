//! Coroutines driven by hand: every life, every end, and what is dropped when.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task};

#[test]
fn generator_smoke() {
    let mut sum = Coroutine::new(|y, first: u32| {
        let mut total = first;
        for _ in 0..3 {
            total += y.suspend(total);
        }
        total
    });
    assert_eq!(sum.resume(1), CoroutineState::Yielded(1));
    assert_eq!(sum.resume(2), CoroutineState::Yielded(3));
    assert_eq!(sum.resume(3), CoroutineState::Yielded(6));
    assert_eq!(sum.resume(4), CoroutineState::Complete(10));
    assert!(sum.is_finished());
    assert_eq!(sum.try_resume(9).unwrap_err().0, 9);
}

#[test]
fn generator_panic_reaches_the_resumer() {
    let mut failing = Coroutine::<(), (), ()>::new(move |y, ()| {
        y.suspend(());
        panic!("boom");
    });
    assert_eq!(failing.resume(()), CoroutineState::Yielded(()));
    let payload = catch_unwind(AssertUnwindSafe(|| failing.resume(()))).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"boom"));
}

#[test]
fn suspended_generator_is_unwound() {
    struct Count(Rc<Cell<u32>>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let guard = Count(Rc::clone(&drops));
    let mut suspended = Coroutine::<(), (), ()>::new(move |y, ()| {
        let _guard = guard;
        y.suspend(());
        unreachable!();
    });
    suspended.resume(());
    drop(suspended);
    assert_eq!(drops.get(), 1);
}

#[test]
fn task_states() {
    let task = Task::builder()
        .name("states")
        .build(move || {
            coroutine::yield_now();
            coroutine::park();
        })
        .unwrap();
    assert_eq!((task.state(), task.name().as_deref()), (State::Created, Some("states")));
    assert_eq!(task.resume().unwrap(), State::Suspended);
    assert_eq!(task.resume().unwrap(), State::Parked);
    task.unpark();
    assert_eq!(task.state(), State::Ready);
    assert_eq!(task.resume().unwrap(), State::Finished);
}

#[test]
fn backtrace_crosses_into_the_parent() {
    #[inline(never)]
    fn user_frame_of_the_test() -> String {
        std::backtrace::Backtrace::force_capture().to_string()
    }
    let mut inside = Coroutine::<(), (), String>::new(|_, ()| user_frame_of_the_test());
    let CoroutineState::Complete(text) = inside.resume(()) else { panic!() };
    assert!(text.contains("user_frame_of_the_test"), "{text}");
    assert!(text.contains("backtrace_crosses_into_the_parent"), "{text}");
    Task::new(move || assert!(user_frame_of_the_test().lines().count() < 200)).resume().unwrap();
}
