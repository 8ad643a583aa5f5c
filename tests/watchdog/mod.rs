//! Ends a test that hangs, instead of waiting for ever.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a test may take before it counts as hanging: longer where the run is slow, which is
/// when its counts are scaled.
fn patience() -> Duration {
    let slow = std::env::var_os("KCORO_TEST_SCALE").is_some();
    Duration::from_secs(if slow { 400 } else { 180 })
}

/// Aborts the process, with the test's name, unless it is dropped in time.
#[allow(dead_code, reason = "some tests always have something to report")]
pub fn watchdog(name: &'static str) -> impl Drop {
    watchdog_with(name, || ())
}

/// The same, after `report` has said what it knows.
#[allow(dead_code, reason = "not every test has something to report")]
pub fn watchdog_with(name: &'static str, report: impl FnOnce() + Send + 'static) -> impl Drop {
    struct Stop(Sender<()>);
    impl Drop for Stop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(patience()) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs");
            report();
            std::process::abort();
        }
    });
    Stop(sender)
}
