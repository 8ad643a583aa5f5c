//! Reads the two small files of `/proc/<pid>` that the sampler needs. Pure.
//!
//! The command name in `stat` stands in parentheses and may itself hold spaces, parentheses and
//! newlines. Nothing after it can, so the *last* closing parenthesis ends it.
//!
//! # Invariants
//!
//! 1. No input makes these functions panic; a line they cannot read whole gives `None`.
//!
//! # Who calls this, and what it may call
//!
//! The sampler, once per process and sweep. No allocation.
//!
//! Source: proc_pid_stat(5), proc_pid_syscall(5).

#![forbid(unsafe_code)]

use std::num::NonZeroU64;

use super::sample::{Command, ProcessState};

/// What `stat` says, in the kernel's units.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) command: Command,
    pub(super) state: ProcessState,
    /// User plus system time in clock ticks.
    pub(super) cpu_ticks: u64,
    pub(super) resident_pages: u64,
    pub(super) stack_pointer: Option<NonZeroU64>,
    pub(super) instruction_pointer: Option<NonZeroU64>,
}

// Numbers of fields in proc_pid_stat(5), counted from the state, which is field 3.
const UTIME: usize = 14 - 3;
const STIME: usize = 15 - 3;
const RSS: usize = 24 - 3;
const STACK_POINTER: usize = 29 - 3;
const INSTRUCTION_POINTER: usize = 30 - 3;

/// Parses the content of `/proc/<pid>/stat`.
pub(super) fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')').filter(|close| *close > open)?;
    let rest = text.get(close + 2..)?;
    let (mut utime, mut stime, mut pages, mut stack) = (0, 0, 0, 0);
    let mut state = ProcessState::Other;
    for (index, field) in rest.split(|byte| byte.is_ascii_whitespace()).enumerate() {
        match index {
            0 => state = ProcessState::from_letter(*field.first()?),
            UTIME => utime = parse_decimal(field)?,
            STIME => stime = parse_decimal(field)?,
            RSS => pages = parse_decimal(field)?,
            STACK_POINTER => stack = parse_decimal(field)?,
            INSTRUCTION_POINTER => {
                return Some(Stat {
                    command: Command::new(&text[open + 1..close]),
                    state,
                    cpu_ticks: u64::saturating_add(utime, stime),
                    resident_pages: pages,
                    stack_pointer: NonZeroU64::new(stack),
                    instruction_pointer: NonZeroU64::new(parse_decimal(field)?),
                });
            }
            _ => {}
        }
    }
    None
}

/// Parses the content of `/proc/<pid>/syscall`: the stack and the instruction pointer.
///
/// The line ends with both, whether or not the process is inside a system call; a running process
/// shows neither.
pub(super) fn parse_syscall(text: &[u8]) -> Option<(NonZeroU64, NonZeroU64)> {
    let line = text.trim_ascii_end();
    let mut words = line.rsplit(|byte| *byte == b' ');
    let instruction = NonZeroU64::new(parse_hex(words.next()?)?)?;
    let stack = NonZeroU64::new(parse_hex(words.next()?)?)?;
    Some((stack, instruction))
}

/// A whole decimal number; `None` for anything else, and for what does not fit.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

fn parse_hex(word: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(word.strip_prefix(b"0x")?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syscall_lines() {
        assert_eq!(parse_syscall(b"running\n"), None);
        assert_eq!(parse_syscall(b""), None);
        assert_eq!(parse_syscall(b"-1 0x0 0x0\n"), None);
        let both = NonZeroU64::new(0x7ffd).zip(NonZeroU64::new(0xab));
        assert_eq!(parse_syscall(b"-1 0x7ffd 0xab\n"), both);
        assert_eq!(parse_syscall(b"0 0x1 0x2 0x3 0x0 0x0 0x0 0x7ffd 0xab\n"), both);
    }
}
