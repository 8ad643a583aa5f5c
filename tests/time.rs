//! Sleeps, intervals and timeouts, end to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kcoro::cancel::CancelToken;
use kcoro::error::{CancelReason, Cancelled};
use kcoro::time::{Missed, interval};
use kcoro::{Runtime, cancel_token, sleep_cancellable, timeout};

mod scale;
mod watchdog;
use watchdog::watchdog;

#[test]
fn ten_thousand_sleepers_are_never_early() {
    let _dog = watchdog("ten_thousand_sleepers_are_never_early");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let handles: Vec<_> = (0..10_000u64)
        .map(|i| {
            rt.spawn(move || {
                // Nanoseconds that fall between the wheel's ticks, and between milliseconds.
                let wanted = Duration::from_nanos(1 + (i * 7_919_317) % 50_000_000);
                let start = Instant::now();
                if i % 2 == 0 {
                    kcoro::sleep(wanted);
                    assert!(start.elapsed() >= wanted);
                } else {
                    kcoro::sleep_until(start + wanted);
                    assert!(Instant::now() >= start + wanted);
                }
            })
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

#[test]
fn a_sleep_races_its_cancel() {
    let _dog = watchdog("a_sleep_races_its_cancel");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let (slept, cancelled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let rounds = scale::scaled(if cfg!(debug_assertions) { 2_000 } else { 20_000 }) as u64;
    for round in 0..rounds {
        let token = CancelToken::new();
        let inner = token.clone();
        let (slept, cancelled) = (Arc::clone(&slept), Arc::clone(&cancelled));
        let sleeper = rt.spawn(move || {
            let wanted = Duration::from_micros(round % 60);
            let start = Instant::now();
            match sleep_cancellable(wanted, &inner) {
                Ok(()) => {
                    assert!(start.elapsed() >= wanted);
                    slept.fetch_add(1, Ordering::Relaxed);
                }
                Err(Cancelled(reason)) => {
                    assert_eq!(reason, CancelReason::from(9));
                    cancelled.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for _ in 0..round % 300 {
            std::hint::spin_loop();
        }
        token.cancel_with(9);
        sleeper.join().unwrap();
    }
    assert_eq!(slept.load(Ordering::Relaxed) + cancelled.load(Ordering::Relaxed), rounds);
}

#[test]
fn a_cancel_ends_a_sleep_for_ever_on_thread_and_coroutine() {
    let _dog = watchdog("a_cancel_ends_a_sleep_for_ever");
    let token = CancelToken::new();
    let rt = Runtime::builder().workers(1).build().unwrap();
    let sleep = |token: CancelToken| move || sleep_cancellable(Duration::MAX, &token);
    let coroutine = rt.spawn(sleep(token.clone()));
    let thread = std::thread::spawn(sleep(token.clone()));
    std::thread::sleep(Duration::from_millis(5));
    token.cancel();
    let expected = Err(Cancelled(CancelReason::Unspecified));
    assert_eq!(coroutine.join().unwrap(), expected);
    assert_eq!(thread.join().unwrap(), expected);
    assert_eq!(sleep_cancellable(Duration::ZERO, &token), expected, "cancelled before");
}

#[test]
fn ticks_come_in_order_and_never_early() {
    let _dog = watchdog("ticks_come_in_order_and_never_early");
    kcoro::run(|| {
        let period = Duration::from_millis(2);
        for missed in [Missed::Burst, Missed::Delay, Missed::Skip] {
            let mut ticks = interval(period).missed(missed);
            let mut last = None;
            for round in 0..5 {
                let due = ticks.tick();
                assert!(Instant::now() >= due);
                if let Some(last) = last {
                    assert!(due >= last + period, "{missed:?}");
                }
                last = Some(due);
                if round == 2 {
                    kcoro::sleep(3 * period);
                }
            }
        }
        let token = CancelToken::new();
        token.cancel();
        assert!(interval(Duration::MAX).tick_cancellable(&token).is_err());
    });
}

#[test]
fn timeouts_nest_and_give_late_values_back() {
    let _dog = watchdog("timeouts_nest_and_give_late_values_back");
    kcoro::run(|| {
        let outer = timeout(Duration::from_millis(5), || {
            let inner = timeout(Duration::from_secs(600), || {
                sleep_cancellable(Duration::MAX, &cancel_token())
            });
            // The outer deadline ended it, so the inner one had not passed.
            assert_eq!(inner.unwrap(), Err(Cancelled(CancelReason::Deadline)));
            "late"
        });
        assert_eq!(outer.unwrap_err().0, "late");
        assert_eq!(timeout(Duration::MAX, || 1).unwrap(), 1);
        assert!(!cancel_token().is_cancelled(), "the scope is left");
    });
    // On a plain thread as well.
    let late = timeout(Duration::from_millis(2), || {
        sleep_cancellable(Duration::MAX, &cancel_token()).unwrap_err()
    });
    assert_eq!(late.unwrap_err().0, Cancelled(CancelReason::Deadline));
}

#[test]
fn a_panic_leaves_the_scope_of_a_timeout() {
    let _dog = watchdog("a_panic_leaves_the_scope_of_a_timeout");
    kcoro::run(|| {
        let before = cancel_token().deadline();
        let body = || timeout(Duration::from_secs(60), || -> () { panic!("expected") });
        assert!(std::panic::catch_unwind(body).is_err());
        assert_eq!(cancel_token().deadline(), before);
    });
}

/// One moment, then the end; never early, whoever waits.
#[test]
fn a_moment_comes_once() {
    let _dog = watchdog("a_moment_comes_once");
    let start = Instant::now();
    let receiver = kcoro::time::after(Duration::from_millis(3));
    let moment = kcoro::run(move || {
        let moment = receiver.recv().unwrap();
        assert!(receiver.recv().is_err());
        moment
    });
    assert!(moment >= start + Duration::from_millis(3) && moment <= Instant::now());
    assert!(kcoro::time::after(Duration::MAX).recv_timeout(Duration::from_millis(2)).is_err());
    drop(kcoro::time::after(Duration::from_millis(1)));
}

/// Ticks are a whole number of periods apart, those nobody takes are left out, and who drops the
/// receiver ends them.
#[test]
fn ticks_come_as_messages() {
    let _dog = watchdog("ticks_come_as_messages");
    let period = Duration::from_millis(2);
    let start = Instant::now();
    let ticks = kcoro::time::tick(period);
    let first = ticks.recv().unwrap();
    assert!(first >= start + period);
    std::thread::sleep(5 * period);
    let mut last = first;
    for _ in 0..5 {
        let tick = ticks.recv().unwrap();
        assert!(tick > last && Instant::now() >= tick);
        assert_eq!((tick - first).as_nanos() % period.as_nanos(), 0);
        last = tick;
    }
    // A select sees them like any other channel.
    kcoro::run(move || {
        kcoro::select! {
            tick = ticks.recv() => assert!(tick.unwrap() > last),
            _ = after(Duration::from_secs(3_600)) => panic!("the tick comes first"),
        }
    });
}
