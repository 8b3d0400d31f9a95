"""Takes rights away from this process, for good, before it opens what a stranger sent.

Four fences, each of which holds where the others do not exist: resource limits (POSIX); death with the parent; a system
call filter (seccomp, Linux on x86-64) that leaves reading, memory and threads and refuses everything else, so no
network, no other program, no file written, no signal to anybody; and Landlock (Linux 5.13), which hides every file but
those that are named.

What the kernel does not give is left out, and the answer says so. Only the standard library is needed.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_GET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 15, 21, 38  # <linux/prctl.h>
_GRACE_CPU_S = 5  # between SIGXCPU and SIGKILL


@dataclass(frozen=True)
class Bounds:
    """What a confined process may use."""

    memory_bytes: int = 3 * 1024**3  # of address space
    cpu_s: int = 3600  # over all its threads
    file_bytes: int = 64 * 1024  # of any one file it writes: what it says on stderr
    open_files: int = 64


@dataclass(frozen=True)
class Confinement:
    """Which fences of the kernel hold."""

    seccomp: bool
    landlock: int  # version of its interface; 0 where there is none


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` (a process id) ends; exit when it has ended already.

    The kernel acts as soon as the thread of ``parent`` that started this process ends, though others may go on.
    """
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def limit(bounds: Bounds) -> None:
    """Set the resource limits, or what is left of them where a stricter one holds already; no core is ever dumped."""
    for kind, value, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, bounds.memory_bytes, 0),
        (resource.RLIMIT_CPU, bounds.cpu_s, _GRACE_CPU_S),
        (resource.RLIMIT_FSIZE, bounds.file_bytes, 0),
        (resource.RLIMIT_NOFILE, bounds.open_files, 0),
    ):
        soft, hard = resource.getrlimit(kind)
        wanted = _stricter(value, soft)
        most = _stricter(wanted + grace, hard)
        resource.setrlimit(kind, (min(wanted, most), most))


def _stricter(value: int, held: int) -> int:
    """``value``, or the limit in force where that is less."""
    return value if held == resource.RLIM_INFINITY else min(value, held)


def confine(readable: Iterable[Path]) -> Confinement:
    """Leave this process nothing but reading the files ``readable`` and what it has open, and threads.

    All modules must have been imported before. Returns what the kernel gave.
    """
    if sys.platform != "linux" or _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return Confinement(seccomp=False, landlock=0)
    return Confinement(landlock=_landlock(readable), seccomp=_filter_system_calls())


def offered() -> Confinement:
    """What ``confine`` would return here, without doing it."""
    if sys.platform != "linux":
        return Confinement(seccomp=False, landlock=0)
    has_seccomp = platform.machine() == _MACHINE and _libc().prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return Confinement(seccomp=has_seccomp, landlock=_landlock_version())


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


# Landlock: <linux/landlock.h>. Its system calls have the same numbers on every architecture.

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1
_ACCESS_READ_FILE = 1 << 2
_ACCESSES_BY_VERSION = (13, 14, 15, 15, 16)  # how many rights over files versions 1 to 5 know; later ones no more
_NETWORK = 0b11  # binding and connecting over TCP, from version 4
_SCOPES = 0b11  # abstract sockets of, and signals to, processes outside; from version 6


def _landlock_version() -> int:
    version = _libc().syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION)
    return max(0, int(version))


def _landlock(readable: Iterable[Path]) -> int:
    """The version in force; 0 when the kernel gives none."""
    version = _landlock_version()
    if version == 0:
        return 0
    libc = _libc()
    files = (1 << _ACCESSES_BY_VERSION[min(version, len(_ACCESSES_BY_VERSION)) - 1]) - 1
    handled = struct.pack("<QQQ", files, _NETWORK if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    known_bytes = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, handled, ctypes.c_size_t(known_bytes), 0)
    if rules < 0:
        return 0
    try:
        for path in readable:
            file = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("<Qi", _ACCESS_READ_FILE, file)
                if libc.syscall(_LANDLOCK_ADD_RULE, rules, _LANDLOCK_RULE_PATH_BENEATH, rule, 0) != 0:
                    return 0
            finally:
                os.close(file)
        return version if libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0) == 0 else 0
    finally:
        os.close(rules)


# Seccomp: <linux/seccomp.h>, <linux/filter.h>, and the system calls of x86-64 in <asm/unistd_64.h>.

_MACHINE, _AUDIT_ARCH_X86_64 = "x86_64", 0xC000003E
_X32_BIT = 0x40000000  # the same calls by other numbers
_SECCOMP, _SET_MODE_FILTER, _FLAG_TSYNC = 317, 1, 1  # for all threads at once
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16

_ALLOWED = {
    "read": 0, "write": 1, "futex": 202, "lseek": 8, "munmap": 11, "madvise": 28, "close": 3, "fstat": 5, "stat": 4,
    "lstat": 6, "newfstatat": 262, "statx": 332, "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270, "brk": 12,
    "mremap": 25, "mincore": 27, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "faccessat": 269, "faccessat2": 439, "readlink": 89,
    "readlinkat": 267, "getcwd": 79, "getdents64": 217, "dup": 32, "sched_yield": 24, "nanosleep": 35,
    "clock_nanosleep": 230, "clock_gettime": 228, "clock_getres": 229, "gettimeofday": 96, "times": 100, "getpid": 39,
    "getppid": 110, "gettid": 186, "getuid": 102, "geteuid": 107, "getgid": 104, "getegid": 108, "uname": 63,
    "sysinfo": 99, "getrlimit": 97, "getrusage": 98, "sched_getaffinity": 204, "getcpu": 309, "getrandom": 318,
    "set_robust_list": 273, "set_tid_address": 218, "rseq": 334, "membarrier": 324, "futex_waitv": 449,
    "restart_syscall": 219, "exit": 60, "exit_group": 231,
}  # fmt: skip
_PROT_EXEC, _CLONE_THREAD = 0x4, 0x10000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_WITHOUT_BITS = (  # number, argument, bits of which none may be set
    (9, 2, _PROT_EXEC),  # mmap: no new code
    (10, 2, _PROT_EXEC),  # mprotect
    (257, 2, _WRITING),  # openat
    (2, 1, _WRITING),  # open
)
_WITH_BIT = ((56, 0, _CLONE_THREAD),)  # clone: threads, no processes
_CLONE3 = 435  # its flags lie in memory, where no filter can look; glibc takes clone where there is no clone3


def _filter_system_calls() -> bool:
    """Whether the filter is in force."""
    if platform.machine() != _MACHINE:
        return False
    program = b"".join(struct.pack("<HBBI", *instruction) for instruction in _instructions())
    instructions = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    return bool(_libc().syscall(_SECCOMP, _SET_MODE_FILTER, _FLAG_TSYNC, described) == 0)


def _instructions() -> Iterable[tuple[int, int, int, int]]:
    """Of classic BPF: code, jump when true, jump when false, value."""
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE | errno.EPERM)
    yield from [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, _AUDIT_ARCH_X86_64), (_RETURN, 0, 0, _KILL)]
    yield from [(_LOAD, 0, 0, _NUMBER_AT), (_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for number in _ALLOWED.values():
        yield from [(_EQUAL, 0, 1, number), allow]
    for number, argument, bits in _WITHOUT_BITS:
        yield from _argument(number, argument, [(_ANY_BIT, 1, 0, bits), allow, refuse])
    for number, argument, bit in _WITH_BIT:
        yield from _argument(number, argument, [(_ANY_BIT, 0, 1, bit), allow, refuse])
    for number, argument, values in (
        (157, 0, (_PR_SET_NAME,)),  # prctl: naming a thread
        (302, 0, (0,)),  # prlimit64: of itself
        (234, 0, (os.getpid(),)),  # tgkill: itself, as abort() does
        (72, 1, (1, 2, 3, 1030)),  # fcntl: flags of a file, another number for it
    ):
        tests = [part for value in values for part in ((_EQUAL, 0, 1, value), allow)]
        yield from _argument(number, argument, [*tests, refuse])
    yield from [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)]
    yield refuse


def _argument(
    number: int, argument: int, tests: Sequence[tuple[int, int, int, int]]
) -> Iterable[tuple[int, int, int, int]]:
    """For the call ``number``: ``tests`` on the lower half of its argument, which end in an answer."""
    yield from [(_EQUAL, 0, len(tests) + 1, number), (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), *tests]
