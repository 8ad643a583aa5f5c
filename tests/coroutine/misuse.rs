//! What safe code can do to the core that nobody meant it to do.

use super::{Drops, panic_of};
use kcoro::coroutine::{self, Coroutine, CoroutineState, State, Task, yield_to};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// What may go to other threads; what may not is held by compile-fail examples.
const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<coroutine::Unparker>();
    goes_anywhere::<coroutine::CoroutineRef>();
    goes_anywhere::<coroutine::TaskBuilder>();
    goes_anywhere::<kcoro::error::StackError>();
};

#[test]
fn a_generator_that_resumes_itself_meets_its_borrow() {
    type Shared = Rc<RefCell<Option<Coroutine<(), (), ()>>>>;
    let shared: Shared = Rc::default();
    let inside = Rc::clone(&shared);
    *shared.borrow_mut() = Some(Coroutine::new(move |y, ()| {
        assert!(inside.try_borrow_mut().is_err());
        y.suspend(());
        inside.borrow_mut().as_mut().unwrap().resume(());
    }));
    let resume = || shared.borrow_mut().as_mut().unwrap().resume(());
    resume();
    assert!(panic_of(resume).contains("borrowed"));
    drop(shared.borrow_mut().take());
}

#[test]
fn a_task_drops_its_own_last_handle() {
    let drops = Drops::default();
    let slot = Rc::new(Cell::new(None::<Rc<Task>>));
    let (inside, guard) = (Rc::clone(&slot), drops.guard());
    let driver = Rc::new(OnceCell::<Rc<Task>>::new());
    let target = Rc::new(Task::new(move || {
        let _guard = guard;
        // Its caller stands in `yield_to` with a borrow; this drops the handle it came from.
        drop(inside.take());
        coroutine::yield_now();
    }));
    let held = Rc::clone(&target);
    slot.set(Some(target));
    let caller = Rc::new(Task::new(move || {
        yield_to(&held).unwrap();
        yield_to(&held).unwrap();
    }));
    assert!(driver.set(Rc::clone(&caller)).is_ok());
    while caller.resume().unwrap() != State::Finished {}
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_task_unwinds_the_one_it_came_from() {
    let drops = Drops::default();
    let slot = Rc::new(RefCell::new(None::<Rc<Task>>));
    let (victim, guard) = (Rc::clone(&slot), drops.guard());
    let killer = Rc::new(Task::new(move || {
        let _guard = guard;
        // The caller is suspended in `yield_to` to this very task, and holds a handle of it.
        drop(victim.borrow_mut().take());
        coroutine::yield_now();
    }));
    let (held, guard) = (Rc::clone(&killer), drops.guard());
    let caller = Rc::new(Task::new(move || {
        let _guard = guard;
        let _ = yield_to(&held);
        unreachable!("it is dropped before it is resumed again");
    }));
    let weak = Rc::downgrade(&caller);
    *slot.borrow_mut() = Some(Rc::clone(&caller));
    // Our own handle keeps it alive until the switch; `resume` borrows it.
    assert_eq!(caller.resume().unwrap(), State::Suspended);
    drop(caller);
    assert!(weak.upgrade().is_none());
    assert_eq!(killer.resume().unwrap(), State::Finished);
    drop(killer);
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_cycle_of_handles_only_leaks() {
    let drops = Drops::default();
    let slot = Rc::new(OnceCell::<Rc<Task>>::new());
    let (inside, guard) = (Rc::clone(&slot), drops.guard());
    let task = Rc::new(Task::new(move || {
        let (_guard, _me) = (guard, inside);
        coroutine::park();
    }));
    assert!(slot.set(Rc::clone(&task)).is_ok());
    task.resume().unwrap();
    drop((task, slot));
    assert_eq!(drops.count(), 0);
}

#[test]
fn a_generator_drops_generators_in_any_order() {
    let drops = Drops::default();
    let guard = drops.guard();
    let mut inner = Coroutine::<(), (), ()>::new(move |y, ()| {
        let _guard = guard;
        y.suspend(());
    });
    inner.resume(());
    let mut outer = Coroutine::<(), (), ()>::new(move |y, ()| {
        let inner = inner;
        y.suspend(());
        drop(inner);
        y.suspend(());
    });
    outer.resume(());
    assert_eq!(drops.count(), 0);
    outer.resume(());
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_body_leaves_its_values_with_others() {
    // What one coroutine makes another may own and drop, as long as it is the same thread.
    let mut inner = None;
    let mut maker = Coroutine::<(), Coroutine<(), u32, ()>, ()>::new(|y, ()| {
        for n in 0..3 {
            y.suspend(Coroutine::new(move |y, ()| y.suspend(n)));
        }
    });
    while let CoroutineState::Yielded(mut made) = maker.resume(()) {
        made.resume(());
        inner = Some(made);
    }
    drop(maker);
    assert_eq!(inner.unwrap().resume(()), CoroutineState::Complete(()));
}

#[test]
fn catching_the_payload_of_an_unwind_gives_nothing_away() {
    let kept = Rc::new(RefCell::new(None));
    let keeper = Rc::clone(&kept);
    let mut generator = Coroutine::<(), (), ()>::new(move |y, ()| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| y.suspend(())));
        *keeper.borrow_mut() = caught.err();
    });
    generator.resume(());
    drop(generator);
    let payload = kept.borrow_mut().take().unwrap();
    // Thrown somewhere else it is a panic like any other, of a type without a name.
    let error = Task::new(move || std::panic::resume_unwind(payload)).resume();
    assert!(error.is_ok_and(|state| state == State::Finished));
}
