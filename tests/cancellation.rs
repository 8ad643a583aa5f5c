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

/// Every wait on a descriptor, by a coroutine, one that may migrate, a task and a thread; early,
/// late, and together with what it waits for.
#[test]
fn descriptors_have_a_cancellable_form() {
    use kcoro::io;
    let _dog = watchdog("descriptors_have_a_cancellable_form");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let rounds = scale::scaled(if cfg!(debug_assertions) { 200 } else { 2_000 });
    for round in 0..rounds {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let token = CancelToken::new();
        let inner = token.clone();
        let read = move || {
            let mut two = [0; 2];
            let incomplete = io::read_exact_cancellable(&near, &mut two, None, &inner).unwrap_err();
            assert_eq!(Cancelled::of(incomplete.error()), Some(Cancelled(9.into())));
            let error = io::wait_readable_cancellable(&near, None, &inner).unwrap_err();
            assert!(Cancelled::of(&error).is_some(), "{error}");
            (incomplete.done(), near)
        };
        let write = move || io::write_all(&far, &[1], None).map(|()| far).unwrap();
        let ((done, _near), _far) = match round % 3 {
            0 => {
                let reader = rt.spawn(read);
                let writer = rt.spawn(write);
                token.cancel_with(9);
                (reader.join().unwrap(), writer.join().unwrap())
            }
            1 => {
                // SAFETY: nothing that is not `Send` and no thread-local lives across a wait.
                let migratable = unsafe { Builder::new().migratable() };
                let reader = rt.spawn_with(migratable, read).unwrap();
                let writer = rt.spawn(write);
                token.cancel_with(9);
                (reader.join().unwrap(), writer.join().unwrap())
            }
            _ => {
                let reader = std::thread::spawn(read);
                let writer = std::thread::spawn(write);
                token.cancel_with(9);
                (reader.join().unwrap(), writer.join().unwrap())
            }
        };
        assert!(done <= 1);
    }
    // The cancel comes before the deadline; the deadline is none.
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    let token = CancelToken::new();
    let past = Some(std::time::Instant::now());
    let error = io::read_cancellable(&near, &mut [0], past, &token).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    token.cancel();
    let error = io::read_cancellable(&near, &mut [0], past, &token).unwrap_err();
    assert!(Cancelled::of(&error).is_some(), "{error}");
    let error = io::write_cancellable(&near, &[0], None, &token).unwrap_err();
    assert!(Cancelled::of(&error).is_some(), "{error}");
}

/// A call on the pool that is cancelled before, while and after it runs: its result is given or
/// dropped, once.
#[test]
fn calls_have_a_cancellable_form() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _dog = watchdog("calls_have_a_cancellable_form");
    let rt = Runtime::builder().workers(2).blocking_threads(2).build().unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let rounds = scale::scaled(if cfg!(debug_assertions) { 300 } else { 5_000 });
    let all: Vec<_> = (0..rounds)
        .map(|round| {
            let token = CancelToken::new();
            let (inner, dropped) = (token.clone(), Dropped(Arc::clone(&drops)));
            let call = rt.spawn(move || {
                let result = kcoro::blocking_cancellable(&inner, move || {
                    std::thread::yield_now();
                    dropped
                });
                result.map(|_| ())
            });
            if round % 2 == 0 {
                token.cancel_with(4);
            }
            (round, call)
        })
        .collect();
    for (round, call) in all {
        match call.join().unwrap() {
            Ok(()) => {}
            Err(cancelled) => {
                assert_eq!((round % 2, cancelled), (0, Cancelled(4.into())));
            }
        }
    }
    let _ = rt.shutdown(Duration::from_secs(60));
    assert_eq!(drops.load(Ordering::Relaxed), rounds);
}

/// Tickets, futures, and coroutines of the same worker.
#[test]
fn tickets_futures_and_local_joins_have_a_cancellable_form() {
    use kcoro::error::WaitError;
    use kcoro::token::{self, Payload};
    let _dog = watchdog("tickets_futures_and_local_joins_have_a_cancellable_form");
    kcoro::run(|| {
        let token = CancelToken::new();
        let ticket = token::publish();
        ticket.complete(Payload::bytes(b"OK")).unwrap();
        assert_eq!(token.wait_ticket(ticket).unwrap().len(), 2);
        assert_eq!(kcoro::block_on_cancellable(std::future::ready(3), &token), Ok(3));
        let local = kcoro::spawn_local(kcoro::park);
        let inner = token.clone();
        let canceller = kcoro::spawn(move || inner.cancel_with(5));
        let local = local.join_cancellable(&token).unwrap_err();
        assert!(canceller.join().unwrap());
        let Err(_local) = local.join_timeout(Duration::from_millis(1)) else { panic!("it parks") };
        let late = token::publish();
        assert_eq!(token.wait_ticket(late).err(), Some(WaitError::Cancelled(5.into())));
        let forever = std::future::pending::<()>();
        assert_eq!(kcoro::block_on_cancellable(forever, &token), Err(Cancelled(5.into())));
    });
}
