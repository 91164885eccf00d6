import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceshape import processors
from faceshape.processors import affinity, quota, usable_processors

V1 = "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_OTHER = "34 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V2 = "29 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
DISK = "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw"


@pytest.fixture
def machine(tmp_path):
    """Makes a file system with these groups, mounts and files below /sys/fs/cgroup."""

    def make(groups: list[str], mounts: list[str], files: dict[str, str]) -> Path:
        contents = {
            "proc/self/cgroup": "\n".join(groups) + "\n",
            "proc/self/mountinfo": "\n".join([DISK, *mounts]) + "\n",
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        }
        for name, text in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def v1(folder: str, limit: int, period: int = 100_000) -> dict[str, str]:
    place = f"cpu,cpuacct/{folder}"
    return {f"{place}/cpu.cfs_quota_us": f"{limit}\n", f"{place}/cpu.cfs_period_us": f"{period}\n"}


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "granted"),
    [
        pytest.param(["0::/"], [V2], {"cpu.max": "150000 100000\n"}, 1.5, id="v2"),
        pytest.param(["0::/"], [V2], {"cpu.max": "max 100000\n"}, None, id="v2 without a limit"),
        pytest.param(["0::/"], [V2], {}, None, id="v2 at the top of a machine"),
        pytest.param(
            ["0::/a/b"],
            [V2],
            {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"},
            2,
            id="v2: the group above limits",
        ),
        pytest.param(
            ["0::/a/b"],
            [V2],
            {"a/cpu.max": "400000 100000", "a/b/cpu.max": "50000 200000"},
            0.25,
            id="v2: the least counts",
        ),
        pytest.param(
            ["0::/../../a"], [V2], {"cpu.max": "300000 100000"}, 3, id="v2 outside its namespace"
        ),
        pytest.param(
            ["5:memory:/", "4:cpu,cpuacct:/a"],
            [V1_OTHER, V1],
            v1("a", 250_000),
            2.5,
            id="v1",
        ),
        pytest.param(["4:cpu,cpuacct:/a"], [V1], v1("a", -1), None, id="v1 without a limit"),
        pytest.param(
            ["4:cpu,cpuacct:/a/b"],
            [V1],
            v1("a", 30_000, 10_000) | v1("a/b", -1),
            3,
            id="v1: the group above limits",
        ),
        pytest.param(
            ["4:cpu,cpuacct:/docker/1f"],
            [V1.replace("{top}", "/docker/1f")],
            v1("", 100_000),
            1,
            id="v1: only the container's group is mounted",
        ),
        pytest.param(
            ["4:cpu,cpuacct:/docker/1f"],
            [V1],
            v1("", 100_000),
            1,
            id="v1: the host's path is not there",
        ),
        pytest.param(
            ["4:cpu,cpuacct:/", "0::/a"],
            [V1, V2.replace(" /sys/fs/cgroup ", " /sys/fs/cgroup/unified ")],
            v1("", 200_000) | {"unified/a/cgroup.procs": "1\n"},
            2,
            id="both, v1 limits",
        ),
        pytest.param(["5:memory:/"], [V1_OTHER], {"memory/cpu.max": "1 1"}, None, id="another one"),
        pytest.param(["0::/"], [V2], {"cpu.max": "100000 0\n"}, None, id="nonsense"),
    ],
)
def test_quotas(machine, groups, mounts, files, granted):
    mounts = [line.replace("{top}", "/") for line in mounts]
    assert quota(machine(groups, mounts, files)) == granted


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert quota(tmp_path) is None


@pytest.mark.parametrize(
    ("cores", "granted", "usable"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.1, 1), (2, 6.0, 2)],
)
def test_the_lesser_counts_and_parts_count_as_one(monkeypatch, cores, granted, usable):
    monkeypatch.setattr(processors, "affinity", lambda: cores)
    monkeypatch.setattr(processors, "quota", lambda: granted)
    assert usable_processors() == usable


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity here")
def test_the_affinity_counts():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert affinity() == usable_processors() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture
def narrow_group(tmp_path):
    """A control group of this machine that grants one processor, or a skip."""
    for top, limit in (
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_quota_us": "100000"}),
        (Path("/sys/fs/cgroup"), {"cpu.max": "100000 100000"}),
    ):
        group = top / f"faceshape-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for name, value in limit.items():
                (group / name).write_text(value)
            yield group
            return
        except OSError:
            pass
        finally:
            group.rmdir()
    pytest.skip("no control group can be made here")


def test_a_process_in_a_narrow_group_uses_one_thread(narrow_group):
    """The engine, the server and the batch, all in one process with a quota of one processor."""
    code = f"""
import os
from pathlib import Path
Path("{narrow_group}/cgroup.procs").write_text(str(os.getpid()))
os.sched_getaffinity = lambda _: range(64)
from faceshape import FaceShapeEngine
from faceshape.cli.serve import serve
from faceshape.processors import usable_processors
from faceshape.tencent.server.app import ServerSettings
threads = next(each for each in serve.params if each.name == "threads").default()
tasks = len(os.listdir("/proc/self/task"))
engine = FaceShapeEngine()
print(usable_processors(), ServerSettings(secrets=None).threads, threads)
print(len(os.listdir("/proc/self/task")) - tasks)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "1", "1", "0"]
