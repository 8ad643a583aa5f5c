//! The cancel tokens that coroutines have, and who cancels them.

use std::time::Duration;

use kcoro::cancel::CancelToken;
use kcoro::error::{CancelReason, Cancelled};
use kcoro::{Builder, Runtime, cancel_token, park_cancellable, sleep_cancellable};

mod scale;
mod watchdog;
use watchdog::watchdog;

/// Waits for its own token, and says why it was cancelled.
fn wait() -> CancelReason {
    let Err(Cancelled(reason)) = sleep_cancellable(Duration::MAX, &cancel_token()) else {
        unreachable!("for ever")
    };
    reason
}

#[test]
fn a_handle_cancels_its_coroutine_before_and_after_the_start() {
    let _dog = watchdog("a_handle_cancels_its_coroutine");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let waiting = rt.spawn(wait);
    std::thread::sleep(Duration::from_millis(5));
    assert!(waiting.cancel_with(4));
    assert!(!waiting.cancel(), "once");
    assert_eq!(waiting.join().unwrap(), CancelReason::from(4));

    let hog = rt.spawn(|| std::thread::sleep(Duration::from_millis(20)));
    let unstarted = rt.spawn(wait);
    unstarted.cancel();
    assert_eq!(unstarted.join().unwrap(), CancelReason::Unspecified);
    hog.join().unwrap();

    let done = rt.spawn(|| ());
    assert!(rt.drain(Duration::from_secs(60)));
    assert!(!done.cancel());
}

#[test]
fn the_end_of_the_runtime_cancels_every_token_first() {
    let _dog = watchdog("the_end_of_the_runtime_cancels");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let elsewhere = CancelToken::new();
    let mut handles: Vec<_> = (0..10).map(|_| rt.spawn(wait)).collect();
    handles.push(rt.spawn_with(Builder::new().cancel_with(&elsewhere), wait).unwrap());
    std::thread::sleep(Duration::from_millis(10));
    let report = rt.shutdown(Duration::from_secs(60));
    assert!(report.is_clean(), "{report}");
    for handle in handles {
        assert_eq!(handle.join().unwrap(), CancelReason::Shutdown);
    }
    assert!(!elsewhere.is_cancelled());
}

#[test]
fn run_cancels_what_is_left_when_it_returns() {
    let _dog = watchdog("run_cancels_what_is_left");
    let mut left = None;
    kcoro::run(|| {
        left = Some(kcoro::spawn(wait));
        kcoro::sleep(Duration::from_millis(5));
    });
    assert_eq!(left.unwrap().join().unwrap(), CancelReason::Shutdown);
}

#[test]
fn a_named_parent_cancels_and_a_spawner_does_not() {
    let _dog = watchdog("a_named_parent_cancels");
    kcoro::run(|| {
        let parent = kcoro::spawn(|| {
            let below = Builder::new().cancel_with(&cancel_token()).spawn(wait).unwrap();
            let apart =
                kcoro::spawn(|| sleep_cancellable(Duration::from_millis(5), &cancel_token()));
            let reason = wait();
            assert_eq!(below.join().unwrap(), reason);
            assert_eq!(apart.join().unwrap(), Ok(()));
        });
        kcoro::sleep(Duration::from_millis(1));
        parent.cancel_with(8);
        parent.join().unwrap();
    });
}

#[test]
fn join_and_park_have_a_cancellable_form() {
    let _dog = watchdog("join_and_park_have_a_cancellable_form");
    let rounds = scale::scaled(if cfg!(debug_assertions) { 500 } else { 20_000 });
    let rt = Runtime::builder().workers(2).build().unwrap();
    for round in 0..rounds {
        let token = CancelToken::new();
        let inner = token.clone();
        let joiner = rt.spawn(move || {
            let job = kcoro::spawn(move || {
                if round % 2 == 0 {
                    kcoro::yield_now();
                }
                round
            });
            match job.join_cancellable(&inner) {
                Ok(result) => assert_eq!(result.unwrap(), round),
                Err(job) => assert_eq!(job.join().unwrap(), round),
            }
        });
        token.cancel();
        joiner.join().unwrap();
    }
    let token = CancelToken::new();
    let inner = token.clone();
    let parked = std::thread::spawn(move || park_cancellable(&inner));
    token.cancel_with(1);
    assert_eq!(parked.join().unwrap(), Err(Cancelled(1.into())));
}

#[test]
fn tasks_and_threads_have_tokens_of_their_own() {
    let here = cancel_token();
    here.cancel();
    assert!(cancel_token().is_cancelled(), "the same token");
    let task = kcoro::coroutine::Task::new(|| assert!(!cancel_token().is_cancelled()));
    task.resume().unwrap();
    std::thread::spawn(|| assert!(!cancel_token().is_cancelled())).join().unwrap();
    kcoro::run(|| assert!(!cancel_token().is_cancelled()));
}
