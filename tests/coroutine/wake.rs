//! `park` against `unpark` from other threads.

use kcoro::coroutine::{self, State, Task, Unparker};
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

fn rounds() -> usize {
    super::scaled(20_000)
}

#[test]
fn every_unpark_of_another_thread_arrives() {
    let (handles, wanted) = mpsc::sync_channel::<Unparker>(0);
    let waker = thread::spawn(move || {
        for unparker in wanted {
            unparker.unpark();
        }
    });
    let task = Task::new(move || {
        for _ in 0..rounds() {
            handles.send(coroutine::unparker()).unwrap();
            coroutine::park();
        }
    });
    // The state alone tells the driver when to go on: no wake-up may be lost from it.
    loop {
        match task.state() {
            State::Parked => thread::yield_now(),
            State::Finished => break,
            _ => _ = task.resume().unwrap(),
        }
    }
    drop(task);
    waker.join().unwrap();
}

#[test]
fn a_running_task_is_never_taken_for_a_ready_one() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let me = Rc::new(OnceCell::<Rc<Task>>::new());
    let task = Rc::new(Task::new({
        let me = Rc::clone(&me);
        move || {
            let me = me.get().unwrap();
            for _ in 0..rounds() * 20 {
                coroutine::park();
                for _ in 0..20 {
                    assert_eq!(me.state(), State::Running);
                }
            }
        }
    }));
    let unparker = task.unparker();
    let waker = thread::spawn(move || {
        while !STOP.load(Ordering::Relaxed) {
            unparker.unpark();
        }
    });
    assert!(me.set(Rc::clone(&task)).is_ok());
    // Never waits for a wake-up, so that they come while the task runs, parks or stands.
    while !task.is_finished() {
        if let Err(error) = task.resume() {
            STOP.store(true, Ordering::Relaxed);
            panic!("{error}");
        }
    }
    STOP.store(true, Ordering::Relaxed);
    waker.join().unwrap();
}

#[test]
fn unparkers_outlive_the_task() {
    let task = Task::new(coroutine::park);
    let unparker = task.unparker();
    assert_eq!(task.resume().unwrap(), State::Parked);
    drop(task);
    unparker.unpark();
    let copy = unparker.clone();
    thread::spawn(move || copy.unpark()).join().unwrap();
    // The stack has another owner by now, who must not be woken.
    let next = Task::new(coroutine::park);
    next.resume().unwrap();
    unparker.unpark();
    assert!(next.is_parked());
    assert!(format!("{unparker:?}").starts_with("Unparker"));
}

#[test]
fn dropped_while_it_is_being_woken() {
    for _ in 0..rounds() / 20 {
        let task = Task::new(coroutine::park);
        let unparker = task.unparker();
        task.resume().unwrap();
        let waker = thread::spawn(move || unparker.unpark());
        drop(task);
        waker.join().unwrap();
    }
}

#[test]
fn on_a_plain_thread_both_have_the_meaning_of_std() {
    let unparker = coroutine::unparker();
    let waker = thread::spawn(move || unparker.unpark());
    coroutine::park();
    coroutine::yield_now();
    waker.join().unwrap();
}
