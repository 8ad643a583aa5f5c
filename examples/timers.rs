//! Timers: a thousand coroutines sleep at the same time on two workers, a value that does not come
//! in time, and a beat that does not drift.
//!
//! ```text
//! cargo run --example timers
//! ```

use std::time::{Duration, Instant};

use kcoro::Runtime;
use kcoro::channel;
use kcoro::error::{BuildError, RecvTimeoutError};

fn sleepers(rt: &Runtime, count: u64) -> Duration {
    let began = Instant::now();
    let sleepers: Vec<_> = (0..count)
        .map(|number| rt.spawn(move || kcoro::sleep(Duration::from_millis(number % 50))))
        .collect();
    for sleeper in sleepers {
        sleeper.join().expect("sleeping does not panic");
    }
    began.elapsed()
}

fn too_late(rt: &Runtime) -> Result<u32, RecvTimeoutError> {
    rt.run(|| {
        let (tx, rx) = channel::bounded(1);
        let slow = kcoro::spawn(move || {
            kcoro::sleep(Duration::from_secs(60));
            let _ = tx.send(1);
        });
        let result = rx.recv_timeout(Duration::from_millis(20));
        slow.detach(); // the end of the runtime unwinds it
        result
    })
}

fn beats(rt: &Runtime, count: u32) -> Duration {
    rt.run(move || {
        let (began, period) = (Instant::now(), Duration::from_millis(5));
        for beat in 1..=count {
            kcoro::sleep_until(began + period * beat);
        }
        began.elapsed()
    })
}

fn main() -> Result<(), BuildError> {
    let rt = Runtime::builder().workers(2).build()?;
    println!("1,000 sleepers of up to 49 ms took {:.0?}", sleepers(&rt, 1_000));
    println!("waiting 20 ms for a value of next minute: {:?}", too_late(&rt));
    println!("10 beats of 5 ms took {:.0?}", beats(&rt, 10));
    let report = rt.shutdown(Duration::ZERO);
    println!("at the end: {report}");
    Ok(())
}

#[test]
fn nothing_ends_early() {
    let rt = Runtime::builder().workers(2).build().expect("two workers start");
    assert!(sleepers(&rt, 100) >= Duration::from_millis(49));
    assert_eq!(too_late(&rt), Err(RecvTimeoutError::Timeout));
    assert!(beats(&rt, 4) >= Duration::from_millis(20));
    assert_eq!(rt.shutdown(Duration::ZERO).stuck.len(), 1, "the one that sleeps for a minute");
}
