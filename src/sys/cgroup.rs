//! How much CPU time the control groups of this process allow.
//!
//! A quota may be set on any group from the process's own up to the root, and the tightest one
//! binds; a container often sets it above the group the process sees first. So every group on the
//! path is asked, in the unified hierarchy (version 2, `cpu.max`) and in the old `cpu` hierarchy
//! (version 1, `cpu.cfs_quota_us`).
//!
//! # Invariants
//!
//! 1. The parse functions are pure and never panic; what they cannot read counts as no limit,
//!    because a machine without control groups is not an error.
//!
//! # Who calls this, and what it may call
//!
//! `sys::cpu`, once per runtime or report. Reads a handful of small files; allocates.
//!
//! Source: cgroups(7), proc_pid_mountinfo(5), the kernel's cgroup-v2 document.

use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Which of the two interfaces a control group hierarchy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CgroupVersion {
    /// One hierarchy for each controller.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A limit on CPU time, and the control group that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuQuota {
    /// CPU time allowed in each period, in microseconds.
    pub quota_us: u64,
    /// The period in microseconds; never zero.
    pub period_us: u64,
    /// Which interface the limit comes from.
    pub version: CgroupVersion,
    /// The directory of the group that sets it.
    pub group: PathBuf,
}

impl CpuQuota {
    /// The limit in whole CPUs, rounded up, at least one.
    #[must_use]
    pub fn cpus(&self) -> usize {
        usize::try_from(self.quota_us.div_ceil(self.period_us.max(1))).unwrap_or(usize::MAX).max(1)
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = self.quota_us as f64 / self.period_us.max(1) as f64;
        write!(f, "{cpus:.2} CPUs, set by {}", self.group.display())
    }
}

/// The tightest limit on the path of this process, if there is one.
///
/// `root` is the directory that holds `proc`, `/` but for a test.
pub(crate) fn tightest_quota(root: &Path) -> Option<CpuQuota> {
    let read = |name: &str| fs::read(root.join(name)).unwrap_or_default();
    let memberships = read("proc/self/cgroup");
    let mounts = read("proc/self/mountinfo");
    let mounts = parse_mountinfo(&String::from_utf8_lossy(&mounts));
    let mut tightest: Option<CpuQuota> = None;
    for member in parse_memberships(&String::from_utf8_lossy(&memberships)) {
        for mount in mounts.iter().filter(|mount| mount.version == member.version) {
            for group in groups_on_path(mount, &member.path) {
                let below_root = group.strip_prefix("/").unwrap_or(&group);
                let found = read_quota(&root.join(below_root), mount.version);
                if let Some((quota_us, period_us)) = found {
                    let found = CpuQuota { quota_us, period_us, version: mount.version, group };
                    if tightest.as_ref().is_none_or(|least| tighter(&found, least)) {
                        tightest = Some(found);
                    }
                }
            }
        }
    }
    tightest
}

/// True if `quota` allows less than `than`.
fn tighter(quota: &CpuQuota, than: &CpuQuota) -> bool {
    let scaled =
        |one: &CpuQuota, other: &CpuQuota| u128::from(one.quota_us) * u128::from(other.period_us);
    scaled(quota, than) < scaled(than, quota)
}

/// The group of this process in one hierarchy that can limit CPU time.
#[derive(Debug, PartialEq, Eq)]
struct Membership {
    version: CgroupVersion,
    path: PathBuf,
}

/// A mounted hierarchy that can limit CPU time.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: CgroupVersion,
    /// The group that the mount shows as its top directory.
    root: PathBuf,
    /// Where it is mounted.
    point: PathBuf,
}

/// Parses `/proc/self/cgroup`: lines of `id:controllers:path`.
fn parse_memberships(text: &str) -> Vec<Membership> {
    let member = |line: &str| {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match (id, controllers) {
            ("0", "") => CgroupVersion::V2,
            _ if controllers.split(',').any(|name| name == "cpu") => CgroupVersion::V1,
            _ => return None,
        };
        Some(Membership { version, path: PathBuf::from(path) })
    };
    text.lines().filter_map(member).collect()
}

/// Parses `/proc/self/mountinfo`, keeping the control group hierarchies that can limit CPU time.
fn parse_mountinfo(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let version = match after.next()? {
            "cgroup2" => CgroupVersion::V2,
            "cgroup" if after.nth(1)?.split(',').any(|name| name == "cpu") => CgroupVersion::V1,
            _ => return None,
        };
        Some(Mount { version, root: unescape(root).into(), point: unescape(point).into() })
    };
    text.lines().filter_map(mount).collect()
}

/// Undoes the octal escapes (`\040` for a space) of mountinfo.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(code.map_or('\\', char::from));
        rest = &rest[at + if code.is_some() { 4 } else { 1 }..];
    }
    plain + rest
}

/// The directories of the group and of all its ancestors that the mount shows.
fn groups_on_path(mount: &Mount, group: &Path) -> Vec<PathBuf> {
    // A path with `..` leads out of this cgroup namespace, and one outside the mount's root is not
    // shown by it: then the top of the mount is all that can be asked.
    let inside = !group.components().any(|part| part == Component::ParentDir);
    let below = if inside { group.strip_prefix(&mount.root).ok() } else { None };
    let own = mount.point.join(below.unwrap_or(Path::new("")));
    own.ancestors().take_while(|dir| dir.starts_with(&mount.point)).map(Path::to_path_buf).collect()
}

/// The quota and the period that one group sets, in microseconds.
fn read_quota(group: &Path, version: CgroupVersion) -> Option<(u64, u64)> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    match version {
        CgroupVersion::V2 => parse_cpu_max(&read("cpu.max")?),
        CgroupVersion::V1 => parse_cfs(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?),
    }
}

/// Parses `cpu.max`: `max 100000` for no limit, `150000 100000` for one and a half CPUs.
fn parse_cpu_max(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace();
    let quota = words.next()?.parse().ok()?;
    let period = words.next().map_or(Some(100_000), |word| word.parse().ok())?;
    (period > 0).then_some((quota, period))
}

/// Parses the two files of version 1; a quota of -1 is no limit.
fn parse_cfs(quota: &str, period: &str) -> Option<(u64, u64)> {
    let quota = quota.trim().parse().ok()?;
    let period = period.trim().parse().ok()?;
    (period > 0).then_some((quota, period))
}

#[cfg(test)]
#[path = "cgroup/tests.rs"]
mod tests;
