//! Control group files as real machines show them, and damaged ones.

use super::*;

fn group(version: CgroupVersion, path: &str) -> Membership {
    Membership { version, path: path.into() }
}

fn mount(version: CgroupVersion, root: &str, point: &str) -> Mount {
    Mount { version, root: root.into(), point: point.into() }
}

#[test]
fn memberships_of_both_versions() {
    assert_eq!(
        parse_memberships("0::/user.slice/user-1000.slice\n"),
        [group(CgroupVersion::V2, "/user.slice/user-1000.slice")]
    );
    let hybrid = "12:cpuset:/\n4:cpu,cpuacct:/docker/a:b\n1:name=systemd:/x\n0::/system.slice\n";
    assert_eq!(
        parse_memberships(hybrid),
        [group(CgroupVersion::V1, "/docker/a:b"), group(CgroupVersion::V2, "/system.slice")]
    );
    assert_eq!(parse_memberships("nonsense\n\n0:\n::\n"), []);
}

#[test]
fn mounts_of_both_versions() {
    let text = "\
22 1 0:5 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
31 22 0:27 /docker/abc /sys/fs/my\\040cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct
32 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 broken
";
    assert_eq!(
        parse_mountinfo(text),
        [
            mount(CgroupVersion::V2, "/", "/sys/fs/cgroup"),
            mount(CgroupVersion::V1, "/docker/abc", "/sys/fs/my cgroup/cpu"),
        ]
    );
    assert_eq!(unescape("a\\134b\\"), "a\\b\\");
    assert_eq!(unescape("\\0é"), "\\0é");
}

#[test]
fn every_ancestor_is_on_the_path() {
    let paths = |mount: &Mount, group: &str| {
        groups_on_path(mount, Path::new(group))
            .iter()
            .map(|path| path.to_string_lossy().trim_end_matches('/').to_owned())
            .collect::<Vec<_>>()
    };
    let whole = mount(CgroupVersion::V2, "/", "/cg");
    assert_eq!(paths(&whole, "/a/b"), ["/cg/a/b", "/cg/a", "/cg"]);
    assert_eq!(paths(&whole, "/"), ["/cg"]);
    assert_eq!(paths(&whole, "/../../other"), ["/cg"]);
    let part = mount(CgroupVersion::V1, "/docker/abc", "/cg");
    assert_eq!(paths(&part, "/docker/abc/x"), ["/cg/x", "/cg"]);
    assert_eq!(paths(&part, "/elsewhere"), ["/cg"]);
}

#[test]
fn limits() {
    assert_eq!(parse_cpu_max("max 100000\n"), None);
    assert_eq!(parse_cpu_max("150000 100000\n"), Some((150_000, 100_000)));
    assert_eq!(parse_cpu_max("50000"), Some((50_000, 100_000)));
    assert_eq!(parse_cpu_max("5 0"), None);
    assert_eq!(parse_cpu_max(""), None);
    assert_eq!(parse_cfs("-1\n", "100000\n"), None);
    assert_eq!(parse_cfs("20000\n", "10000\n"), Some((20_000, 10_000)));
    assert_eq!(parse_cfs("20000\n", "0\n"), None);
}

#[test]
fn quotas_round_up_and_never_to_zero() {
    let cpus = |quota_us, period_us| {
        let group = PathBuf::new();
        CpuQuota { quota_us, period_us, version: CgroupVersion::V2, group }.cpus()
    };
    assert_eq!(cpus(150_000, 100_000), 2);
    assert_eq!(cpus(200_000, 100_000), 2);
    assert_eq!(cpus(1, 100_000), 1);
    assert_eq!(cpus(0, 100_000), 1);
}

#[test]
fn an_ancestor_may_be_the_tightest() {
    let root = std::env::temp_dir().join(format!("kcoro-cgroup-{}", std::process::id()));
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("can make directories");
        fs::write(path, text).expect("can write");
    };
    write("proc/self/cgroup", "5:cpu,cpuacct:/v1/own\n0::/pod/container\n");
    let mounts = "1 0 0:1 / /cg rw - cgroup2 none rw\n2 0 0:2 / /v1 rw - cgroup none rw,cpu\n";
    write("proc/self/mountinfo", mounts);
    write("cg/pod/container/cpu.max", "400000 100000\n");
    write("cg/pod/cpu.max", "150000 100000\n");
    write("v1/v1/own/cpu.cfs_quota_us", "-1\n");
    write("v1/v1/own/cpu.cfs_period_us", "100000\n");
    let quota = tightest_quota(&root).expect("there is a quota");
    assert_eq!((quota.cpus(), quota.group), (2, PathBuf::from("/cg/pod")));

    write("v1/v1/cpu.cfs_quota_us", "30000\n");
    write("v1/v1/cpu.cfs_period_us", "100000\n");
    let quota = tightest_quota(&root).expect("there is a quota");
    assert_eq!((quota.cpus(), quota.version), (1, CgroupVersion::V1));

    fs::remove_dir_all(&root).expect("can clean up");
    assert_eq!(tightest_quota(&root), None);
}
