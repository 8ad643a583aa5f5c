//! The metrics pipe: events come, tell the truth, never hold the channel up, and end with it.

use std::time::Duration;

use kcoro::channel::{self, MetricsConfig};
use kcoro::error::RecvError;

mod watchdog;
use watchdog::watchdog;

fn often() -> MetricsConfig {
    MetricsConfig::new().period(Duration::from_millis(1))
}

#[test]
fn events_add_up() {
    let _dog = watchdog("events_add_up");
    let (tx, rx) = channel::builder::<u64>().capacity(4).metrics(true).build();
    let events = tx.metrics_pipe(often()).unwrap();
    let rt = kcoro::Runtime::builder().workers(2).build().unwrap();
    let sender = rt.spawn(move || (0..1000).for_each(|i| tx.send(i).unwrap()));
    let receiver = rt.spawn(move || rx.iter().count());
    sender.join().unwrap();
    assert_eq!(receiver.join().unwrap(), 1000);
    let mut last = None;
    while let Ok(event) = events.recv() {
        if let Some(before) = last.replace(event.snapshot.sends) {
            assert!(before <= event.snapshot.sends);
        }
        assert!(event.snapshot.recvs <= event.snapshot.sends && event.snapshot.depth <= 4);
    }
    // The channel has gone, so the pipe is closed.
    assert_eq!(events.recv().map(drop), Err(RecvError));
}

#[test]
fn a_reader_that_sleeps_loses_the_oldest() {
    let _dog = watchdog("a_reader_that_sleeps");
    let (tx, rx) = channel::builder::<u64>().capacity(4).metrics(true).build();
    let events = rx.metrics_pipe(often().capacity(2)).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    tx.send(1).unwrap();
    while events.recv().unwrap().snapshot.sends == 0 {}
    assert!(events.len() <= 2);
    drop(events);
    tx.send(2).unwrap();
}

#[test]
fn uncounted_channels_say_so() {
    let _dog = watchdog("uncounted_channels");
    let (tx, _rx) = channel::bounded::<u64>(1);
    let events = tx.metrics_pipe(often()).unwrap();
    assert!(!events.recv().unwrap().snapshot.counted);
}
