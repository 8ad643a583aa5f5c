//! Futures and coroutines: each waits for the other, also in a process that runs tokio.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use kcoro::{Runtime, block_on};

mod scale;
mod watchdog;
use watchdog::watchdog;

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn block_on_parks_only_the_coroutine() {
    let _dog = watchdog("block_on_parks_only_the_coroutine");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let (sender, receiver) = oneshot::channel();
    let waiting = rt.spawn(|| block_on(receiver));
    // The only worker is free to run this while the first one waits.
    rt.spawn(move || sender.send(5).unwrap()).join().unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(5));
}

#[test]
fn block_on_works_on_a_thread_and_in_a_task() {
    let _dog = watchdog("block_on_works_on_a_thread_and_in_a_task");
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::spawn(|| block_on(receiver));
    sender.send(1).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(1));

    let (sender, receiver) = oneshot::channel();
    let task = kcoro::coroutine::Task::new(move || assert_eq!(block_on(receiver), Ok(2)));
    task.resume().unwrap();
    assert!(task.is_parked());
    sender.send(2).unwrap();
    task.resume().unwrap();
    assert!(task.is_finished());
}

#[test]
fn a_future_that_wakes_itself_is_polled_again() {
    let _dog = watchdog("a_future_that_wakes_itself_is_polled_again");
    let yields = || {
        let mut left = 100;
        poll_fn(move |context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            context.waker().wake_by_ref();
            Poll::Pending
        })
    };
    block_on(yields());
    kcoro::run(|| block_on(yields()));
}

#[test]
fn block_on_leaves_the_park_permit_alone() {
    let _dog = watchdog("block_on_leaves_the_park_permit_alone");
    kcoro::run(|| {
        kcoro::unparker().unpark();
        let handle = kcoro::spawn(|| kcoro::sleep(Duration::from_millis(1)));
        block_on(handle).unwrap();
        kcoro::park(); // the permit is still there
    });
}

#[test]
fn runtime_block_on_enters_the_runtime() {
    let _dog = watchdog("runtime_block_on_enters_the_runtime");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let other = Runtime::builder().workers(1).build().unwrap();
    let sum = rt.block_on(async {
        let first = kcoro::spawn(|| 1);
        let named = kcoro::Builder::new().name("x").try_spawn(|| 2).unwrap();
        let inner = other.block_on(async { kcoro::spawn(|| 3).await.unwrap() });
        first.await.unwrap() + named.await.unwrap() + inner
    });
    assert_eq!(sum, 6);
    assert_eq!(other.metrics().spawned, 1);
    assert!(kcoro::Builder::new().try_spawn(|| ()).is_err(), "left again");
}

#[test]
fn a_panic_in_the_future_leaves_the_runtime() {
    let _dog = watchdog("a_panic_in_the_future_leaves_the_runtime");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let body = std::panic::AssertUnwindSafe(|| rt.block_on(async { panic!("expected") }));
    assert!(std::panic::catch_unwind(body).is_err());
    assert!(kcoro::Builder::new().try_spawn(|| ()).is_err());
}

#[test]
fn a_handle_wakes_the_last_waker() {
    let _dog = watchdog("a_handle_wakes_the_last_waker");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let mut handle = rt.spawn(move || receiver.recv().unwrap());
    let (old, new) = (Arc::new(CountWakes::default()), Arc::new(CountWakes::default()));
    assert!(poll_once(&mut handle, &Waker::from(Arc::clone(&old))).is_pending());
    assert!(poll_once(&mut handle, &Waker::from(Arc::clone(&new))).is_pending());
    sender.send(()).unwrap();
    while new.0.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(old.0.load(Ordering::SeqCst), 0);
    match poll_once(&mut handle, Waker::noop()) {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("woken before it was done"),
    }
}

#[test]
fn a_polled_handle_can_still_be_joined_or_dropped() {
    let _dog = watchdog("a_polled_handle_can_still_be_joined_or_dropped");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let rounds = scale::scaled(if cfg!(debug_assertions) { 500 } else { 20_000 });
    for round in 0..rounds {
        let mut handle = rt.spawn(move || round);
        if let Poll::Ready(result) = poll_once(&mut handle, Waker::noop()) {
            assert_eq!(result.unwrap(), round);
            continue;
        }
        match round % 3 {
            0 => assert_eq!(handle.join().unwrap(), round),
            1 => drop(handle),
            _ => match handle.join_timeout(Duration::from_micros(1)) {
                Ok(result) => assert_eq!(result.unwrap(), round),
                Err(handle) => assert_eq!(block_on(handle).unwrap(), round),
            },
        }
    }
    assert!(rt.drain(Duration::from_secs(60)));
}

#[test]
fn tokio_awaits_a_coroutine_and_a_coroutine_tokio() {
    let _dog = watchdog("tokio_awaits_a_coroutine_and_a_coroutine_tokio");
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let rt = Runtime::builder().workers(1).build().unwrap();
    // A tokio task awaits coroutines.
    let sum = tokio.block_on(async {
        let handles: Vec<_> = (0..100)
            .map(|i| {
                rt.spawn(move || {
                    kcoro::sleep(Duration::from_millis(i % 3));
                    i
                })
            })
            .collect();
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
    // Coroutines wait for tokio's timers and tasks; they overlap on one worker.
    let handle = tokio.handle().clone();
    let start = Instant::now();
    let sleepers: Vec<_> = (0..10)
        .map(|_| {
            let handle = handle.clone();
            rt.spawn(move || {
                // The guard is a thread-local matter of tokio's: it must not live across a wait.
                let sleep = {
                    let _entered = handle.enter();
                    tokio::time::sleep(Duration::from_millis(20))
                };
                block_on(sleep);
                block_on(handle.spawn(async { 3 })).unwrap()
            })
        })
        .collect();
    for sleeper in sleepers {
        assert_eq!(sleeper.join().unwrap(), 3);
    }
    assert!(start.elapsed() >= Duration::from_millis(20));
    // tokio's own block_on, from a coroutine: it blocks the worker, and works.
    assert_eq!(rt.spawn(move || handle.block_on(async { 9 })).join().unwrap(), 9);
}
