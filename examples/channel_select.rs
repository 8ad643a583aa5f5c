//! Select: one coroutine serves requests, beats time and obeys a stop, whichever comes first.
//!
//! ```text
//! cargo run --example channel_select
//! ```

use std::time::Duration;

use kcoro::channel::{self, Receiver};
use kcoro::error::RecvError;
use kcoro::select;

/// What the server has done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Served {
    sum: u64,
    idle: u32,
}

/// Adds up what comes until it is told to stop; counts the times when nothing came for a while.
fn serve(requests: &Receiver<u64>, stop: &Receiver<()>) -> Served {
    let mut served = Served::default();
    loop {
        // One arm is chosen, at random among those that can go on; the others have done nothing.
        select! {
            request = requests.recv() => match request {
                Ok(number) => served.sum += number,
                Err(RecvError) => return served,
            },
            _ = stop.recv() => return served,
            _ = after(Duration::from_millis(20)) => served.idle += 1,
        }
    }
}

fn run() -> Served {
    kcoro::run(|| {
        let (requests, numbers) = channel::rendezvous();
        let (stop, stopped) = channel::rendezvous::<()>();
        let server = kcoro::spawn(move || serve(&numbers, &stopped));
        for number in 1..=10 {
            requests.send(number).expect("the server serves");
        }
        kcoro::sleep(Duration::from_millis(100));
        drop(stop); // closed: every receive returns
        server.join().expect("the server does not panic")
    })
}

fn main() {
    println!("{:?}", run());
}

#[test]
fn everything_is_served_before_the_stop() {
    let served = run();
    assert_eq!(served.sum, 55);
}
