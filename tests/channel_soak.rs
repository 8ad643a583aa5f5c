//! Channels under random use for a while: memory stays where it is. Alone in its process, whose memory
//! it looks at. `KCORO_SOAK_SECONDS` sets how long it lasts (default 60 in release, 2 in debug).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kcoro::Runtime;
use kcoro::cancel::CancelToken;
use kcoro::channel;

mod watchdog;
use watchdog::watchdog;

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).stack_size(64 * 1024).build().unwrap()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

fn resident_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// 64, then 256 coroutines trade with random cancellations; memory stays where it is.
#[test]
fn soak() {
    let default = if cfg!(debug_assertions) { 2 } else { 60 };
    let seconds = std::env::var("KCORO_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    let lasts = Duration::from_secs(seconds.unwrap_or(default)) / 2;
    let _dog = watchdog("soak");
    for coroutines in [64u64, 256] {
        let rt = runtime(2);
        let end = Instant::now() + lasts;
        let (first, last) = rt.run(move || {
            let (tx, rx) = channel::bounded::<u64>(8);
            let traded = Arc::new(AtomicU64::new(0));
            let all: Vec<_> = (0..coroutines)
                .map(|i| {
                    let (tx, rx, traded) = (tx.clone(), rx.clone(), Arc::clone(&traded));
                    kcoro::spawn(move || {
                        let mut random = Random(i);
                        while Instant::now() < end {
                            let token = CancelToken::new();
                            if random.next().is_multiple_of(3) {
                                token.cancel();
                            }
                            let limit = Duration::from_micros(500);
                            let sent = i % 2 == 0 && tx.send_timeout(i, limit).is_ok();
                            let received =
                                i % 2 == 1 && (rx.recv_timeout_cancellable(limit, &token).is_ok());
                            traded.fetch_add(u64::from(sent || received), Ordering::Relaxed);
                            if random.next().is_multiple_of(16) {
                                kcoro::sleep(Duration::from_micros(random.next() % 300));
                            }
                        }
                    })
                })
                .collect();
            kcoro::sleep(lasts / 4);
            let first = resident_kilobytes();
            all.into_iter().for_each(|h| h.join().unwrap());
            assert!(traded.load(Ordering::Relaxed) > coroutines);
            (first, resident_kilobytes())
        });
        if cfg!(any(kcoro_asan, kcoro_tsan, kcoro_valgrind)) {
            // The tools keep what was freed, and shadows of it.
            continue;
        }
        let bound = first + first / 4 + 4096;
        assert!(last <= bound, "{coroutines} coroutines: {first} kB, then {last} kB");
    }
}
