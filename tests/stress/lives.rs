//! Coroutines and runtimes that begin and end in every way and order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use kcoro::cancel::CancelToken;
use kcoro::{Runtime, cancel_token, channel, park, sleep, sleep_cancellable, yield_now};

use super::support::{Counted, Random, rounds, watched};

#[test]
fn spawn_from_foreign_threads() {
    let (rt, _dog) = watched("spawn_from_foreign_threads", 2);
    let each = rounds(100_000);
    let count = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (rt, count) = (&rt, &count);
            scope.spawn(move || {
                for i in 0..each {
                    let handle = rt.spawn(move || thread * each + i);
                    if i % 3 == 0 {
                        assert_eq!(handle.join().unwrap(), thread * each + i);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(rt.drain(Duration::from_secs(120)));
    assert_eq!(rt.metrics().finished, 4 * each);
}

/// One coroutine of some kind, which holds `counted` for as long as it has frames.
fn life(kind: u64, counted: Counted, rx: channel::Receiver<u64>) {
    let _counted = counted;
    match kind {
        0 => while sleep_cancellable(Duration::from_micros(200), &cancel_token()).is_ok() {},
        1 => park(),
        2 => sleep(Duration::MAX),
        3 => drop(rx.recv()),
        4 => drop(rx.recv_cancellable(&cancel_token())),
        5 => (0..100).for_each(|_| yield_now()),
        6 => {
            let inner = kcoro::spawn(park);
            let _ = inner.join();
        }
        _ => {
            let mut left = 50;
            while left > 0 && !cancel_token().is_cancelled() {
                kcoro::spawn(yield_now).detach();
                yield_now();
                left -= 1;
            }
        }
    }
}

#[test]
fn shutdown_under_load() {
    let dog = super::watchdog::watchdog("shutdown_under_load");
    let mut random = Random(0xB0A7);
    let alive = Arc::new(AtomicU64::new(0));
    for round in 0..rounds(10_000).min(500) {
        let rt = Runtime::builder().workers(1 + (round % 3) as usize).build().unwrap();
        let (tx, rx) = channel::bounded(1);
        let handles: Vec<_> = (0..40)
            .map(|_| {
                let (kind, counted, rx) = (random.below(8), Counted::new(&alive), rx.clone());
                rt.spawn(move || life(kind, counted, rx))
            })
            .collect();
        let kept = handles.into_iter().filter(|_| random.below(2) == 0).collect::<Vec<_>>();
        std::thread::sleep(Duration::from_micros(random.below(500)));
        let report = rt.shutdown(Duration::from_micros(random.below(500)));
        assert_eq!(alive.load(Ordering::SeqCst), 0, "{report}");
        for handle in kept {
            drop(handle.join());
        }
        drop(tx);
    }
    drop(dog);
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("expected: destructor");
        }
    }
}

/// If the coroutine has ended, its result is dropped here and now.
fn detach<T>(handle: kcoro::JoinHandle<T>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
}

/// Whatever panics, the runtime goes on.
#[test]
fn panics_everywhere() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("");
        if !text.starts_with("expected") && !info.payload().is::<PanicsOnDrop>() {
            eprintln!("{info}");
        }
    }));
    let hooked = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&hooked);
    let rt = Runtime::builder()
        .workers(2)
        .on_detached_panic(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            panic!("expected: hook");
        })
        .build()
        .unwrap();
    let observer = rt.observer();
    let _dog = super::watchdog::watchdog_with("panics_everywhere", move || {
        eprintln!("{}", observer.dump(Duration::from_secs(2)));
    });
    let each = rounds(20_000);
    for _ in 0..each {
        // In the closure, joined and detached; before and after a suspension.
        assert!(rt.spawn(|| panic!("expected: body")).join().is_err());
        rt.spawn(|| {
            yield_now();
            panic!("expected: detached")
        })
        .detach();
        // In the destructor of a result nobody takes, of a capture, and of the payload.
        detach(rt.spawn(|| PanicsOnDrop));
        let capture = PanicsOnDrop;
        assert!(
            rt.spawn(move || {
                let _capture = capture;
            })
            .join()
            .is_err()
        );
        detach(rt.spawn(|| std::panic::panic_any(PanicsOnDrop)));
        // In a future, in a callback of a cancel, and in a coroutine that is joined by another.
        assert!(rt.spawn(|| kcoro::block_on(async { panic!("expected: future") })).join().is_err());
        let waiting = rt.spawn(|| {
            let token = cancel_token();
            token.on_cancel(|_| panic!("expected: callback"));
            sleep_cancellable(Duration::MAX, &token).is_err()
        });
        while catch_unwind(AssertUnwindSafe(|| waiting.cancel())).is_ok_and(|first| first) {}
        // An error if the cancel came first: then the callback panicked in the coroutine itself.
        assert!(waiting.join().unwrap_or(true));
        let inner = rt.spawn(|| kcoro::spawn(|| panic!("expected: inner")).join().is_err());
        assert!(inner.join().unwrap());
    }
    assert!(rt.drain(Duration::from_secs(120)));
    assert_eq!(rt.spawn(|| 1).join().unwrap(), 1);
    // One that had ended before its handle went is not among them.
    assert_eq!(hooked.load(Ordering::SeqCst), rt.metrics().detached_panics);
}

#[test]
fn handles_dropped_in_any_order() {
    let (rt, _dog) = watched("handles_dropped_in_any_order", 2);
    let mut random = Random(0xD20B);
    let alive = Arc::new(AtomicU64::new(0));
    for _ in 0..rounds(5_000) {
        let mut handles: Vec<_> = (0..20u64)
            .map(|i| {
                let counted = Counted::new(&alive);
                rt.spawn(move || {
                    (0..i % 4).for_each(|_| yield_now());
                    counted
                })
            })
            .collect();
        while !handles.is_empty() {
            let mut handle = handles.swap_remove(random.below(handles.len() as u64) as usize);
            match random.below(5) {
                0 => drop(handle),
                1 => handle.detach(),
                2 => drop(handle.join().unwrap()),
                3 => {
                    let mut context = Context::from_waker(Waker::noop());
                    let pinned = std::pin::Pin::new(&mut handle);
                    drop(std::future::Future::poll(pinned, &mut context));
                }
                _ => std::thread::spawn(move || drop(handle)).join().unwrap(),
            }
        }
    }
    assert!(rt.drain(Duration::from_secs(120)));
    // A dropped handle's result goes with the job, a moment after the coroutine counts as ended.
    while alive.load(Ordering::SeqCst) != 0 {
        std::thread::yield_now();
    }
}

#[test]
fn nested_runtimes() {
    let (outer, _dog) = watched("nested_runtimes", 2);
    let nests: Vec<_> = (0..rounds(2_000).max(10))
        .map(|i| {
            outer.spawn(move || {
                let inner = Runtime::builder().workers(1).build().unwrap();
                let twice = inner.run(move || kcoro::spawn(move || 2 * i).join().unwrap());
                let thrice = inner.block_on(async { inner.spawn(move || 3 * i).await.unwrap() });
                assert_eq!(kcoro::run(|| i), i, "here, it is a call");
                if i % 2 == 0 {
                    inner.spawn(park).detach();
                    let report = inner.shutdown(Duration::ZERO);
                    assert!(report.stuck.len() + report.never_started as usize <= 1);
                }
                twice + thrice
            })
        })
        .collect();
    for (i, nest) in nests.into_iter().enumerate() {
        assert_eq!(nest.join().unwrap(), 5 * i as u64);
    }
}

/// A token that outlives its runtime, a runtime that outlives the token's parent.
#[test]
fn tokens_and_runtimes_end_in_any_order() {
    let _dog = super::watchdog::watchdog("tokens_and_runtimes_end_in_any_order");
    for round in 0..rounds(2_000) {
        let parent = CancelToken::new();
        let rt = Runtime::builder().workers(1).build().unwrap();
        let builder = kcoro::Builder::new().cancel_with(&parent);
        let handle = rt.spawn_with(builder, cancel_token).unwrap();
        if round % 3 == 0 {
            drop(parent);
            let token = handle.join().unwrap();
            drop(rt);
            token.cancel();
        } else if round % 3 == 1 {
            drop(rt);
            parent.cancel();
            drop(handle);
        } else {
            parent.cancel();
            assert!(handle.join().unwrap().is_cancelled());
        }
    }
}
