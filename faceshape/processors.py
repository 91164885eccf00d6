"""How many processors this process may use: by its affinity and by its control groups' quotas.

Containers are limited by quotas, which neither `os.cpu_count` nor the affinity shows. More threads
than the quota grants are stopped together for the rest of each period.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["affinity", "quota", "usable_processors"]


def usable_processors() -> int:
    """Return how many processors this process may use, at least 1.

    A part of a processor counts as one.
    """
    granted = quota()
    count = affinity() if granted is None else min(affinity(), math.ceil(granted))
    return max(1, count)


def affinity() -> int:
    """Return how many processors the scheduler lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(root: Path = Path("/")) -> float | None:
    """Return how many processors the control groups grant, or None if they grant all.

    The least of the process's group and of those above it, of version 1 and of version 2 (cgroups
    7 and the kernel's admin-guide/cgroup-v2).

    Args:
        root: what ``/proc`` and the mount points are below.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):  # there are none but on Linux
        return None
    grants = [
        grant
        for group in groups
        for mount in mounts
        for folder in _folders(group, mount)
        if (grant := _grant(root / folder.relative_to("/"))) is not None
    ]
    return min(grants, default=None)


def _folders(group: str, mount: str) -> Iterator[PurePosixPath]:
    """Give where a group and those above it are, if the mount has them and they limit processors.

    Args:
        group: a line of ``/proc/self/cgroup``, "4:cpu,cpuacct:/some/group" or "0::/some/group".
        mount: a line of ``/proc/self/mountinfo``.
    """
    _, controllers, path = group.split(":", 2)
    place, _, system = mount.partition(" - ")
    kind, _, options = system.split(" ", 2)
    if controllers:
        relevant = (
            kind == "cgroup" and "cpu" in controllers.split(",") and "cpu" in options.split(",")
        )
    else:
        relevant = kind == "cgroup2"
    if not relevant:
        return
    top, mount_point = map(PurePosixPath, place.split(" ")[3:5])
    # A container may see the host's path of its group although only the group itself is mounted.
    inside = PurePosixPath(path)
    below = inside.relative_to(top) if inside.is_relative_to(top) else PurePosixPath()
    folder = mount_point if ".." in below.parts else mount_point / below
    while folder != mount_point:
        yield folder
        folder = folder.parent
    yield mount_point


def _grant(folder: Path) -> float | None:
    """Return how many processors one group grants; None: all, or it is not there."""
    try:
        if (unified := folder / "cpu.max").exists():
            limit, period = unified.read_text(encoding="ascii").split()
        else:
            limit = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        granted = int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number
        return None
    return granted if granted > 0 else None
