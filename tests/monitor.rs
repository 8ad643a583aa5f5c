//! Workers that are held up: reported, and relieved by spare workers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kcoro::Runtime;
use kcoro::runtime::StallReport;

mod watchdog;
use watchdog::watchdog;

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn blocking_in_a_coroutine_does_not_stop_the_others() {
    let _dog = watchdog("blocking in a coroutine");
    let rt = Runtime::builder().workers(1).spare_workers(1).build().unwrap();
    let (tx, rx) = channel();
    // It blocks its thread without a word to the runtime.
    let blocked = rt.spawn(move || rx.recv().unwrap());
    let others: Vec<_> = (0..100u64)
        .map(|i| {
            rt.spawn(move || {
                kcoro::yield_now();
                i
            })
        })
        .collect();
    assert_eq!(others.into_iter().map(|h| h.join().unwrap()).sum::<u64>(), 4950);
    assert!(!blocked.is_finished());
    assert_eq!(rt.metrics().spare_workers, 1);
    rt.spawn(move || tx.send(7).unwrap()).join().unwrap();
    assert_eq!(blocked.join().unwrap(), 7);
}

#[test]
fn in_place_a_spare_takes_what_was_spawned_here() {
    let _dog = watchdog("in place");
    let rt = Runtime::builder().workers(1).spare_workers(1).build().unwrap();
    let sum = rt.run(|| {
        let mut sum = 0;
        for i in 0..20 {
            let (tx, rx) = channel();
            kcoro::spawn(move || tx.send(i).unwrap()).detach();
            sum += kcoro::block_in_place(|| rx.recv().unwrap());
        }
        sum
    });
    assert_eq!(sum, 190);
    let metrics = rt.metrics();
    assert_eq!((metrics.spare_workers, metrics.stalls, metrics.workers), (1, 0, 1));
}

#[test]
fn in_place_another_worker_takes_it_without_a_spare() {
    let _dog = watchdog("in place, two workers");
    let rt = Runtime::builder().workers(2).build().unwrap();
    rt.run(|| {
        for i in 0..200 {
            let (tx, rx) = channel();
            kcoro::spawn(move || tx.send(i).unwrap()).detach();
            assert_eq!(kcoro::block_in_place(|| rx.recv().unwrap()), i);
        }
    });
    assert_eq!(kcoro::block_in_place(|| 5), 5, "on a plain thread it is a call");
}

#[test]
fn in_place_may_panic_and_park() {
    let _dog = watchdog("in place, panic");
    let rt = Runtime::builder().workers(1).spare_workers(1).build().unwrap();
    rt.run(|| {
        let caught = std::panic::catch_unwind(|| kcoro::block_in_place(|| panic!("expected")));
        assert!(caught.is_err());
        kcoro::block_in_place(|| kcoro::sleep(Duration::from_millis(2)));
    });
    assert_eq!(rt.run(|| 3), 3);
}

#[test]
fn a_spare_finishes_what_it_started_and_then_rests() {
    let _dog = watchdog("spare rests");
    let rt = Runtime::builder().workers(1).name("rest").spare_workers(2).build().unwrap();
    let (tx, rx) = channel::<()>();
    let blocked = rt.spawn(move || rx.recv().is_err());
    let (on_tx, on) = channel();
    let long = rt.spawn(move || {
        on_tx.send(std::thread::current().name().map(String::from)).unwrap();
        for _ in 0..20 {
            kcoro::sleep(Duration::from_millis(3));
        }
        std::thread::current().name().map(String::from)
    });
    let began_on = on.recv().unwrap();
    assert_eq!(began_on.as_deref(), Some("rest-spare-0"));
    drop(tx);
    assert!(blocked.join().unwrap());
    assert_eq!(long.join().unwrap(), began_on, "a started coroutine stays");
    while rt.metrics().held_up_workers != 0 {
        std::thread::yield_now();
    }
    std::thread::sleep(SHORT);
    for _ in 0..200 {
        let on = rt.spawn(|| std::thread::current().name().map(String::from)).join().unwrap();
        assert_eq!(on.as_deref(), Some("rest-0"), "nobody is held up");
    }
}

#[test]
fn a_stall_names_the_coroutine() {
    let _dog = watchdog("stall");
    let (tx, rx) = channel::<StallReport>();
    let tx = Mutex::new(tx);
    let rt = Runtime::builder()
        .workers(2)
        .stall_after(SHORT)
        .on_stall(move |report| {
            // A test machine may stall anything: only what is named counts here.
            if report.name.is_some() {
                tx.lock().unwrap().send(report.clone()).unwrap();
            }
        })
        .build()
        .unwrap();
    let gate = Arc::new(Mutex::new(()));
    for round in 0..3 {
        let locked = gate.lock().unwrap();
        let inner = Arc::clone(&gate);
        let builder = kcoro::Builder::new().name(format!("hog {round}"));
        let line = line!() + 1;
        let hog = rt.spawn_with(builder, move || drop(inner.lock())).unwrap();
        let report = rx.recv().unwrap();
        assert_eq!(report.coroutine, Some(hog.id()), "{report}");
        assert_eq!(report.name.as_deref(), Some(&*format!("hog {round}")));
        assert_eq!(report.spawned_at.map(|at| at.line()), Some(line), "{report}");
        assert!(report.stalled_for >= SHORT);
        let text = report.to_string();
        assert!(text.contains("tests/monitor.rs") && text.contains("hog"), "{text}");
        // Once for each stall, however long.
        assert_eq!(rx.recv_timeout(5 * SHORT).unwrap_err(), RecvTimeoutError::Timeout);
        drop(locked);
        hog.join().unwrap();
    }
    assert!(rt.metrics().stalls >= 3);
}

#[test]
fn giving_way_is_no_stall() {
    let _dog = watchdog("giving way");
    let limit = Duration::from_secs(1);
    let rt = Runtime::builder()
        .workers(1)
        .stall_after(limit)
        .on_stall(|report| panic!("{report}"))
        .build()
        .unwrap();
    // A round of the worker's loop takes far longer than the limit, but each switch counts.
    rt.run(move || {
        let start = Instant::now();
        while start.elapsed() < limit + limit / 4 {
            std::thread::sleep(Duration::from_millis(15));
            kcoro::yield_now();
        }
    });
    assert_eq!(rt.metrics().stalls, 0);
}

#[test]
fn a_declared_block_is_no_stall_and_a_panicking_hook_is_survived() {
    let _dog = watchdog("declared");
    // So long that a thread which merely did not get its turn counts as no stall.
    let limit = 10 * SHORT;
    let rt = Runtime::builder()
        .workers(1)
        .stall_after(limit)
        .on_stall(|_| panic!("expected of this hook"))
        .build()
        .unwrap();
    rt.run(move || kcoro::block_in_place(|| std::thread::sleep(4 * limit)));
    let declared = rt.metrics().stalls;
    for _ in 0..2 {
        let before = rt.metrics().stalls;
        let seen = Arc::new(AtomicUsize::new(0));
        let flag = Arc::clone(&seen);
        let hog = rt.spawn(move || while flag.load(Ordering::Relaxed) == 0 {});
        while rt.metrics().stalls == before {
            std::thread::yield_now();
        }
        seen.store(1, Ordering::Relaxed);
        hog.join().unwrap();
    }
    assert_eq!(declared, 0);
}

/// Voluntary switches of the thread of that name: how often it went to sleep.
fn sleeps_of(name: &str) -> u64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let status = std::fs::read_to_string(task.join("status")).unwrap();
            let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).unwrap();
            return line.split_whitespace().last().unwrap().parse().unwrap();
        }
    }
    panic!("no thread {name}");
}

#[test]
fn the_monitor_sleeps_while_the_workers_do() {
    let _dog = watchdog("asleep");
    let rt = Runtime::builder()
        .workers(2)
        .name("quiet")
        .stall_after(SHORT)
        .spare_workers(1)
        .on_stall(|_| ())
        .build()
        .unwrap();
    // A thread gives itself its name.
    std::thread::sleep(SHORT);
    for round in 1..=3 {
        let mut before = sleeps_of("quiet-monitor");
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = sleeps_of("quiet-monitor");
            if now == before {
                break;
            }
            before = now;
        }
        // It is up again when there is something to watch.
        let before = rt.metrics().stalls;
        let inner = Arc::new(AtomicUsize::new(0));
        let flag = Arc::clone(&inner);
        let hog = rt.spawn(move || {
            while flag.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        while rt.metrics().stalls == before {
            std::thread::yield_now();
        }
        inner.store(round, Ordering::Relaxed);
        hog.join().unwrap();
    }
}

#[test]
fn all_workers_block_now_and_then() {
    let _dog = watchdog("stress");
    let rt = Runtime::builder().workers(2).spare_workers(3).build().unwrap();
    let sum = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..400usize)
        .map(|i| {
            let sum = Arc::clone(&sum);
            rt.spawn(move || {
                match i % 20 {
                    0 => kcoro::block_in_place(|| std::thread::sleep(Duration::from_millis(3))),
                    7 => std::thread::sleep(Duration::from_millis(25)),
                    3 => kcoro::sleep(Duration::from_millis(1)),
                    _ => kcoro::yield_now(),
                }
                let inner = Arc::clone(&sum);
                kcoro::spawn(move || inner.fetch_add(i, Ordering::Relaxed)).join().unwrap();
            })
        })
        .collect();
    handles.into_iter().for_each(|h| h.join().unwrap());
    assert_eq!(sum.load(Ordering::Relaxed), 79_800);
    assert!(rt.shutdown(Duration::from_secs(60)).is_clean());
}

#[test]
fn monitored_runtimes_come_and_go() {
    let _dog = watchdog("come and go");
    for i in 0..100usize {
        let rt = Runtime::builder()
            .workers(1 + i % 2)
            .spare_workers(i % 3)
            .stall_after(Duration::from_secs(1))
            .build()
            .unwrap();
        if i % 4 != 0 {
            assert_eq!(rt.run(move || i), i);
        }
        if i % 10 == 0 {
            let blocked = rt.spawn(|| std::thread::sleep(Duration::from_millis(5)));
            let _ = rt.shutdown(Duration::ZERO);
            let _ = blocked.join();
        }
    }
}

#[test]
fn too_many_spares_are_refused() {
    let error = Runtime::builder().workers(1).spare_workers(usize::MAX).build().unwrap_err();
    assert!(error.to_string().contains("1024"), "{error}");
}
