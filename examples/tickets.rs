//! Tickets: a coroutine waits for something that only a callback from elsewhere knows, such as a C
//! library's. The ticket is a number; whoever has it completes the wait, from any thread, once.
//!
//! ```text
//! cargo run --example tickets
//! ```

use std::thread;

use kcoro::error::WaitError;
use kcoro::token::{self, Payload, Ticket};

/// A library that calls back with a number that it was given: all that a C interface has room for.
fn foreign_request(text: &str, user_data: u64, callback: fn(u64, &str)) {
    let answer = text.to_uppercase();
    thread::spawn(move || {
        callback(user_data, &answer);
        callback(user_data, "twice"); // a bug of theirs, without effect here
    });
}

fn on_answer(user_data: u64, answer: &str) {
    // The second call gets its payload back: the ticket is stale.
    let _ = Ticket::from_raw(user_data).complete(Payload::value(answer.to_owned()));
}

fn request(text: &str) -> Result<String, WaitError> {
    let ticket = token::publish();
    foreign_request(text, ticket.into_raw(), on_answer);
    let payload = token::wait(ticket)?;
    Ok(payload.downcast::<String>().expect("what `on_answer` made"))
}

fn main() -> Result<(), WaitError> {
    kcoro::run(|| {
        let requests = ["one", "two", "three"].map(|text| kcoro::spawn(move || request(text)));
        for answer in requests {
            println!("{}", answer.join().expect("a request does not panic")?);
        }
        Ok(())
    })
}

#[test]
fn each_request_gets_its_answer() {
    assert_eq!(kcoro::run(|| request("hello")), Ok("HELLO".to_owned()));
    assert_eq!(request("from a thread"), Ok("FROM A THREAD".to_owned()));
}
