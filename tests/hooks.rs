//! What a runtime calls and how it is tuned: thread and switch hooks, budgets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kcoro::{Runtime, channel, yield_now};

mod watchdog;

use watchdog::watchdog;

/// Every thread is announced once at each end, with its number.
#[test]
fn threads_start_and_stop() {
    let _dog = watchdog("threads_start_and_stop");
    let started = Arc::new(Mutex::new(Vec::new()));
    let stopped = Arc::new(Mutex::new(Vec::new()));
    let (starts, stops) = (Arc::clone(&started), Arc::clone(&stopped));
    let rt = Runtime::builder()
        .workers(3)
        .on_thread_start(move |worker| {
            starts.lock().unwrap().push(worker);
            if worker == 1 {
                panic!("expected: a hook that panics takes nobody along");
            }
        })
        .on_thread_stop(move |worker| stops.lock().unwrap().push(worker))
        .build()
        .unwrap();
    for number in 0..100 {
        assert_eq!(rt.spawn(move || number).join().unwrap(), number);
    }
    let _ = rt.shutdown(Duration::from_secs(10));
    for list in [started, stopped] {
        let mut list = list.lock().unwrap().clone();
        list.sort_unstable();
        assert_eq!(list, [0, 1, 2]);
    }
}

/// In and out come in turns for each coroutine, also for one that is unwound at the end.
#[test]
fn switches_come_in_pairs() {
    let _dog = watchdog("switches_come_in_pairs");
    let balance: Arc<Mutex<HashMap<u64, (i32, u64)>>> = Arc::default();
    let (entered, left) = (Arc::clone(&balance), Arc::clone(&balance));
    let rt = Runtime::builder()
        .workers(2)
        .on_switch_in(move |id| {
            let mut balance = entered.lock().unwrap();
            let (depth, count) = balance.entry(id).or_default();
            (*depth, *count) = (*depth + 1, *count + 1);
            assert_eq!(*depth, 1);
        })
        .on_switch_out(move |id| {
            let mut balance = left.lock().unwrap();
            let (depth, _) = balance.get_mut(&id).unwrap();
            *depth -= 1;
            assert_eq!(*depth, 0);
        })
        .build()
        .unwrap();
    let parked = rt.spawn(kcoro::park);
    let id = rt.run(|| {
        let (tx, rx) = channel::rendezvous();
        let other = kcoro::spawn(move || (0..10).for_each(|n| tx.send(n).unwrap()));
        assert_eq!((&rx).into_iter().sum::<u32>(), 45);
        other.join().unwrap();
        (0..3).for_each(|_| yield_now());
        kcoro::current().unwrap().id()
    });
    let parked_id = parked.id();
    let report = rt.shutdown(Duration::ZERO);
    assert_eq!(report.stuck.len(), 1);
    let balance = balance.lock().unwrap();
    assert!(balance.values().all(|&(depth, _)| depth == 0), "{balance:?}");
    assert!(balance[&id].1 > 1);
    // It began, and was continued once more to be unwound.
    assert_eq!(balance[&parked_id].1, 2);
}

/// A hook that panics, spawns or waits harms nobody: nothing in it is a coroutine.
#[test]
fn a_hook_is_no_coroutine() {
    let _dog = watchdog("a_hook_is_no_coroutine");
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let rt = Runtime::builder()
        .workers(1)
        .on_switch_out(move |_| {
            assert!(kcoro::current().is_none());
            yield_now();
            kcoro::sleep(Duration::from_micros(1));
            if called.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
                panic!("expected: no harm done");
            }
        })
        .build()
        .unwrap();
    let all: Vec<_> = (0..10)
        .map(|number| {
            rt.spawn(move || {
                yield_now();
                number
            })
        })
        .collect();
    let sum: u32 = all.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!(sum, 45);
    assert!(calls.load(Ordering::Relaxed) >= 10);
}

/// With any budget everything runs; without hand-offs a pair that wakes each other queues like all.
#[test]
fn budgets_decide_who_is_next_and_not_whether() {
    let _dog = watchdog("budgets_decide_who_is_next_and_not_whether");
    for (switches, handoffs) in [(0, 0), (1, 1), (2, 1_000_000), (u32::MAX, 0)] {
        let rt = Runtime::builder()
            .workers(1)
            .switch_budget(switches)
            .handoff_budget(handoffs)
            .poll_interval(Duration::MAX)
            .build()
            .unwrap();
        let turns = Arc::new(AtomicU64::new(0));
        let turned = Arc::clone(&turns);
        let during = rt.run(move || {
            let (tx, rx) = channel::rendezvous::<()>();
            let count = Arc::clone(&turned);
            let third = kcoro::spawn(move || {
                for _ in 0..1_000 {
                    count.fetch_add(1, Ordering::Relaxed);
                    yield_now();
                }
            });
            let pong = kcoro::spawn(move || while rx.recv().is_ok() {});
            yield_now();
            let before = turned.load(Ordering::Relaxed);
            (0..500).for_each(|_| tx.send(()).unwrap());
            let during = turned.load(Ordering::Relaxed) - before;
            drop(tx);
            pong.join().unwrap();
            third.join().unwrap();
            during
        });
        assert_eq!(turns.load(Ordering::Relaxed), 1_000);
        println!("switches {switches}, hand-offs {handoffs}: {during} turns of the third");
        if handoffs == 0 {
            assert!(during >= 250, "{during}");
        }
    }
}
