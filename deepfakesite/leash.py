"""Runs a program that gets SIGTERM when the process that started it dies, however it dies.

Elsewhere than on Linux it just runs. Started as a script with the caller's process id and the program's command line.
It is a process of its own because the wish must be spoken by the child between fork and exec, which Python can only do
unsafely in a parent with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def die_with_parent(parent: int, with_signal: int) -> None:
    """Have the kernel send ``with_signal`` to this process when ``parent`` ends; exit when it has ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, with_signal, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGTERM)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 -- the supervisor's own command
