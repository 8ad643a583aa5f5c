//! A coroutine parks and is resumed: the smallest program that shows control going back and forth.

use kcoro::coroutine::{self, Task};
use kcoro::error::ResumeError;

fn main() -> Result<(), ResumeError> {
    let task = Task::new(|| {
        println!("[co] before park");
        coroutine::park();
        println!("[co] after park");
    });
    println!("[main] resuming");
    task.resume()?;
    println!("[main] first resume return");
    task.unpark();
    task.resume()?;
    println!("[main] second resume return");
    Ok(())
}
