//! Judges the facts. Pure: the same facts give the same lines.
//!
//! Advice is a command or a setting, so that it can be followed as it stands.

use kcoro::machine::{CgroupVersion, GuardKind};

use super::facts::{Facts, Limit};
use super::{Check, Status};

/// Mappings that allow some hundred thousand stacks with guards of their own.
const MANY_MAPPINGS: u64 = 1_048_576;

/// Mappings the rest of a program may need.
const OTHER_MAPPINGS: u64 = 2_048;

/// Address space that is enough for many thousands of stacks.
const ROOMY_ADDRESS_SPACE: u64 = 64 << 30;

/// Open files below which a busy program runs out.
const FEW_FILES: u64 = 4_096;

/// Every check, in the order of the report.
pub(crate) fn all(facts: &Facts) -> Vec<Check> {
    vec![
        kernel(facts),
        guards(facts),
        mappings(facts),
        page_size(facts),
        huge_pages(facts),
        overcommit(facts),
        address_space(facts),
        main_stack(facts),
        open_files(facts),
        cpus(facts),
        quota(facts),
        workers(facts),
    ]
}

fn ok(name: &'static str, value: impl Into<String>) -> Check {
    Check { name, status: Status::Ok, value: value.into(), advice: None }
}

fn warn(name: &'static str, value: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name, status: Status::Warn, value: value.into(), advice: Some(advice.into()) }
}

fn unknown(name: &'static str, place: &str) -> Check {
    warn(name, "unknown", format!("{place} cannot be read; is it mounted?"))
}

fn kernel(facts: &Facts) -> Check {
    match &facts.kernel {
        Some(release) => ok("kernel", format!("Linux {release}, {}", std::env::consts::ARCH)),
        None => unknown("kernel", "/proc/sys/kernel/osrelease"),
    }
}

fn guards(facts: &Facts) -> Check {
    match facts.guards {
        GuardKind::PageTable => ok("guards", "page-table markers, no mapping for each stack"),
        _ => warn(
            "guards",
            "mprotect, two mappings for each stack",
            "Linux 6.13 or later guards stacks without mappings (MADV_GUARD_INSTALL)",
        ),
    }
}

fn mappings(facts: &Facts) -> Check {
    const NAME: &str = "vm.max_map_count";
    let Some(count) = facts.max_map_count else {
        return unknown(NAME, "/proc/sys/vm/max_map_count");
    };
    if facts.guards == GuardKind::PageTable {
        return ok(NAME, format!("{count}, does not limit the number of stacks"));
    }
    let stacks = count.saturating_sub(OTHER_MAPPINGS) / 2;
    let value = format!("{count}, enough for about {stacks} stacks");
    if count >= MANY_MAPPINGS {
        ok(NAME, value)
    } else {
        warn(NAME, value, format!("for more: sysctl -w vm.max_map_count={MANY_MAPPINGS}"))
    }
}

fn page_size(facts: &Facts) -> Check {
    ok("page size", format!("{} KiB", facts.page_size / 1024))
}

fn huge_pages(facts: &Facts) -> Check {
    const NAME: &str = "huge pages";
    match facts.huge_pages.as_deref() {
        Some("always") => ok(NAME, "always; stacks opt out of it"),
        Some(mode) => ok(NAME, mode),
        None => ok(NAME, "not offered by this kernel"),
    }
}

fn overcommit(facts: &Facts) -> Check {
    const NAME: &str = "vm.overcommit_memory";
    match facts.overcommit {
        Some(2) => warn(
            NAME,
            "2, every reservation counts as memory",
            "many stacks may be refused although memory is free: sysctl -w vm.overcommit_memory=0",
        ),
        Some(mode) => ok(NAME, mode.to_string()),
        None => unknown(NAME, "/proc/sys/vm/overcommit_memory"),
    }
}

fn address_space(facts: &Facts) -> Check {
    const NAME: &str = "address space";
    match facts.address_space {
        Some(Limit { soft: None, .. }) => ok(NAME, "unlimited"),
        Some(Limit { soft: Some(bytes), .. }) if bytes >= ROOMY_ADDRESS_SPACE => {
            ok(NAME, mebibytes(bytes))
        }
        Some(Limit { soft: Some(bytes), .. }) => warn(
            NAME,
            mebibytes(bytes),
            "stacks reserve address space that they do not use: ulimit -v unlimited",
        ),
        None => unknown(NAME, "/proc/self/limits"),
    }
}

fn main_stack(facts: &Facts) -> Check {
    const NAME: &str = "main stack";
    match facts.main_stack {
        Some(Limit { soft: None, .. }) => ok(NAME, "unlimited; coroutines have their own size"),
        Some(Limit { soft: Some(bytes), .. }) => {
            ok(NAME, format!("{}; coroutines have their own size", mebibytes(bytes)))
        }
        None => unknown(NAME, "/proc/self/limits"),
    }
}

fn open_files(facts: &Facts) -> Check {
    const NAME: &str = "open files";
    match facts.open_files {
        Some(Limit { soft: Some(soft), hard }) if soft < FEW_FILES => {
            let most = hard.map_or("unlimited".to_owned(), |hard| hard.to_string());
            let value = format!("{soft}, at most {most}");
            if hard.is_some_and(|hard| hard <= soft) {
                let advice = "raise the hard limit, for instance LimitNOFILE= of the service";
                return warn(NAME, value, advice);
            }
            let target = hard.unwrap_or(u64::MAX).min(65_536);
            warn(NAME, value, format!("sockets and the sampler want more: ulimit -n {target}"))
        }
        Some(Limit { soft: Some(soft), .. }) => ok(NAME, soft.to_string()),
        Some(Limit { soft: None, .. }) => ok(NAME, "unlimited"),
        None => unknown(NAME, "/proc/self/limits"),
    }
}

fn cpus(facts: &Facts) -> Check {
    ok("cpus", format!("{} that this process may run on", facts.cpu.affinity))
}

fn quota(facts: &Facts) -> Check {
    const NAME: &str = "cpu quota";
    let Some(quota) = &facts.cpu.quota else {
        return ok(NAME, "none in any control group above this process");
    };
    let version = if quota.version == CgroupVersion::V1 { "version 1" } else { "version 2" };
    ok(NAME, format!("{quota} (cgroup {version})"))
}

fn workers(facts: &Facts) -> Check {
    const NAME: &str = "workers";
    let fit = facts.cpu.workers();
    match &facts.requested {
        Err(error) => Check {
            name: NAME,
            status: Status::Fail,
            value: error.to_string(),
            advice: Some("unset KCORO_WORKERS".to_owned()),
        },
        Ok(None) => ok(NAME, fit.to_string()),
        Ok(Some(asked)) if *asked > fit => warn(
            NAME,
            format!("{asked}, as KCORO_WORKERS says"),
            format!("more workers than CPU time only cost switches: KCORO_WORKERS={fit} fits"),
        ),
        Ok(Some(asked)) => ok(NAME, format!("{asked}, as KCORO_WORKERS says")),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
