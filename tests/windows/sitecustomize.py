"""Makes Python's modules look to faceshape as they do on Windows; to all others they stay as here.

In a process that has this folder in PYTHONPATH, and in those that it starts, modules of faceshape
find neither `fcntl` nor `resource`, nor what Windows lacks of `os`, `signal`, `socket` and `time`,
and `sys.platform` is "win32". Of `msvcrt` they find the locks, made of the system's own.
"""

import builtins
import errno
import importlib
import types

MISSING = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# What is not "Availability: Windows" in Python's documentation, as far as anybody would want it.
LACKING = {
    "os": """
        O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK WNOHANG chown fchmod fork forkpty getegid
        geteuid getgid getloadavg getpgid getpriority getsid getuid killpg mkfifo mknod nice
        pidfd_open pipe2 posix_spawn pread pwrite register_at_fork sched_getaffinity
        sched_setaffinity sched_yield sendfile setpgid setpriority setsid statvfs sync sysconf
        uname wait wait3 wait4 waitid
    """,
    "signal": """
        ITIMER_REAL SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1
        SIGUSR2 alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigwait
    """,
    "socket": "AF_UNIX MSG_DONTWAIT SO_REUSEPORT recvmsg sendmsg",
    "time": "CLOCK_MONOTONIC clock_gettime clock_settime tzset",
}
INSTEAD = {"os": {"name": "nt"}, "sys": {"platform": "win32"}}


class AsOnWindows(types.ModuleType):
    """A module without some of its names, and with others of another value."""

    def __init__(self, module: types.ModuleType) -> None:
        for name, value in {
            "_module": module,
            "_lacking": set(LACKING.get(module.__name__, "").split()),
            "_instead": INSTEAD.get(module.__name__, {}),
        }.items():
            object.__setattr__(self, name, value)

    def __getattribute__(self, name: str) -> object:
        own = object.__getattribute__
        if name in own(self, "_instead"):
            return own(self, "_instead")[name]
        if name in own(self, "_lacking"):
            raise AttributeError(f"{name} is not there on Windows")
        return getattr(own(self, "_module"), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(object.__getattribute__(self, "_module"), name, value)


def msvcrt() -> types.ModuleType:
    """Return Microsoft's locks, which hold others off, not only those who ask."""
    import fcntl

    def locking(file: int, mode: int, length: int) -> None:
        # A second lock of the same process is refused on Windows, which lockf would grant; flock
        # refuses it, and holds the whole file.
        assert (mode, length) == (2, 1)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error

    module = types.ModuleType("msvcrt")
    module.LK_NBLCK, module.locking = 2, locking
    return module


OTHERS = {name: AsOnWindows(importlib.import_module(name)) for name in {*LACKING, *INSTEAD}}
OTHERS["msvcrt"] = msvcrt()
imported = builtins.__import__


def import_as_on_windows(name, globals=None, locals=None, fromlist=(), level=0):
    """Import for one of faceshape's modules what there would be on Windows."""
    spec = (globals or {}).get("__spec__")  # `__name__` may be "__main__"
    if level == 0 and spec is not None and spec.name.partition(".")[0] == "faceshape":
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in OTHERS:
            for each in fromlist or ():
                if not hasattr(OTHERS[name], each):
                    raise ImportError(f"cannot import name {each!r} from {name!r}", name=name)
            return OTHERS[name]
    return imported(name, globals, locals, fromlist, level)


builtins.__import__ = import_as_on_windows
