"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

DESCRIPTORS_WANTED = 16_384


def _value(path: str, key: str, separator: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(separator)
        if name.strip() == key:
            return value.strip().strip('"')
    return "unknown"


def describe() -> dict[str, str]:
    """Processor, memory, system, and its load in the minute before we began."""
    kibibytes = int(_value("/proc/meminfo", "MemTotal", ":").split()[0])
    return {
        "processor": f"{_value('/proc/cpuinfo', 'model name', ':')}, {os.cpu_count()} cores",
        "memory": f"{kibibytes / 2**20:.0f} GiB",
        "system": _value("/etc/os-release", "PRETTY_NAME", "="),
        "kernel": f"{platform.release()} {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def raise_descriptor_limit() -> int:
    """Take the hard limit of descriptors, for us and what we start; what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
