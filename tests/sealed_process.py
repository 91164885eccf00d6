"""Runs a program that the kernel ends, with SIGSYS, when it asks for a socket to other machines.

``python sealed_process.py PROGRAM ARGUMENT...``; exits with 77 where there is no such filter. It
also holds for what Python does not see: threads and libraries in C, and look-ups of names.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

NO_FILTER = 77
_SOCKET_CALL = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit arch, number
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_NUMBER, _ARCHITECTURE, _FAMILY = 0, 4, 16  # offsets in struct seccomp_data
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2


def seal() -> None:
    """Let this process and all that it starts open none but AF_UNIX sockets; see seccomp(2)."""
    architecture, number = _SOCKET_CALL[platform.machine()]
    steps = [  # an operation, how many steps to leave out if so and if not, and its operand
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 4, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 2, number),
        (_LOAD, 0, 0, _FAMILY),
        (_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL_PROCESS),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), zero, zero, zero):
        raise OSError(ctypes.get_errno(), "prctl")
    if libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.c_char_p(program), zero, zero):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    try:
        seal()
    except (OSError, KeyError, AttributeError):
        sys.exit(NO_FILTER)
    os.execv(sys.argv[1], sys.argv[1:])
