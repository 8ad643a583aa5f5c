//! What a process may do in the middle of it all. Each case is this very test in a child process.

use std::ffi::OsString;
use std::process::{Command, Output};
use std::time::Duration;

use kcoro::{Runtime, park, yield_now};

use super::watchdog::watchdog;

const ROLE: &str = "KCORO_STRESS_ROLE";

/// True in the child, where the test plays its part; otherwise the child's output.
fn child(name: &str) -> Option<Output> {
    if std::env::var(ROLE).is_ok_and(|role| role == name) {
        return None;
    }
    let runner = std::env::var("KCORO_TEST_RUNNER").unwrap_or_default();
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<_> = runner.split_whitespace().map(OsString::from).collect();
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROLE, name);
    // A process that ends in the middle of its work frees nothing; that is no leak.
    if cfg!(kcoro_asan) {
        let options = std::env::var("ASAN_OPTIONS").unwrap_or_default();
        command.env("ASAN_OPTIONS", format!("{options}:detect_leaks=0"));
    }
    Some(command.output().unwrap())
}

fn busy(rt: &Runtime) {
    for i in 0..50 {
        rt.spawn(move || {
            loop {
                match i % 3 {
                    0 => yield_now(),
                    1 => kcoro::sleep(Duration::from_micros(50)),
                    _ => drop(kcoro::spawn(yield_now).join()),
                }
            }
        })
        .detach();
    }
    rt.spawn(park).detach();
}

#[test]
fn exit_while_running() {
    let _dog = watchdog("exit_while_running");
    if let Some(output) = child("processes::exit_while_running") {
        return assert_eq!(output.status.code(), Some(17), "{output:?}");
    }
    let rt = Runtime::builder().workers(2).build().unwrap();
    busy(&rt);
    std::thread::sleep(Duration::from_millis(20));
    // From a coroutine: its thread runs the exit handlers on a coroutine's stack.
    drop(rt.spawn(|| std::process::exit(17)).join());
}

#[test]
fn exit_by_main_while_running() {
    let _dog = watchdog("exit_by_main_while_running");
    if let Some(output) = child("processes::exit_by_main_while_running") {
        return assert_eq!(output.status.code(), Some(18), "{output:?}");
    }
    let rt = Runtime::builder().workers(2).build().unwrap();
    busy(&rt);
    std::thread::sleep(Duration::from_millis(20));
    std::process::exit(18);
}

/// After a fork only the calling thread is there, so the parent's runtime stands still in the
/// child. What is promised: the child may exit or exec at once, whatever went on in the parent; and
/// hand-driven coroutines and new runtimes work in it if the parent was idle.
#[test]
fn fork_in_the_middle() {
    let _dog = watchdog("fork_in_the_middle");
    if let Some(output) = child("processes::fork_in_the_middle") {
        return assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    let rt = Runtime::builder().workers(2).build().unwrap();
    assert_eq!(rt.spawn(|| 1).join().unwrap(), 1);
    std::thread::sleep(Duration::from_millis(20));
    let status = fork(|| {
        let task = kcoro::coroutine::Task::new(yield_now);
        task.resume().unwrap();
        task.resume().unwrap();
        if std::env::var_os("KCORO_TEST_RUNNER").is_some() {
            // The emulator itself cannot start a thread in the child of a process with several.
            return i32::from(!task.is_finished()) + 5;
        }
        let own = Runtime::builder().workers(1).build().unwrap();
        let five = own.run(|| {
            kcoro::sleep(Duration::from_millis(1));
            kcoro::spawn(|| 5).join().unwrap()
        });
        i32::from(!task.is_finished()) + five
    });
    assert_eq!(status, 5);
    busy(&rt);
    for _ in 0..20 {
        assert_eq!(fork(|| 7), 7);
    }
    let forked = rt.spawn(|| fork(|| 8));
    assert_eq!(forked.join().unwrap(), 8);
    assert_eq!(rt.spawn(|| 2).join().unwrap(), 2, "the parent goes on");
    std::process::exit(0);
}

/// Runs `f` in a forked child that exits with its value; returns that.
fn fork(f: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child calls only `f`, which is this test's, and leaves without cleaning up.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(f()),
            child => {
                assert!(child > 0, "cannot fork");
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                assert!(libc::WIFEXITED(status), "the child died: {status:#x}");
                libc::WEXITSTATUS(status)
            }
        }
    }
}
