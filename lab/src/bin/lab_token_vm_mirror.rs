//! Two producers and two consumers trade 1 KiB descriptors over a channel, and no byte is copied.
//!
//! Each producer takes a payload, writes its number and its address into it, and sends the
//! descriptor; consumers check that the bytes are where they were written, add the numbers up and
//! return the payload to the arena. Producer and consumer of a pair share a channel of 8.
//!
//! Output: `consumer[i] received=1000 sum=499500` twice, then
//! `total received=2000 total sum=999000`; anything else ends with an error.

use kcoro::arena::Arena;
use kcoro::channel::{ZrefReceiver, ZrefSender, zref};
use std::process::ExitCode;

const PAIRS: usize = 2;
const MESSAGES: u64 = 1_000;
const LENGTH: usize = 1024;
const CAPACITY: usize = 8;
const WORD: usize = size_of::<u64>();

fn produce(arena: &Arena, tx: &ZrefSender) -> Result<(), String> {
    for number in 0..MESSAGES {
        let mut payload = arena.alloc(LENGTH).map_err(|error| error.to_string())?;
        let address = payload.as_ptr().addr() as u64;
        payload[..WORD].copy_from_slice(&number.to_ne_bytes());
        payload[LENGTH - WORD..].copy_from_slice(&address.to_ne_bytes());
        tx.send(payload.freeze()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// How many messages came, and the sum of their numbers.
fn consume(rx: &ZrefReceiver) -> Result<(u64, u64), String> {
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).expect("one word");
    let (mut received, mut sum) = (0, 0);
    for payload in rx.iter() {
        let address = payload.as_ptr().addr() as u64;
        if payload.len() != LENGTH || word(&payload[LENGTH - WORD..]) != address {
            return Err(format!("the bytes of a message were moved to {address:#x}"));
        }
        if payload.references() != 1 {
            return Err("a message has more than one consumer".into());
        }
        received += 1;
        sum += word(&payload[..WORD]);
    }
    Ok((received, sum))
}

fn run() -> Result<(), String> {
    let arena = Arena::new();
    let parties: Vec<_> = (0..PAIRS)
        .map(|_| {
            let arena = arena.clone();
            let (tx, rx) = zref(CAPACITY);
            (kcoro::spawn(move || produce(&arena, &tx)), kcoro::spawn(move || consume(&rx)))
        })
        .collect();
    let mut total = (0, 0);
    for (index, (producer, consumer)) in parties.into_iter().enumerate() {
        producer.join().map_err(|error| format!("{error:?}"))??;
        let (received, sum) = consumer.join().map_err(|error| format!("{error:?}"))??;
        println!("consumer[{index}] received={received} sum={sum}");
        total = (total.0 + received, total.1 + sum);
    }
    println!("total received={} total sum={}", total.0, total.1);
    let pairs = PAIRS as u64;
    let expected = (pairs * MESSAGES, pairs * MESSAGES * (MESSAGES - 1) / 2);
    if total != expected {
        return Err(format!("{total:?} instead of {expected:?}"));
    }
    if arena.stats().depth != 0 {
        return Err(format!("{} payloads were not given back", arena.stats().depth));
    }
    Ok(())
}

fn main() -> ExitCode {
    match kcoro::run(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab_token_vm_mirror: {error}");
            ExitCode::FAILURE
        }
    }
}
