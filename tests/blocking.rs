//! Calls that block: on the pool, and in place.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use kcoro::Runtime;
use kcoro::coroutine::Task;

mod watchdog;
use watchdog::watchdog;

#[test]
fn the_worker_goes_on_meanwhile() {
    let _dog = watchdog("worker goes on");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let (tx, rx) = channel();
    let call = rt.spawn(move || kcoro::blocking(move || rx.recv().unwrap()));
    // The only worker must run this one for the call to end.
    rt.spawn(move || tx.send(5).unwrap()).join().unwrap();
    assert_eq!(call.join().unwrap(), 5);
    assert_eq!(rt.metrics().blocking_calls, 1);
}

#[test]
fn outside_of_a_runtime_it_is_a_call() {
    let here = std::thread::current().id();
    assert_eq!(kcoro::blocking(|| std::thread::current().id()), here);
    let task = Task::new(move || {
        assert_eq!(kcoro::blocking(|| std::thread::current().id()), here);
    });
    task.resume().unwrap();
}

#[test]
fn calls_overlap_up_to_the_limit() {
    let _dog = watchdog("limit");
    let rt = Runtime::builder().workers(2).blocking_threads(4).build().unwrap();
    let barrier = Arc::new(Barrier::new(4));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let handles: Vec<_> = (0..40)
        .map(|i| {
            let (barrier, inside, most) =
                (Arc::clone(&barrier), Arc::clone(&inside), Arc::clone(&most));
            rt.spawn(move || {
                kcoro::blocking(move || {
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Four at a time, or nobody gets through.
                    barrier.wait();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    i
                })
            })
        })
        .collect();
    let sum: usize = handles.into_iter().map(|h| h.join().unwrap()).sum();
    assert_eq!((sum, most.load(Ordering::SeqCst)), (780, 4));
    let metrics = rt.metrics();
    assert_eq!((metrics.blocking_peak, metrics.blocking_calls), (4, 40));
    assert_eq!(metrics.blocking_queued, 0);
}

#[test]
fn an_idle_thread_is_used_again() {
    let _dog = watchdog("reuse");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let threads = Arc::new(Mutex::new(HashSet::new()));
    for _ in 0..50 {
        while rt.metrics().blocking_threads != rt.metrics().blocking_idle {
            std::thread::yield_now();
        }
        let threads = Arc::clone(&threads);
        rt.run(move || {
            kcoro::blocking(move || threads.lock().unwrap().insert(std::thread::current().id()))
        });
    }
    assert_eq!(threads.lock().unwrap().len(), 1);
}

#[test]
fn many_calls_and_every_result_comes_back() {
    let _dog = watchdog("many calls");
    let rt = Runtime::builder().workers(2).blocking_threads(8).build().unwrap();
    let handles: Vec<_> = (0..2_000u64)
        .map(|i| rt.spawn(move || kcoro::blocking(move || i) + kcoro::blocking(move || i)))
        .collect();
    let sum: u64 = handles.into_iter().map(|h| h.join().unwrap()).sum();
    assert_eq!(sum, 1999 * 2000);
}

#[test]
fn a_panic_continues_in_the_caller() {
    let _dog = watchdog("panic");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let payload = rt
        .spawn(|| {
            let caught = std::panic::catch_unwind(|| kcoro::blocking(|| panic!("first")));
            assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"first"));
            kcoro::blocking(|| panic!("second"))
        })
        .join()
        .unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"second"));
    assert_eq!(rt.run(|| kcoro::blocking(|| 1)), 1);
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);
impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_call_whose_coroutine_was_unwound_runs_to_its_end() {
    let _dog = watchdog("unwound");
    let rt = Runtime::builder().workers(1).blocking_threads(1).build().unwrap();
    let (drops, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (started_tx, started) = channel();
    let (gate, opened) = channel::<()>();
    let (value, late) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
    let flag = Arc::clone(&ran);
    let call = rt.spawn(move || {
        kcoro::blocking(move || {
            started_tx.send(()).unwrap();
            let _ = opened.recv();
            flag.store(true, Ordering::SeqCst);
            value
        });
    });
    started.recv().unwrap();
    let queued = rt.spawn(move || kcoro::blocking(move || drop(late)));
    while rt.metrics().blocking_queued == 0 {
        std::thread::yield_now();
    }
    let report = rt.shutdown(Duration::from_millis(20));
    assert!(!report.is_clean());
    assert_eq!(report.stuck.len(), 2, "{report}");
    assert_eq!(report.calls_running.len(), 1, "{report}");
    assert_eq!(report.calls_never_started.len(), 1, "{report}");
    assert_eq!(report.calls_running[0].coroutine, call.id());
    assert!(report.to_string().contains("tests/blocking.rs"), "{report}");
    assert!(call.join().is_err() && queued.join().is_err());
    assert_eq!(drops.load(Ordering::SeqCst), 1, "the queued closure is dropped");
    drop(gate);
    while drops.load(Ordering::SeqCst) != 2 {
        std::thread::yield_now();
    }
    assert!(ran.load(Ordering::SeqCst));
}

#[test]
fn shutdown_waits_for_calls_within_the_deadline() {
    let _dog = watchdog("shutdown waits");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let call = rt.spawn(|| kcoro::blocking(|| std::thread::sleep(Duration::from_millis(30))));
    let report = rt.shutdown(Duration::from_secs(60));
    assert!(report.is_clean(), "{report}");
    call.join().unwrap();
}

#[test]
fn runtimes_with_pools_come_and_go() {
    let _dog = watchdog("come and go");
    for i in 0..100usize {
        let rt = Runtime::builder().workers(1 + i % 2).build().unwrap();
        assert_eq!(rt.run(move || kcoro::blocking(move || i)), i);
    }
    for i in 0..20 {
        assert_eq!(kcoro::run(move || kcoro::blocking(move || i)), i);
    }
}

#[test]
fn a_destructor_on_the_pool_may_panic() {
    let _dog = watchdog("destructor");
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor panics");
        }
    }
    let (gate, opened) = channel::<()>();
    let (started_tx, started) = channel();
    let rt = Runtime::builder().workers(1).build().unwrap();
    let call = rt.spawn(move || {
        std::mem::forget(kcoro::blocking(move || {
            started_tx.send(()).unwrap();
            let _ = opened.recv();
            Bomb
        }));
    });
    started.recv().unwrap();
    let report = rt.shutdown(Duration::ZERO);
    assert_eq!(report.calls_running.len(), 1);
    drop(gate);
    assert!(call.join().is_err());
}
