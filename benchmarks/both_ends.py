"""Both ends of a tunnel as one process tree, so that their processor time is one figure.

    both_ends.py PLAN.json

The plan is ``{"first": [{"words", "to"}], "servers": [{"command", "port"}]}``: what runs to its end
before, each with a file for its output; and then what runs until this is told to end, one after the
other, each once the one before accepts on its port (0: at once).
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 20.0


def main(path: str) -> int:
    """Start them, and wait for a signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    plan = json.loads(Path(path).read_text())
    for step in plan["first"]:
        with Path(step["to"]).open("wb") as output:
            subprocess.run(step["words"], stdout=output, check=True, timeout=60)
    running: list[subprocess.Popen[bytes]] = []
    try:
        for server in plan["servers"]:
            running.append(subprocess.Popen(server["command"], stdin=subprocess.DEVNULL))
            if server["port"]:
                _wait(server["port"], running[-1])
        # One that ends by itself ends the other.
        while all(process.poll() is None for process in running):
            time.sleep(0.2)
        return 1
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"nothing listens on {port}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
