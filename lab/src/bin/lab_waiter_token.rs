//! The waiter token's state machine: a rendezvous cell walked through its six scenarios, then
//! tickets raced for by four threads. Every ticket must have exactly one winner, and every loser
//! must be told. Exits with an error otherwise.
//!
//! `lab_waiter_token [TICKETS]`, 100,000 unless given.

#![allow(clippy::disallowed_types, reason = "a lab is not a protocol file")]

use kcoro::error::WaitError;
use kcoro::token::{self, Kernel, Payload, Ticket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MACHINE: &str = "\
            publish           claim (one CAS wins)       deliver
   +------+ ------> +---------+ -------> +---------+ ------------> +--------------+
   | IDLE |         | WAITING |          | CLAIMED |               | CLAIMED+DONE |
   +------+         +---------+          +---------+               +--------------+
      ^                  | park              | park                       |
      |                  v                   v                            |
      |             +---------+ claim    +---------+ deliver: and wake    |
      |             | +PARKED | -------> | +PARKED | -------------> the owner
      |             +---------+          +---------+                      |
      +------------------------------ retire <----------------------------+
";

/// A rendezvous cell whose waiting side is a ticket.
#[derive(Default)]
struct Rendezvous {
    state: &'static str,
    sender: Option<(Ticket, Payload)>,
    receiver: Option<Ticket>,
    payload: String,
    matches: u32,
    cancels: u32,
    descriptor_matches: u32,
}

impl Rendezvous {
    fn count(&mut self, payload: &Payload) {
        self.state = "MATCHED";
        self.matches += 1;
        self.descriptor_matches += u32::from(payload.descriptor_id() != 0);
        self.payload = match payload.as_bytes() {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => format!("zdesc[{}]", payload.descriptor_id()),
        };
    }

    /// A sender arrives: it meets the receiver that waits, or waits itself.
    fn send(&mut self, payload: Payload) -> Option<Ticket> {
        if let Some(receiver) = self.receiver.take() {
            let shown = match payload.as_bytes() {
                Some(bytes) => Payload::bytes(bytes),
                None => Payload::descriptor(0, 0, 0, payload.descriptor_id()),
            };
            if receiver.complete(payload).is_ok() {
                self.count(&shown);
            }
            return None;
        }
        let ticket = token::publish();
        self.sender = Some((ticket, payload));
        self.state = "SENDER_READY";
        Some(ticket)
    }

    /// A receiver arrives: it meets the sender that waits, or waits itself.
    fn recv(&mut self) -> Result<Payload, Ticket> {
        if let Some((sender, payload)) = self.sender.take()
            && sender.complete(Payload::empty()).is_ok()
        {
            self.count(&payload);
            return Ok(payload);
        }
        let ticket = token::publish();
        self.receiver = Some(ticket);
        self.state = "RECEIVER_READY";
        Err(ticket)
    }

    fn cancel(&mut self) -> bool {
        let cancelled = self.receiver.take().is_some_and(|ticket| ticket.cancel("lab").is_ok());
        self.cancels += u32::from(cancelled);
        self.state = if cancelled { "CANCELLED" } else { self.state };
        cancelled
    }

    fn dump(&self, label: &str) {
        let shown = |ticket: Option<Ticket>| match ticket {
            Some(ticket) => format!("{:#x}", ticket.into_raw()),
            None => "-".to_owned(),
        };
        println!(
            "{label} state={} sender={} receiver={} payload={} | matches={} cancels={} \
             zdesc_matches={}",
            self.state,
            shown(self.sender.as_ref().map(|(ticket, _)| *ticket)),
            shown(self.receiver),
            if self.payload.is_empty() { "-" } else { &self.payload },
            self.matches,
            self.cancels,
            self.descriptor_matches,
        );
    }
}

fn scenarios() -> Result<(), String> {
    let check = |ok: bool, what: &str| if ok { Ok(()) } else { Err(what.to_owned()) };
    let mut cell = Rendezvous { state: "EMPTY", ..Rendezvous::default() };
    let sender = cell.send(Payload::bytes(b"payload-A")).ok_or("the sender did not wait")?;
    cell.dump("after sender arrives");
    let payload = cell.recv().map_err(|_| "the receiver did not match")?;
    cell.dump("after receiver matches");
    check(payload.len() == 9 && token::wait(sender).is_ok(), "the sender was not completed")?;

    let receiver = cell.recv().err().ok_or("the receiver did not wait")?;
    cell.dump("receiver enqueued");
    check(cell.cancel(), "the receiver was not cancelled")?;
    cell.dump("receiver cancelled");
    let error = token::wait(receiver).err();
    check(error == Some(WaitError::Cancelled("lab".into())), "the cancel was not seen")?;
    check(receiver.complete(Payload::empty()).is_err(), "a cancelled token was completed")?;

    let receiver = cell.recv().err().ok_or("the receiver did not wait")?;
    check(cell.send(Payload::bytes(b"payload-B")).is_none(), "the sender waited")?;
    cell.dump("matched via sender arrival");
    check(token::wait(receiver).is_ok_and(|payload| payload.len() == 9), "payload-B is lost")?;

    let receiver = cell.recv().err().ok_or("the receiver did not wait")?;
    check(cell.send(Payload::descriptor(0x1000, 4096, 0, 15)).is_none(), "the sender waited")?;
    cell.dump("zdesc match");
    let payload = token::wait(receiver).map_err(|error| error.to_string())?;
    check(payload.descriptor_id() == 15, "the descriptor is lost")?;
    check((cell.matches, cell.cancels, cell.descriptor_matches) == (3, 1, 1), "miscounted")
}

#[derive(Default)]
struct Tally {
    completed: AtomicU64,
    cancelled: AtomicU64,
    lost: AtomicU64,
}

/// Two completers and a canceller race for each ticket, against the owner's timeout.
fn stress(tickets: u64) -> Result<(), String> {
    let board = Arc::new(AtomicU64::new(0));
    let tally = Arc::new(Tally::default());
    let racers: Vec<_> = (0..3)
        .map(|racer| {
            let (board, tally) = (Arc::clone(&board), Arc::clone(&tally));
            thread::spawn(move || {
                let mut last = 0;
                loop {
                    let raw = board.load(Ordering::Relaxed);
                    if raw == u64::MAX {
                        return;
                    }
                    if raw == last {
                        thread::yield_now();
                        continue;
                    }
                    last = raw;
                    let ticket = Ticket::from_raw(raw);
                    let (counter, won) = if racer == 2 {
                        (&tally.cancelled, ticket.cancel(()).is_ok())
                    } else {
                        (&tally.completed, ticket.complete(Payload::value(raw)).is_ok())
                    };
                    let counter = if won { counter } else { &tally.lost };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (mut completed, mut cancelled, mut timed_out, mut wrong) = (0, 0, 0, 0);
    for round in 0..tickets {
        let ticket = token::publish();
        board.store(ticket.into_raw(), Ordering::Relaxed);
        match token::wait_timeout(ticket, Duration::from_micros(round % 200)) {
            Ok(payload) => match payload.downcast::<u64>() {
                Ok(number) if number == ticket.into_raw() => completed += 1,
                _ => wrong += 1,
            },
            Err(WaitError::Cancelled(_)) => cancelled += 1,
            Err(WaitError::Timeout) => timed_out += 1,
            Err(_) => wrong += 1,
        }
    }
    board.store(u64::MAX, Ordering::Relaxed);
    for racer in racers {
        racer.join().map_err(|_| "a racer panicked")?;
    }
    let won = tally.completed.load(Ordering::Relaxed) + tally.cancelled.load(Ordering::Relaxed);
    println!(
        "{tickets} tickets: completed={completed} cancelled={cancelled} timed_out={timed_out} \
         winners={won} losers={}",
        tally.lost.load(Ordering::Relaxed)
    );
    if wrong != 0
        || completed != tally.completed.load(Ordering::Relaxed)
        || cancelled != tally.cancelled.load(Ordering::Relaxed)
        || completed + cancelled + timed_out != tickets
    {
        return Err("a ticket had no winner, or two".to_owned());
    }
    Ok(())
}

fn measure() {
    const ROUNDS: u32 = 1_000_000;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let ticket = token::publish();
        let _ = ticket.complete(Payload::status_only(0));
        let _ = std::hint::black_box(token::wait(ticket));
    }
    let each = start.elapsed().as_nanos() as f64 / f64::from(ROUNDS);
    println!("publish + complete + take on one thread: {each:.1} ns");
}

fn main() -> ExitCode {
    let tickets = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    print!("{MACHINE}");
    if let Err(what) = scenarios().and_then(|()| stress(tickets)) {
        eprintln!("lab_waiter_token: {what}");
        return ExitCode::FAILURE;
    }
    measure();
    println!("{:?}", Kernel::stats());
    println!("All rendezvous token lab scenarios passed.");
    ExitCode::SUCCESS
}
