"""What the server counts, in Prometheus's text format, also over several worker processes."""

import os
import re
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = ["CONTENT_TYPE_LATEST", "MULTIPROCESS_VARIABLE", "Metrics"]

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory in which workers share their numbers; read when this module is loaded."""

_LIVE_FILE = re.compile(r"gauge_live[a-z]+_(?P<process>[0-9]+)\.db")
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "faceshape_requests",
            "Answered requests by error code; OK is none.",
            ["code"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "faceshape_request_seconds",
            "Time from the request's headers to its answer.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.in_progress = Gauge(
            "faceshape_requests_in_progress",
            "Requests that are read, wait or are worked on.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def text(self) -> bytes:
        """Return the numbers of this process, or of all workers if there are several."""
        if MULTIPROCESS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        _forget_dead_processes(Path(os.environ[MULTIPROCESS_VARIABLE]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no type
        return generate_latest(registry)


def _forget_dead_processes(directory: Path) -> None:
    """Drop what a killed worker had in progress; what it has counted stays."""
    for path in directory.iterdir():
        match = _LIVE_FILE.fullmatch(path.name)
        if match and not _is_alive(int(match["process"])):
            mark_process_dead(int(match["process"]))  # type: ignore[no-untyped-call]


def _is_alive(process: int) -> bool:
    """Return whether a worker may be alive; where that cannot be asked, it may."""
    if os.name != "posix":
        return True  # there, os.kill ends a process
    try:
        os.kill(process, 0)
    except OSError:  # nobody's, or the number of somebody else's by now
        return False
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] != "Z"  # its parent has not looked at it yet
