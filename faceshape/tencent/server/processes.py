"""The processes of a server: what they may open, and how they end."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from multiprocessing.connection import wait
from types import FrameType

from faceshape.tencent.server.metrics import MULTIPROCESS_VARIABLE

__all__ = ["end_on_sigterm", "end_with_parent", "raise_descriptor_limit"]

_LAST_SECONDS = 30.0  # for an orphan to answer what it has
_MOST_DESCRIPTORS = 1_048_576  # where the system knows no limit


def raise_descriptor_limit() -> None:
    """Raise the limit on open files, and so on connections, to what this user may have."""
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    # macOS says that there is no limit, and allows 10,240.
    for limit in (wanted, 10_240):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return


def end_on_sigterm() -> None:
    """Let SIGTERM end this process with exit code 0, and its contexts be left.

    uvicorn ends gracefully and then raises the signal again, which would kill the process.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _exit)


def end_with_parent() -> None:
    """Watch the parent of a worker process: when it is gone, end as after SIGTERM."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    wait([sentinel])
    if MULTIPROCESS_VARIABLE in os.environ:  # a parent that was killed leaves it behind
        shutil.rmtree(os.environ[MULTIPROCESS_VARIABLE], ignore_errors=True)
    signal.raise_signal(signal.SIGTERM)
    time.sleep(_LAST_SECONDS)
    os._exit(1)


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
