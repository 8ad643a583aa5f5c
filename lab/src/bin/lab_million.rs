//! A million live suspended coroutines, each on a guarded stack of its own: what they cost.
//!
//! `lab_million [COUNT] [STACK_BYTES]`, default 1,000,000 and 262,144. Every one is resumed once more
//! in the middle; half are resumed to their end and half are dropped where they stand.

use kcoro::coroutine::{self, State, Task, stack_stats};
use kcoro_lab::{Memory, number};
use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

struct Counted(Rc<Cell<u64>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn main() -> ExitCode {
    let (count, bytes) = (number(1, 1_000_000), number(2, 262_144) as usize);
    let ended = Rc::new(Cell::new(0));
    let before = Memory::now();
    let mut tasks = Vec::with_capacity(count as usize);
    let mut clock = Instant::now();
    let mut lap = |what: &str| {
        let nanoseconds = clock.elapsed().as_nanos() as f64 / count as f64;
        println!("{what}: {nanoseconds:.0} ns each");
        clock = Instant::now();
    };
    for _ in 0..count {
        let counted = Counted(Rc::clone(&ended));
        let made = Task::builder().stack_size(bytes).build(move || {
            let _counted = counted;
            coroutine::park();
            coroutine::yield_now();
        });
        match made {
            Ok(task) => tasks.push(task),
            Err(error) => {
                eprintln!("after {} coroutines: {error}", tasks.len());
                return ExitCode::FAILURE;
            }
        }
    }
    lap("made");
    let all = |tasks: &[Task], state| tasks.iter().all(|task| task.resume().ok() == Some(state));
    let parked = all(&tasks, State::Parked);
    lap("started and parked");
    let (now, stats) = (Memory::now(), stack_stats());
    let total = (now.resident + now.tables) - (before.resident + before.tables);
    println!(
        "{count} live: {:.3} GiB resident, {:.3} GiB page tables, {:.3} GiB in all ({:.0} bytes each)",
        gib(now.resident),
        gib(now.tables),
        gib(now.resident + now.tables),
        total as f64 / count as f64,
    );
    println!("{} mappings, guards by {:?}", now.mappings, stats.guard);
    for task in &tasks {
        task.unpark();
    }
    let suspended = all(&tasks, State::Suspended);
    lap("woken and resumed");
    let rest = tasks.split_off(tasks.len() / 2);
    let finished = all(&tasks, State::Finished);
    lap("half resumed to the end");
    drop(tasks);
    drop(rest);
    lap("all dropped, half by unwinding");
    let leaked = stack_stats().leaked;
    println!("{} ended, {leaked} stacks leaked, mappings {}", ended.get(), Memory::now().mappings);
    let clean = parked && suspended && finished && ended.get() == count && leaked == 0;
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}
