"""What a command costs with all the processes that it starts, daemons included. Only on Linux."""

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Cost", "cost_of"]

_SECONDS_BETWEEN_SAMPLES = 0.1
_PR_SET_CHILD_SUBREAPER = 36


class Cost(NamedTuple):
    """What a command has cost.

    Attributes:
        processor_seconds: user and system time of all its processes.
        peak_mib: the most that their resident sets came to at a time, shared pages counted in each.
    """

    processor_seconds: float
    peak_mib: float


class _Process(NamedTuple):
    pid: int
    parent: int
    processor_seconds: float
    resident_bytes: int


def cost_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end and return what it cost, sampled ten times a second.

    What a process did after the last look at it, a tenth of a second at most, is not counted.
    Processes that the command leaves behind are waited for.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    # Orphans become children of this process: they are seen, whoever has started them.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seconds: dict[int, float] = {}
    peak = 0
    whole = os.environ | (environment or {})
    with subprocess.Popen(command, env=whole, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None or _reaped():
            family = list(_descendants(os.getpid()))
            seconds |= {process.pid: process.processor_seconds for process in family}
            peak = max(peak, sum(process.resident_bytes for process in family))
            time.sleep(_SECONDS_BETWEEN_SAMPLES)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return Cost(sum(seconds.values()), peak / 2**20)


def _reaped() -> bool:
    """Bury orphans that have ended; return whether others are left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _descendants(ancestor: int) -> Iterator[_Process]:
    children: dict[int, list[_Process]] = {}
    for process in _processes():
        children.setdefault(process.parent, []).append(process)
    waiting = [ancestor]
    while waiting:
        for process in children.get(waiting.pop(), ()):
            yield process
            waiting.append(process.pid)


def _processes() -> Iterator[_Process]:
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        fields = line[line.rindex(")") + 2 :].split()  # proc(5); the name may contain anything
        processor_seconds = (int(fields[11]) + int(fields[12])) / ticks
        yield _Process(int(folder.name), int(fields[1]), processor_seconds, int(fields[21]) * page)
