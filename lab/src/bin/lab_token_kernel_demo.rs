//! A coroutine publishes a ticket and parks; main completes the ticket; the coroutine takes the
//! payload. No scheduler: main drives the coroutine by hand.

use kcoro::coroutine::Task;
use kcoro::token::{self, Kernel, Payload, Ticket};
use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab_token_kernel_demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), Box<dyn std::error::Error>> {
    let kernel = Kernel::start()?;
    println!("[main] token kernel initialised");
    let published = Rc::new(Cell::new(None::<Ticket>));
    let resumed = Rc::new(Cell::new(None::<(i32, usize)>));
    let task = Task::builder().name("demo").build({
        let (published, resumed) = (Rc::clone(&published), Rc::clone(&resumed));
        move || {
            let ticket = token::publish();
            println!("[coroutine] published ticket id={:#x}, parking", ticket.into_raw());
            published.set(Some(ticket));
            let (rc, payload) = match token::wait(ticket) {
                Ok(payload) => (0, payload),
                Err(error) => {
                    eprintln!("[coroutine] {error}");
                    (-1, Payload::empty())
                }
            };
            println!(
                "[coroutine] resumed rc={rc} payload_ptr={:#x} len={} status={}",
                payload.addr(),
                payload.len(),
                payload.status()
            );
            resumed.set(Some((rc, payload.len())));
        }
    })?;
    println!("[main] resuming the coroutine");
    task.resume()?;
    let ticket = published.get().ok_or("the coroutine published nothing")?;
    println!("[main] coroutine parked: {}", task.is_parked());
    println!("[main] completing ticket id={:#x} with payload OK", ticket.into_raw());
    ticket.complete(Payload::bytes(b"OK"))?;
    let again = ticket.complete(Payload::bytes(b"again"));
    println!("[main] a second completion is stale: {}", again.is_err());
    println!("[main] resuming the coroutine");
    task.resume()?;
    if resumed.get() != Some((0, 2)) || !task.is_finished() || again.is_ok() {
        return Err("the ticket did not carry the payload".into());
    }
    drop(kernel);
    Ok(())
}
