//! Tasks: states, errors, `yield_to`, panics, names, locals.

use super::{Drops, panic_of};
use kcoro::coroutine::{self, Coroutine, State, Task, yield_to};
use kcoro::error::ResumeError;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

#[test]
fn states() {
    let me = Rc::new(OnceCell::<Rc<Task>>::new());
    let task = Rc::new(Task::new({
        let me = Rc::clone(&me);
        move || {
            assert_eq!(me.get().unwrap().state(), State::Running);
            coroutine::yield_now();
            coroutine::park();
            assert_eq!(me.get().unwrap().state(), State::Running);
        }
    }));
    assert!(me.set(Rc::clone(&task)).is_ok());
    assert_eq!(task.state(), State::Created);
    assert_eq!(task.resume().unwrap(), State::Suspended);
    assert!(!task.is_parked());
    assert_eq!(task.resume().unwrap(), State::Parked);
    assert!(task.is_parked());
    task.unpark();
    assert_eq!((task.state(), task.is_parked()), (State::Ready, false));
    assert_eq!(task.resume().unwrap(), State::Finished);
    assert!(task.is_finished());
    task.unpark();
    assert_eq!(task.state(), State::Finished);
}

#[test]
fn unpark_before_park_is_remembered_once() {
    let task = Task::new(|| {
        coroutine::park();
        coroutine::park();
    });
    task.unpark();
    task.unpark();
    assert_eq!(task.state(), State::Created);
    assert_eq!(task.resume().unwrap(), State::Parked);
    task.unpark();
    task.unpark();
    assert_eq!(task.resume().unwrap(), State::Finished);
}

#[test]
fn spurious_resume_ends_a_park() {
    let task = Task::new(|| {
        for _ in 0..3 {
            coroutine::park();
        }
    });
    for _ in 0..3 {
        assert_eq!(task.resume().unwrap(), State::Parked);
    }
    assert_eq!(task.resume().unwrap(), State::Finished);
}

#[test]
fn resume_of_the_finished_is_an_error() {
    let task = Task::new(|| ());
    task.resume().unwrap();
    let error = task.resume().unwrap_err();
    assert!(matches!(error, ResumeError::Finished));
    assert_eq!(error.to_string(), "cannot resume a coroutine that has finished");
}

#[test]
fn resume_of_the_running_is_an_error() {
    let me = Rc::new(OnceCell::<Rc<Task>>::new());
    let task = Rc::new(Task::new({
        let me = Rc::clone(&me);
        move || {
            let me = Rc::clone(me.get().unwrap());
            assert!(matches!(me.resume(), Err(ResumeError::Running)));
            assert!(matches!(yield_to(&me), Err(ResumeError::Running)));
            // Through another that it resumed, and through a generator.
            let other = Rc::clone(&me);
            Task::new(move || {
                assert!(matches!(other.resume(), Err(ResumeError::Running)));
                assert!(matches!(yield_to(&other), Err(ResumeError::Running)));
            })
            .resume()
            .unwrap();
            Coroutine::<(), (), ()>::new(move |_, ()| {
                assert!(matches!(me.resume(), Err(ResumeError::Running)));
            })
            .resume(());
        }
    }));
    assert!(me.set(Rc::clone(&task)).is_ok());
    assert_eq!(task.resume().unwrap(), State::Finished);
}

#[test]
fn resume_while_panicking_is_an_error() {
    struct Resumes(Task);
    impl Drop for Resumes {
        fn drop(&mut self) {
            assert!(matches!(self.0.resume(), Err(ResumeError::Panicking)));
            assert!(matches!(yield_to(&self.0), Err(ResumeError::Panicking)));
        }
    }
    panic_of(|| {
        let _resumes = Resumes(Task::new(|| ()));
        panic!("expected");
    });
}

#[test]
fn panic_is_handed_to_the_driver() {
    let task = Task::new(|| {
        coroutine::yield_now();
        std::panic::panic_any(42u8);
    });
    task.resume().unwrap();
    match task.resume() {
        Err(ResumeError::Panicked(payload)) => assert_eq!(payload.downcast_ref(), Some(&42u8)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(task.resume(), Err(ResumeError::Finished)));
    let error = Task::new(|| panic!("text")).resume().unwrap_err();
    assert_eq!(error.to_string(), "the coroutine panicked: text");
}

#[test]
fn yield_to_hands_the_driver_on() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let say = |what: &'static str| {
        let log = Rc::clone(&log);
        move || log.borrow_mut().push(what)
    };
    let (b1, b2) = (say("b1"), say("b2"));
    let b = Rc::new(Task::new(move || {
        b1();
        coroutine::yield_now();
        b2();
    }));
    let (a1, a2, a3, target) = (say("a1"), say("a2"), say("a3"), Rc::clone(&b));
    let a = Task::new(move || {
        a1();
        assert_eq!(yield_to(&target).unwrap(), State::Suspended);
        a2();
        assert_eq!(yield_to(&target).unwrap(), State::Finished);
        a3();
        assert!(matches!(yield_to(&target), Err(ResumeError::Finished)));
    });
    assert_eq!(a.resume().unwrap(), State::Suspended);
    assert_eq!((a.state(), b.state()), (State::Suspended, State::Suspended));
    assert_eq!(a.resume().unwrap(), State::Suspended);
    assert_eq!(b.state(), State::Finished);
    assert_eq!(a.resume().unwrap(), State::Finished);
    assert_eq!(*log.borrow(), ["a1", "b1", "a2", "b2", "a3"]);
}

#[test]
fn yield_to_outside_of_a_task_is_resume() {
    let task = Task::new(coroutine::yield_now);
    assert_eq!(yield_to(&task).unwrap(), State::Suspended);
    assert_eq!(yield_to(&task).unwrap(), State::Finished);
    assert!(matches!(yield_to(&task), Err(ResumeError::Finished)));
}

#[test]
fn panic_through_yield_to_goes_to_the_driver() {
    let drops = Drops::default();
    let bomb = Rc::new(Task::new(|| panic!("behind the caller")));
    let (target, guard) = (Rc::clone(&bomb), drops.guard());
    let caller = Task::new(move || {
        let _guard = guard;
        assert_eq!(yield_to(&target).unwrap(), State::Finished);
    });
    let error = caller.resume().unwrap_err();
    assert_eq!(error.to_string(), "the coroutine panicked: behind the caller");
    assert_eq!(
        (caller.state(), bomb.state(), drops.count()),
        (State::Suspended, State::Finished, 0)
    );
    assert_eq!(caller.resume().unwrap(), State::Finished);
    assert_eq!(drops.count(), 1);
}

#[test]
fn ring_of_yield_to() {
    type Ring = Rc<RefCell<Vec<Rc<Task>>>>;
    let ring: Ring = Rc::default();
    let count = Rc::new(Cell::new(0));
    for at in 0..10 {
        let (tasks, count) = (Rc::clone(&ring), Rc::clone(&count));
        let task = Task::new(move || {
            for _ in 0..100 {
                count.set(count.get() + 1);
                let next = Rc::clone(&tasks.borrow()[(at + 1) % 10]);
                let _ = yield_to(&next);
            }
        });
        ring.borrow_mut().push(Rc::new(task));
    }
    // A task that ends gives the turn back to the driver, who starts the next one that is left.
    while let Some(task) = { ring.borrow().iter().find(|task| !task.is_finished()).cloned() } {
        task.resume().unwrap();
    }
    assert_eq!(count.get(), 1000);
    ring.borrow_mut().clear();
}

#[test]
fn a_task_parks_inside_a_generator() {
    let task = Task::new(|| {
        let mut inner = Coroutine::<u32, u32, ()>::new(|y, n| {
            coroutine::park();
            let n = y.suspend(n + 1);
            coroutine::park();
            y.suspend(n + 2);
        });
        inner.resume(1);
        inner.resume(2);
    });
    assert_eq!(task.resume().unwrap(), State::Parked);
    task.unpark();
    assert_eq!(task.resume().unwrap(), State::Parked);
    // Dropped where it stands: both stacks unwind.
    drop(task);
}

#[test]
fn current_follows_the_switches() {
    let id = || coroutine::current().map(|me| me.id());
    assert_eq!(id(), None);
    let inner = Task::builder().name("inner").build(coroutine::yield_now).unwrap();
    let (inner_id, outer_id) = (inner.id(), Rc::new(Cell::new(0)));
    let seen = Rc::clone(&outer_id);
    let outer = Task::new(move || {
        let me = id();
        seen.set(me.unwrap());
        assert_ne!(me, Some(inner.id()));
        inner.resume().unwrap();
        assert_eq!(id(), me);
        inner.resume().unwrap();
        assert_eq!(id(), me);
    });
    outer.resume().unwrap();
    assert_eq!((outer_id.get(), id()), (outer.id(), None));
    assert_ne!(outer.id(), inner_id);
}

#[test]
fn ids_names_and_places() {
    let mut ids: Vec<u64> = (0..3000).map(|_| Task::new(|| ()).id()).collect();
    ids.extend(
        std::thread::spawn(|| [Task::new(|| ()).id(), Task::new(|| ()).id()]).join().unwrap(),
    );
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let line = line!() + 1;
    let task = Task::builder().name(String::from("named")).build(|| ()).unwrap();
    assert_eq!(task.name().as_deref(), Some("named"));
    assert!(task.created_at().file().ends_with("task.rs"));
    assert_eq!(task.created_at().line(), line);
    assert_eq!(Task::new(|| ()).name(), None);
    assert!(format!("{task:?}").contains("named"));
    let line = line!() + 1;
    let seen = Task::builder().name("seen").build(move || {
        let me = coroutine::current().unwrap();
        assert_eq!((me.name(), me.spawned_at().line()), (Some("seen"), line));
    });
    seen.unwrap().resume().unwrap();
}

kcoro::coroutine_local! {
    static COUNT: Cell<u32> = Cell::new(100);
    static OWNED: RefCell<Option<super::Dropped>> = RefCell::new(None);
}

#[test]
fn locals_belong_to_a_task() {
    let drops = Drops::default();
    let tasks: Vec<Task> = (0..3)
        .map(|n| {
            let guard = drops.guard();
            Task::new(move || {
                OWNED.with(|owned| *owned.borrow_mut() = Some(guard));
                COUNT.with(|count| count.set(n));
                coroutine::yield_now();
                // A generator shares the values of the task that resumes it.
                Coroutine::<(), (), ()>::new(move |_, ()| {
                    assert_eq!(COUNT.with(Cell::get), n);
                })
                .resume(());
            })
        })
        .collect();
    for task in &tasks {
        task.resume().unwrap();
    }
    assert_eq!((drops.count(), COUNT.with(Cell::get)), (0, 100));
    tasks[0].resume().unwrap();
    assert_eq!(drops.count(), 1);
    drop(tasks);
    assert_eq!(drops.count(), 3);
}

#[test]
fn locals_made_by_the_destructors_of_locals_are_dropped_too() {
    struct Again(u32, super::Drops);
    impl Drop for Again {
        fn drop(&mut self) {
            self.1.guard();
            let next = self.0.checked_sub(1).map(|n| Again(n, self.1.clone()));
            AGAIN.with(|again| *again.borrow_mut() = next);
        }
    }
    kcoro::coroutine_local!(
        static AGAIN: RefCell<Option<Again>> = RefCell::new(None);
    );
    let drops = Drops::default();
    let first = Again(3, drops.clone());
    Task::new(move || AGAIN.with(|again| *again.borrow_mut() = Some(first))).resume().unwrap();
    assert_eq!(drops.count(), 4);
}

#[test]
fn panic_of_a_local_reaches_the_driver() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("local");
        }
    }
    kcoro::coroutine_local!(
        static BOMB: Bomb = Bomb;
    );
    let error = Task::new(|| BOMB.with(|_| ())).resume().unwrap_err();
    assert_eq!(error.to_string(), "the coroutine panicked: local");
}
