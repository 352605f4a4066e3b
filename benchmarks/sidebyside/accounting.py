"""What the operating system says that a process and its descendants used.

A proxy may be one process (Squid with ``-N``), one with threads (tinyproxy), or several
(proxy.py): every figure is a sum over the process and its live descendants, found by the parent
numbers in ``/proc``.

Processor time is ``utime + stime``. ``/proc/PID/stat`` gives it in ticks of 10 ms, two per cent of
a short turn, so it is read from the process's CPU clock instead (``clock_getcpuclockid(3)``): the
same sum in nanoseconds, threads with it, those that ended too. Children that ended and were
waited for come from ``cutime`` and ``cstime``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat behind the command's name, proc(5).
_PARENT, _CHILD_USER, _CHILD_SYSTEM = 1, 13, 14

# The low bits of a process's clock number in <linux/posix-timers.h>: CPUCLOCK_SCHED.
_CPU_CLOCK = 2


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` behind the name, which may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def process_tree(pid: int) -> list[int]:
    """``pid`` and its live descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(int(entry.name))[_PARENT])
            except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
                continue
            children.setdefault(parent, []).append(int(entry.name))
    tree = [pid]
    for member in tree:
        tree += children.get(member, [])
    return tree


def cpu_seconds(pid: int) -> float:
    """Processor time, user and system, of a process and its descendants."""
    total = 0.0
    for member in process_tree(pid):
        fields = _stat(member)
        total += time.clock_gettime(~member << 3 | _CPU_CLOCK)
        total += (int(fields[_CHILD_USER]) + int(fields[_CHILD_SYSTEM])) / _TICKS_PER_SECOND
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; kernel buffers are not in it."""
    return sum(
        int(Path(f"/proc/{member}/statm").read_text().split()[1]) * _PAGE_BYTES
        for member in process_tree(pid)
    )


def open_descriptors(pid: int) -> int:
    """Descriptors that a process and its descendants hold."""
    return sum(len(os.listdir(f"/proc/{member}/fd")) for member in process_tree(pid))
