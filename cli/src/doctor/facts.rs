//! Reads what the report is about. Judges nothing.

use std::fs;
use std::num::NonZeroUsize;

use kcoro::error::WorkersError;
use kcoro::machine::{self, CpuLimits, GuardKind};

/// A soft and a hard limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

/// What the machine is like. An outer `None` means that it could not be read.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The kernel's release, such as `6.18.44-generic`.
    pub(crate) kernel: Option<String>,
    pub(crate) guards: GuardKind,
    pub(crate) page_size: usize,
    /// `vm.max_map_count`.
    pub(crate) max_map_count: Option<u64>,
    /// `vm.overcommit_memory`.
    pub(crate) overcommit: Option<u64>,
    /// The mode of transparent huge pages: `always`, `madvise` or `never`.
    pub(crate) huge_pages: Option<String>,
    pub(crate) address_space: Option<Limit>,
    pub(crate) main_stack: Option<Limit>,
    pub(crate) open_files: Option<Limit>,
    pub(crate) cpu: CpuLimits,
    /// What `KCORO_WORKERS` asks for.
    pub(crate) requested: Result<Option<NonZeroUsize>, WorkersError>,
}

impl Facts {
    /// Reads them from the system.
    pub(crate) fn read() -> Facts {
        let number = |path| read(path)?.parse().ok();
        let limits = read("/proc/self/limits").unwrap_or_default();
        Facts {
            kernel: read("/proc/sys/kernel/osrelease"),
            guards: machine::guard_kind(),
            page_size: machine::page_size(),
            max_map_count: number("/proc/sys/vm/max_map_count"),
            overcommit: number("/proc/sys/vm/overcommit_memory"),
            huge_pages: read("/sys/kernel/mm/transparent_hugepage/enabled")
                .and_then(|modes| chosen_mode(&modes)),
            address_space: parse_limit(&limits, "Max address space"),
            main_stack: parse_limit(&limits, "Max stack size"),
            open_files: parse_limit(&limits, "Max open files"),
            cpu: CpuLimits::detect(),
            requested: machine::requested_workers(),
        }
    }

    /// How many workers a runtime would start; `None` if it would not.
    pub(crate) fn workers(&self) -> Option<NonZeroUsize> {
        let requested = self.requested.as_ref().ok()?;
        Some(requested.unwrap_or_else(|| self.cpu.workers()))
    }
}

/// The trimmed content of a small file.
fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The word in brackets of `always [madvise] never`.
fn chosen_mode(modes: &str) -> Option<String> {
    let (_, rest) = modes.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// One line of `/proc/self/limits`.
fn parse_limit(limits: &str, name: &str) -> Option<Limit> {
    let line = limits.lines().find(|line| line.starts_with(name))?;
    let mut words = line[name.len()..].split_ascii_whitespace();
    let mut value = || match words.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some(Limit { soft: value()?, hard: value()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_modes() {
        let text = "\
Limit                     Soft Limit           Hard Limit           Units
Max stack size            8388608              unlimited            bytes
Max open files            1024                 524288               files
Max address space         unlimited            unlimited            bytes
";
        let limit = |soft, hard| Some(Limit { soft, hard });
        assert_eq!(parse_limit(text, "Max open files"), limit(Some(1024), Some(524_288)));
        assert_eq!(parse_limit(text, "Max stack size"), limit(Some(8_388_608), None));
        assert_eq!(parse_limit(text, "Max address space"), limit(None, None));
        assert_eq!(parse_limit(text, "Max nice priority"), None);
        assert_eq!(parse_limit("Max open files  many 1", "Max open files"), None);
        assert_eq!(chosen_mode("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen_mode("unsupported"), None);
    }
}
