//! Memory of a population that has gone.

mod watchdog;
use watchdog::watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Stacks of a crowd are free but keep their pages; the pages go back while nobody needs them.
#[test]
fn stacks_of_a_crowd_that_has_gone_give_their_pages_back() {
    let _dog = watchdog("pages");
    let runtime = kcoro::Runtime::builder().workers(2).build().unwrap();
    let crowd = 5_000;
    let up = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(kcoro::cancel::CancelToken::new());
    let handles: Vec<_> = (0..crowd)
        .map(|_| {
            let (up, gate) = (Arc::clone(&up), Arc::clone(&gate));
            runtime.spawn(move || {
                up.fetch_add(1, Ordering::Relaxed);
                gate.cancelled().wait();
            })
        })
        .collect();
    while up.load(Ordering::Relaxed) < crowd {
        std::thread::sleep(Duration::from_millis(1));
    }
    gate.cancel();
    for handle in handles {
        handle.join().unwrap();
    }
    // Within the bound of the default size, after a period or two; the runtime still lives.
    let is_down = || {
        let stats = kcoro::coroutine::stack_stats();
        stats.warm <= 1024 && stats.cold >= crowd - 1024 - 256
    };
    while !is_down() {
        std::thread::sleep(Duration::from_millis(10));
    }
}
