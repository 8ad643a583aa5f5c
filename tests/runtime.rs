//! Runtimes: spawn, join, sleep, steal, shut down.

mod scale;
mod watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kcoro::coroutine;
use kcoro::runtime::{Aborted, Runtime};
use scale::scaled;
use watchdog::watchdog;

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Runtime>();
    shared::<kcoro::runtime::Observer>();
    shared::<kcoro::JoinHandle<u8>>();
    shared::<kcoro::Unparker>();
};

#[test]
fn run_returns_the_value() {
    let _dog = watchdog("run_returns_the_value");
    assert_eq!(kcoro::run(|| 7), 7);
    let local = std::rc::Rc::new(3);
    assert_eq!(kcoro::run(|| *local + kcoro::spawn(|| 4).join().unwrap()), 7);
    assert_eq!(kcoro::run(|| kcoro::run(|| 1)), 1);
}

#[test]
fn many_spawns_and_joins() {
    let _dog = watchdog("many_spawns_and_joins");
    let count = scaled(10_000) as u64;
    for workers in [1, 2, 4] {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        let total: u64 = rt.run(move || {
            let handles: Vec<_> = (0..count).map(|i| kcoro::spawn(move || i)).collect();
            handles.into_iter().map(|h| h.join().unwrap()).sum()
        });
        assert_eq!(total, count * (count - 1) / 2);
        assert!(rt.drain(Duration::from_secs(60)));
        assert_eq!(rt.metrics().finished, count + 1);
    }
}

#[test]
fn yield_now_interleaves() {
    let _dog = watchdog("yield_now_interleaves");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let seen = Arc::clone(&counts);
    rt.run(move || {
        let spawn = |me: usize| {
            let counts = Arc::clone(&seen);
            kcoro::spawn(move || {
                for _ in 0..1000 {
                    counts[me].fetch_add(1, Ordering::Relaxed);
                    kcoro::yield_now();
                    let (a, b) =
                        (counts[0].load(Ordering::Relaxed), counts[1].load(Ordering::Relaxed));
                    assert!(a.abs_diff(b) <= 2 || a == 1000 || b == 1000, "{a} {b}");
                }
            })
        };
        let (a, b) = (spawn(0), spawn(1));
        a.join().unwrap();
        b.join().unwrap();
    });
    assert_eq!(counts[0].load(Ordering::Relaxed), 1000);
}

#[test]
fn sleep_is_never_early_and_sleepers_overlap() {
    let _dog = watchdog("sleep_is_never_early");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let start = Instant::now();
    rt.run(move || {
        let handles: Vec<_> = (0..100)
            .map(|i| {
                kcoro::spawn(move || {
                    let wanted = Duration::from_millis(10 + i % 7);
                    let start = Instant::now();
                    kcoro::sleep(wanted);
                    assert!(start.elapsed() >= wanted);
                })
            })
            .collect();
        handles.into_iter().for_each(|h| h.join().unwrap());
    });
    assert!(start.elapsed() >= Duration::from_millis(16));
}

#[test]
fn panics_come_back_from_join() {
    let _dog = watchdog("panics");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let bad = rt.spawn(|| panic!("expected"));
    assert_eq!(bad.join().unwrap_err().downcast_ref::<&str>(), Some(&"expected"));
    assert_eq!(rt.spawn(|| 1).join().unwrap(), 1);
}

#[test]
fn detached_panics_reach_the_hook() {
    let _dog = watchdog("detached panics");
    let (tx, rx) = std::sync::mpsc::channel();
    let rt = Runtime::builder()
        .workers(1)
        .on_detached_panic(move |report| tx.send(report.id).unwrap())
        .build()
        .unwrap();
    let handle = rt.spawn(|| {
        kcoro::sleep(Duration::from_millis(5));
        panic!("detached")
    });
    let id = handle.id();
    handle.detach();
    assert_eq!(rx.recv().unwrap(), id);
    assert_eq!(rt.metrics().detached_panics, 1);
}

#[test]
fn park_and_unpark_across_workers() {
    let _dog = watchdog("park_and_unpark");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let rounds = scaled(if cfg!(debug_assertions) { 2_000 } else { 100_000 });
    let (tx, rx) = std::sync::mpsc::channel();
    let parked = rt.spawn(move || {
        tx.send(coroutine::unparker()).unwrap();
        for _ in 0..rounds {
            coroutine::park();
        }
    });
    let unparker = rx.recv().unwrap();
    while !parked.is_finished() {
        unparker.unpark();
        std::hint::spin_loop();
    }
    parked.join().unwrap();
}

#[test]
fn shutdown_names_what_is_stuck_and_unwinds_it() {
    let _dog = watchdog("shutdown");
    struct Flag(Arc<AtomicU64>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicU64::new(0));
    let rt = Runtime::builder().workers(2).build().unwrap();
    let flag = Flag(Arc::clone(&drops));
    let stuck = rt
        .spawn_with(kcoro::Builder::new().name("sleeper"), move || {
            let _flag = flag;
            coroutine::park();
        })
        .unwrap();
    rt.spawn(|| ()).join().unwrap();
    let report = rt.shutdown(Duration::from_millis(20));
    assert_eq!(report.stuck.len(), 1, "{report}");
    assert_eq!(report.stuck[0].name.as_deref(), Some("sleeper"));
    assert!(report.stuck[0].unwound);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert!(stuck.join().is_err());
}

#[test]
fn jobs_that_never_started_are_dropped() {
    let _dog = watchdog("never started");
    let rt = Runtime::builder().workers(1).build().unwrap();
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let hog = rt.spawn(move || rx.recv().ok());
    let late = rt.spawn(|| ());
    std::thread::sleep(Duration::from_millis(10));
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(tx);
    });
    let report = rt.shutdown(Duration::ZERO);
    hog.join().unwrap();
    match late.join() {
        Ok(()) => assert!(report.is_clean()),
        Err(payload) => assert!(payload.is::<Aborted>()),
    }
}

#[test]
fn runtimes_come_and_go() {
    let _dog = watchdog("runtimes_come_and_go");
    for i in 0..if cfg!(debug_assertions) { 100 } else { 1000 } {
        let rt = Runtime::builder().workers(1 + i % 3).build().unwrap();
        assert_eq!(rt.run(move || kcoro::spawn(move || i).join().unwrap()), i);
    }
}

#[test]
fn spawn_outside_says_what_to_do() {
    let error = kcoro::Builder::new().try_spawn(|| ()).unwrap_err();
    assert!(error.to_string().contains("kcoro::run"));
    let panic = std::panic::catch_unwind(|| kcoro::spawn(|| ()).detach()).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("needs a runtime"));
}

#[test]
fn join_runs_both_halves_wherever() {
    let _dog = watchdog("join_runs_both_halves");
    fn tree(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let (a, b) = kcoro::join(|| tree(depth - 1), || tree(depth - 1));
        a + b
    }
    assert_eq!(tree(5), 32);
    for workers in [1, 2, 4] {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        assert_eq!(rt.run(|| tree(14)), 1 << 14);
    }
}

#[test]
fn join_halves_may_wait_for_each_other() {
    let _dog = watchdog("join_halves_may_wait");
    for workers in [1, 3] {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        rt.run(|| {
            for round in 0..100 {
                let (unparker, set) = (std::sync::Mutex::new(None), AtomicU64::new(0));
                let (a, b) = kcoro::join(
                    || {
                        *unparker.lock().unwrap() = Some(kcoro::unparker());
                        while set.load(Ordering::Acquire) == 0 {
                            kcoro::park();
                        }
                        round
                    },
                    || {
                        kcoro::yield_now();
                        set.store(1, Ordering::Release);
                        while unparker.lock().unwrap().is_none() {
                            kcoro::yield_now();
                        }
                        unparker.lock().unwrap().take().unwrap().unpark();
                        round + 1
                    },
                );
                assert_eq!((a, b), (round, round + 1));
            }
        });
    }
}

#[test]
fn join_hands_panics_on_after_both_have_ended() {
    let _dog = watchdog("join_hands_panics_on");
    for workers in [1, 2] {
        let rt = Runtime::builder().workers(workers).build().unwrap();
        rt.run(|| {
            for _ in 0..200 {
                let done = AtomicU64::new(0);
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    kcoro::join(
                        || {
                            kcoro::yield_now();
                            std::panic::resume_unwind(Box::new(1u8))
                        },
                        || {
                            for _ in 0..3 {
                                kcoro::yield_now();
                            }
                            done.fetch_add(1, Ordering::Relaxed);
                        },
                    )
                }));
                assert_eq!(result.unwrap_err().downcast_ref::<u8>(), Some(&1));
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    kcoro::join(
                        || kcoro::sleep(Duration::from_micros(50)),
                        || std::panic::resume_unwind(Box::new(2u8)),
                    )
                }));
                assert_eq!(result.unwrap_err().downcast_ref::<u8>(), Some(&2));
            }
        });
    }
}

#[test]
fn shutdown_while_a_fork_waits() {
    let _dog = watchdog("shutdown_while_a_fork_waits");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let drops = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&drops);
    let handle = rt.spawn(move || {
        struct Count(Arc<AtomicU64>);
        impl Drop for Count {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (a, b) = (Count(Arc::clone(&seen)), Count(seen));
        kcoro::join(
            || {
                let _a = &a;
                kcoro::park();
            },
            || {
                let _b = &b;
                kcoro::park();
            },
        );
    });
    std::thread::sleep(Duration::from_millis(20));
    let report = rt.shutdown(Duration::from_millis(10));
    assert!(!report.is_clean());
    assert!(handle.join().is_err());
    assert_eq!(drops.load(Ordering::Relaxed), 2, "{report}");
}

#[test]
fn run_refuses_to_start_on_a_borrowed_stack() {
    let _dog = watchdog("run_refuses");
    let mut generator = coroutine::Coroutine::<(), (), bool>::new(|y, ()| {
        let inner = std::panic::AssertUnwindSafe(|| kcoro::run(|| y.suspend(())));
        std::panic::catch_unwind(inner).is_err()
    });
    assert_eq!(generator.resume(()), coroutine::CoroutineState::Complete(true));
    let task = coroutine::Task::new(|| kcoro::run(|| ()));
    assert!(task.resume().is_err());
}

#[test]
fn a_runtime_may_be_dropped_by_its_own_coroutine() {
    let _dog = watchdog("dropped_by_its_own");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let (tx, rx) = std::sync::mpsc::channel::<Runtime>();
    let (done, finished) = std::sync::mpsc::channel();
    rt.spawn(move || {
        drop(rx.recv().unwrap());
        done.send(()).unwrap();
    })
    .detach();
    tx.send(rt).unwrap();
    finished.recv().unwrap();
}

#[test]
fn timed_waits_of_coroutines_use_their_workers_wheel() {
    let _dog = watchdog("timed_waits");
    let rt = Runtime::builder().workers(2).build().unwrap();
    rt.run(|| {
        let (tx, rx) = kcoro::channel::bounded::<u32>(1);
        for i in 0..1000 {
            let start = Instant::now();
            if i % 50 == 0 {
                assert!(rx.recv_timeout(Duration::from_millis(1)).is_err());
                assert!(start.elapsed() >= Duration::from_millis(1));
            }
            tx.send_timeout(i, Duration::from_secs(3600)).unwrap();
            assert_eq!(rx.recv_timeout(Duration::MAX).unwrap(), i);
        }
        let late = kcoro::spawn(move || {
            kcoro::sleep(Duration::from_millis(3));
            tx.send(7).unwrap();
        });
        assert_eq!(rx.recv_timeout(Duration::from_secs(3600)).unwrap(), 7);
        late.join().unwrap();
    });
}
