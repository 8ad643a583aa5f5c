//! The judgement of each fact, good and bad.

use std::num::NonZeroUsize;

use kcoro::machine::CpuLimits;

use super::*;

/// A machine with nothing to complain about.
fn good() -> Facts {
    let unlimited = Some(Limit { soft: None, hard: None });
    Facts {
        kernel: Some("6.18.0".to_owned()),
        guards: GuardKind::PageTable,
        page_size: 4096,
        max_map_count: Some(65_530),
        overcommit: Some(0),
        huge_pages: Some("madvise".to_owned()),
        address_space: unlimited,
        main_stack: Some(Limit { soft: Some(8 << 20), hard: None }),
        open_files: Some(Limit { soft: Some(1 << 16), hard: Some(1 << 20) }),
        cpu: CpuLimits::detect(),
        requested: Ok(None),
    }
}

fn find(facts: &Facts, name: &str) -> Check {
    let found = all(facts).into_iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check is called {name}"))
}

#[test]
fn a_good_machine_gets_no_advice() {
    for check in all(&good()) {
        assert_eq!((check.status, &check.advice), (Status::Ok, &None), "{check:?}");
    }
}

#[test]
fn what_limits_is_warned_about_with_advice() {
    let mut facts = good();
    facts.guards = GuardKind::Mapping;
    facts.overcommit = Some(2);
    facts.address_space = Some(Limit { soft: Some(1 << 30), hard: None });
    facts.open_files = Some(Limit { soft: Some(1024), hard: Some(2048) });
    let expected = [
        ("guards", "Linux 6.13"),
        ("vm.max_map_count", "sysctl -w vm.max_map_count=1048576"),
        ("vm.overcommit_memory", "sysctl -w vm.overcommit_memory=0"),
        ("address space", "ulimit -v unlimited"),
        ("open files", "ulimit -n 2048"),
    ];
    for (name, advice) in expected {
        let check = find(&facts, name);
        assert_eq!(check.status, Status::Warn, "{check:?}");
        assert!(check.advice.as_deref().is_some_and(|text| text.contains(advice)), "{check:?}");
    }
    assert_eq!(find(&facts, "vm.max_map_count").value, "65530, enough for about 31741 stacks");
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut facts = good();
    (facts.kernel, facts.max_map_count, facts.open_files) = (None, None, None);
    for name in ["kernel", "vm.max_map_count", "open files"] {
        assert_eq!(find(&facts, name).value, "unknown");
    }
}

#[test]
fn workers_follow_the_variable() {
    let mut facts = good();
    assert_eq!(facts.workers(), Some(facts.cpu.workers()));
    facts.requested = Ok(NonZeroUsize::new(1024));
    assert_eq!(find(&facts, "workers").status, Status::Warn);
    assert_eq!(facts.workers(), NonZeroUsize::new(1024));
    facts.requested = Ok(Some(NonZeroUsize::MIN));
    assert_eq!(find(&facts, "workers").value, "1, as KCORO_WORKERS says");
}

#[test]
fn kinds_of_quota_are_named() {
    let mut facts = good();
    facts.cpu.quota = None;
    assert!(find(&facts, "cpu quota").value.starts_with("none"));
}
