//! What a peak leaves behind goes back to the system when the workers rest.
//!
//! One test, in a program of its own: it looks at the stacks of the whole process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kcoro::arena::Arena;
use kcoro::coroutine::stack_stats;
use kcoro::{Runtime, cancel_token};

mod scale;
mod watchdog;

use scale::scaled;
use watchdog::watchdog;

/// Resident memory of the process, in KiB.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn after_a_peak_memory_goes_back() {
    let _dog = watchdog("after_a_peak_memory_goes_back");
    let rt = Runtime::builder().workers(2).build().unwrap();
    let crowd = scaled(20_000);
    // Something small first, so that what stays for good is there.
    rt.spawn(|| ()).join().unwrap();
    let before = resident();
    let up = Arc::new(AtomicUsize::new(0));
    let arena = Arc::new(Arena::new());
    let all: Vec<_> = (0..crowd)
        .map(|_| {
            let (up, arena) = (Arc::clone(&up), Arc::clone(&arena));
            rt.spawn(move || {
                let bytes = arena.copy(&[1; 100]).unwrap();
                up.fetch_add(1, Ordering::Relaxed);
                let _ = kcoro::sleep_cancellable(Duration::MAX, &cancel_token());
                drop(bytes);
            })
        })
        .collect();
    while up.load(Ordering::Relaxed) < crowd {
        std::thread::sleep(Duration::from_millis(1));
    }
    let peak = resident();
    for one in &all {
        one.cancel();
    }
    all.into_iter().for_each(|one| one.join().unwrap());
    println!("resident: {before} KiB before, {peak} KiB at the peak, {} after it", resident());
    // Both workers find some time later that they keep what they do not use.
    loop {
        let stacks = stack_stats();
        if stacks.lent == 0 && stacks.warm <= 64 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let after = resident();
    println!("{after} KiB when it was given back, {:?}", stack_stats());
    if peak > before + 40_000 && !cfg!(any(kcoro_asan, kcoro_tsan, kcoro_valgrind)) {
        assert!(after < before + (peak - before) / 2, "{before} {peak} {after}");
    }
    // A worker that is woken again and again tidies up as well.
    let ticking = rt.spawn(|| {
        loop {
            kcoro::spawn(|| ()).join().unwrap();
            if kcoro::sleep_cancellable(Duration::from_millis(5), &cancel_token()).is_err() {
                break;
            }
        }
    });
    std::thread::sleep(Duration::from_millis(100));
    ticking.cancel();
    ticking.join().unwrap();
    drop(rt);
}
