//! Shared pieces of the labs: time in cycles, memory of the process, rings of bare contexts, and the
//! driver of the comparisons.

pub mod ring;
pub mod versus;

use std::time::Instant;

/// The cycle counter: TSC on x86_64, the virtual counter on aarch64. Its rate is constant, not the
/// core's.
#[must_use]
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the instruction only reads a counter.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: the register may be read at user level on Linux.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nostack)) }
        ticks
    }
}

/// Nanoseconds that each of `count` steps of `f` takes.
pub fn nanoseconds(count: u64, f: impl FnOnce(u64)) -> f64 {
    let start = Instant::now();
    f(count);
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Memory of this process, from `/proc/self`.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident pages, in bytes.
    pub resident: u64,
    /// Page tables, in bytes.
    pub tables: u64,
    /// Number of mappings.
    pub mappings: usize,
}

impl Memory {
    /// What it is now; zeros where the system does not say.
    #[must_use]
    pub fn now() -> Memory {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Memory {
            resident: kilobytes("VmRSS:") * 1024,
            tables: kilobytes("VmPTE:") * 1024,
            mappings: maps.lines().count(),
        }
    }
}

/// The number given as the `at`th argument, or `default`.
///
/// # Panics
///
/// If it is not a number.
#[must_use]
pub fn number(at: usize, default: u64) -> u64 {
    match std::env::args().nth(at) {
        None => default,
        Some(text) => match text.replace('_', "").parse() {
            Ok(number) => number,
            // `cargo bench` and `cargo test` hand their own options on.
            Err(_) if text.starts_with('-') => default,
            Err(error) => panic!("argument {at}, {text}: {error}"),
        },
    }
}
