//! Coroutines that run out of stack, and faults that are none of kcoro's: what the user sees.
//!
//! Each case ends a process, so each test runs itself once more as a child.
#![cfg(not(loom))]

use kcoro::coroutine::{Coroutine, Task, Yielder};
use kcoro::error::StackError;
use std::env;
use std::ffi::c_int;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

const CHILD: &str = "KCORO_TEST_CHILD";

/// Runs the test that calls it in a child, where it returns `None`; `prelude` is shell.
fn in_child(prelude: &str, test: &str) -> Option<Output> {
    if env::var_os(CHILD).is_some() {
        return None;
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{prelude}\nexec $KCORO_TEST_RUNNER \"$@\""))
        .arg("sh")
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(text(&output).contains("running 1 test"), "{}", text(&output));
    Some(output)
}

fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{:?}\n{}", output.status, String::from_utf8_lossy(&bytes))
}

/// Whether `signal` ended the child; an emulator or a shell reports it as an exit code.
fn died_of(output: &Output, signal: c_int) -> bool {
    output.status.signal() == Some(signal) || output.status.code() == Some(128 + signal)
}

/// Recurses for ever in frames of at least `BYTES`.
#[allow(unconditional_recursion, reason = "the overflow is the point")]
#[inline(never)]
fn descend<const BYTES: usize>(depth: u8) -> u8 {
    let mut frame = [depth; BYTES];
    black_box(&mut frame);
    descend::<BYTES>(depth.wrapping_add(1)).wrapping_add(frame[BYTES / 2])
}

/// Overflows the stack in frames of at least `BYTES`.
fn overflow<const BYTES: usize>() {
    black_box(descend::<BYTES>(0));
}

/// Asserts that the child reported the overflow of a stack of `bytes` and aborted.
fn assert_reported(output: &Output, whose: &str, bytes: usize) {
    let text = text(output);
    assert!(died_of(output, libc::SIGABRT), "{text}");
    let line = text.lines().find(|line| line.contains("kcoro: coroutine ")).expect(&text);
    assert!(line.contains(whose), "{text}");
    assert!(line.contains("(spawned at ") && line.contains("stack_overflow.rs:"), "{text}");
    assert!(line.contains(&format!(" overflowed its stack: {bytes} bytes, guard ")), "{text}");
    let number = |key: &str| {
        let hex = line.split(key).nth(1).expect(&text).split(',').next().unwrap();
        usize::from_str_radix(hex.trim().trim_start_matches("0x"), 16).expect(&text)
    };
    let (address, pointer) = (number("fault address "), number("sp "));
    // A probe touches at most a page of the larger kind away from the stack pointer.
    assert!(address.abs_diff(pointer) <= 65536 + 4096, "{text}");
}

#[test]
fn small_frames() {
    if let Some(output) = in_child("", "small_frames") {
        return assert_reported(&output, " \"deep\" ", 256 << 10);
    }
    let task = Task::builder().name("deep").build(overflow::<1024>).unwrap();
    let _ = task.resume();
}

#[test]
#[cfg_attr(any(kcoro_asan, kcoro_tsan), ignore = "a sanitizer's frames have no stack probes")]
fn large_frames() {
    if let Some(output) = in_child("", "large_frames") {
        return assert_reported(&output, "coroutine ", 1 << 20);
    }
    let builder = Task::builder().stack_size(1 << 20);
    let task = builder.build(overflow::<65536>).unwrap();
    let _ = task.resume();
}

#[test]
fn generator_on_another_thread() {
    if let Some(output) = in_child("", "generator_on_another_thread") {
        return assert_reported(&output, "coroutine ", 64 << 10);
    }
    let thread = std::thread::spawn(|| {
        let body = |_: &Yielder<(), ()>, ()| overflow::<512>();
        Coroutine::builder().stack_size(64 << 10).build(body).unwrap().resume(());
    });
    thread.join().unwrap();
}

#[test]
fn other_faults_reach_the_handler_of_the_user() {
    if let Some(output) = in_child("", "other_faults_reach_the_handler_of_the_user") {
        assert_eq!(output.status.code(), Some(42), "{}", text(&output));
        return;
    }
    extern "C" fn leave(_: c_int) {
        // SAFETY: async-signal-safe.
        unsafe { libc::_exit(42) };
    }
    // SAFETY: the handler has the type that `signal` expects.
    unsafe { libc::signal(libc::SIGSEGV, leave as *const () as usize) };
    let task = Task::new(|| {
        // SAFETY: none; the fault is the point.
        unsafe { std::ptr::without_provenance_mut::<u8>(0x1234_5000).write_volatile(1) };
    });
    let _ = task.resume();
}

#[test]
#[cfg_attr(kcoro_asan, ignore = "AddressSanitizer reports it in std's place")]
fn overflow_of_a_thread_is_left_to_std() {
    if let Some(output) = in_child("", "overflow_of_a_thread_is_left_to_std") {
        let text = text(&output);
        assert!(died_of(&output, libc::SIGABRT), "{text}");
        assert!(text.contains("thread 'plain'") && text.contains("overflowed its stack"), "{text}");
        assert!(!text.contains("kcoro: "), "{text}");
        return;
    }
    let plain = std::thread::Builder::new().name("plain".into()).spawn(|| {
        let _ = Task::new(|| ()).resume();
        overflow::<1024>();
    });
    plain.unwrap().join().unwrap();
}

#[test]
#[cfg_attr(
    any(kcoro_asan, kcoro_tsan),
    ignore = "the shadow of a sanitizer takes more address space than any limit"
)]
fn exhausted_address_space_is_an_error() {
    if let Some(output) = in_child("ulimit -v 2000000", "exhausted_address_space_is_an_error") {
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("RLIMIT_AS, which is 2048000000 bytes"), "{text}");
        return;
    }
    let mut tasks = Vec::new();
    let error = loop {
        match Task::builder().stack_size(64 << 20).build(|| ()) {
            Ok(task) => tasks.push(task),
            Err(error) => break error,
        }
    };
    println!("{error}, after {}", tasks.len());
    assert!(matches!(error, StackError::AddressSpace { .. }), "{error:?}");
    assert!(!tasks.is_empty());
    for task in &tasks {
        task.resume().unwrap();
        assert!(task.is_finished());
    }
}

#[test]
fn sizes_out_of_range_are_errors() {
    let build = |bytes| Task::builder().stack_size(bytes).build(|| ());
    assert!(matches!(build(0), Err(StackError::TooSmall { minimum: 16384, .. })));
    assert!(matches!(build(usize::MAX), Err(StackError::TooLarge { .. })));
}
