import os

import pytest

from pytest_ari_sla.session.machine.cores import cpu_quota, usable_cores
from pytest_ari_sla.session.machine.environment import describe_environment

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
CPUSET_MOUNT = "33 31 0:30 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n"


def quota_of(groups: str, mounts: str, **files: str) -> float | None:
    """Return the quota by the files of a system; names of files are their paths below /sys/fs/cgroup."""
    tree = {f"/sys/fs/cgroup/{path}": text for path, text in files.items()}
    return cpu_quota((tree | {"/proc/self/cgroup": groups, "/proc/self/mountinfo": mounts}).get)


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "cores"),
    [
        ("0::/\n", V2_MOUNT, {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", V2_MOUNT, {"cpu.max": "max 100000\n"}, None),
        ("0::/pods/ours\n", V2_MOUNT, {"pods/cpu.max": "150000 100000\n", "pods/ours/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a/b\n", V2_MOUNT, {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "200000 100000\n"}, 2),
        ("0::/../outside\n", V2_MOUNT, {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/docker/f00\n", V2_MOUNT.replace("0:26 /", "0:26 /docker/f00"), {"cpu.max": "100000 50000\n"}, 2),
        (
            "4:cpu,cpuacct:/docker/f00\n0::/\n",
            V1_MOUNT.format(root="/docker/f00"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "25000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            0.25,
        ),
        (
            "4:cpu,cpuacct:/docker/f00\n",
            V1_MOUNT.format(root="/elsewhere"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "25000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            0.25,
        ),
        (
            "4:cpu,cpuacct:/\n",
            V1_MOUNT.format(root="/"),
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("3:cpuset:/\n", CPUSET_MOUNT, {"cpuset/cpu.max": "50000 100000\n"}, None),
        ("", "", {}, None),
        ("no colon\n", "too short\n", {}, None),
        ("0::/\n", V2_MOUNT, {"cpu.max": "garbage\n"}, None),
    ],
)
def test_a_quota_is_found_wherever_it_is_set(
    groups: str, mounts: str, files: dict[str, str], cores: float | None
) -> None:
    """Version 1 or 2, of our group or of one above it, as the host or as the container names it."""
    assert quota_of(groups, mounts, **files) == cores


def test_cores_that_we_may_not_run_on_are_not_counted() -> None:
    """``taskset`` and cpusets count as quotas do."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() <= 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_report_names_the_quota_and_not_the_cores_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who sees 16 cores looks for the fault elsewhere."""
    monkeypatch.setattr("pytest_ari_sla.session.machine.environment.usable_cores", lambda: 0.5)
    assert describe_environment().cores == 0.5
