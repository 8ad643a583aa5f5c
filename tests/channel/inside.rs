//! What can be shown only from inside of the channel: its gate held for long.

use super::shared::Side;
use crate::runtime::Runtime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// A receiver whose time is up takes its node out of the list. While it waits for the gate it may not
/// be suspended: a runtime that ends would unwind it, and leave the node of a frame that is gone.
#[test]
fn who_leaves_a_list_is_not_unwound_on_the_way() {
    let (tx, rx) = super::bounded::<u64>(1);
    let runtime = Runtime::builder().workers(1).build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let receiver = rx.clone();
    let waiting = runtime.spawn(move || receiver.recv_timeout(Duration::from_millis(50)).is_ok());
    let busy = Arc::clone(&stop);
    let never_rests = runtime.spawn(move || {
        while !busy.load(Ordering::Relaxed) {
            crate::coroutine::yield_now();
        }
    });
    // The holder is preempted for longer than a runtime that ends has patience.
    while tx.shared().enter().receivers.is_empty() {
        thread::yield_now();
    }
    let holder = {
        let tx = tx.clone();
        thread::spawn(move || {
            let inside = tx.shared().enter();
            thread::sleep(Duration::from_millis(1500));
            drop(inside);
        })
    };
    thread::sleep(Duration::from_millis(100));
    let _report = runtime.shutdown(Duration::ZERO);
    stop.store(true, Ordering::Relaxed);
    holder.join().unwrap();
    assert_eq!(Side::Recv.list(&mut tx.shared().enter()).len(), 0);
    tx.try_send(1).unwrap();
    assert_eq!(rx.len(), 1);
    let _ = (waiting.join(), never_rests.join());
}
