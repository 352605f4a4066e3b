"""Run a case: start the peers that it names, give each its turns, read what they used.

All peers of a case run at once, in front of one origin (and one parent), and take turns: a round
gives each peer one turn, and the next round begins with another peer, so that what else the machine
does falls on all alike. A ratio is taken within a round and its median over the rounds.

Memory needs a process that has done nothing else: in the idle case each turn has a fresh one.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from .accounting import cpu_seconds, open_descriptors, resident_bytes
from .cases import Case, Work
from .peers import BUILD, HERE, TOKEN, Aluvia, Parent, Peer, Setting, rule_for
from .processes import LOOPBACK, DidNotStartError, Server, free_port

DEADLINE_SECONDS = 180
SETTLE_SECONDS = 0.3  # for the last closes of a turn
IDLE_SETTLE_SECONDS = 2.0

Say = Callable[[str], None]


@attrs.frozen
class Turn:
    """One peer's turn in one round, and its figures by name."""

    peer: str
    round: int
    figures: dict[str, float]


class TurnFailedError(Exception):
    """A turn did not come to its end, or the work did not go the way that the case wants."""


@attrs.define
class Measured:
    """What became of a case: turns, and for each peer without any the reason."""

    turns: list[Turn] = attrs.Factory(list)
    left_out: dict[str, str] = attrs.Factory(dict)


@attrs.frozen
class Bench:
    """Where a case runs: the origin, perhaps a parent, and a folder for files."""

    folder: Path
    origin: Server
    parent: Parent | None
    control_plane: str

    def start(self, peer: Peer) -> Server:
        """Start a peer on a free port."""
        port = free_port()
        folder = self.folder / peer.name
        folder.mkdir(exist_ok=True)
        setting = Setting(port, folder, self.parent, self.control_plane)
        return Server.start(peer.name, peer.command(setting), port, folder)

    def tunnels_of_parent(self) -> int:
        """How many tunnels the parent has opened."""
        if self.parent is None:
            return 0
        connection = http.client.HTTPConnection(LOOPBACK, self.parent.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/tunnels")
            return int(connection.getresponse().read())

    def load_command(self, work: Work, server: Server) -> list[str]:
        """The load client's command line."""
        arguments = work.arguments(server.port, self.origin.port)
        return [str(BUILD / "load"), *arguments, "--deadline", str(DEADLINE_SECONDS)]


@contextlib.contextmanager
def bench(folder: Path, parent: Parent | None) -> Iterator[Bench]:
    """Start the origin, a control plane and, if there is to be one, the parent."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        command = [str(BUILD / "origin"), "--port", str(port)]
        origin = stack.enter_context(Server.start("origin", command, port, folder))
        if parent:
            command = [str(BUILD / "relay"), "--port", str(parent.port)]
            command += ["--authorization", parent.authorization]
            stack.enter_context(Server.start("parent", command, parent.port, folder))
        port = free_port()
        given = parent or Parent(free_port())
        command = [sys.executable, str(HERE / "plane.py"), str(port)]
        command += [TOKEN, given.username, given.password, rule_for(parent)]
        stack.enter_context(Server.start("plane", command, port, folder))
        yield Bench(folder, origin, parent, f"http://{LOOPBACK}:{port}/v1")


def _answer(server: Server, output: str, errors: str) -> dict[str, Any]:
    """The load's line of JSON, or why there is none."""
    if not output.strip():
        raise TurnFailedError(f"the load gave up: {errors.strip()}\n{server.last_output()}".strip())
    answer: dict[str, Any] = json.loads(output)
    if answer["failed"]:
        raise TurnFailedError(f"{answer['failed']} failed: {errors.strip()}")
    return answer


def _load(at: Bench, work: Work, server: Server) -> dict[str, Any]:
    finished = subprocess.run(
        at.load_command(work, server),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS + 10,
        check=False,
    )
    return _answer(server, finished.stdout, finished.stderr)


def _loaded_turn(at: Bench, case: Case, work: Work, server: Server) -> dict[str, float]:
    """The processor time of one peer for one run of the load."""
    if not server.alive():
        raise TurnFailedError(f"it has ended\n{server.last_output()}")
    tunnels = at.tunnels_of_parent()
    before = cpu_seconds(server.pid)
    answer = _load(at, work, server)
    time.sleep(SETTLE_SECONDS)
    if not server.alive():
        raise TurnFailedError(f"it ended in its turn\n{server.last_output()}")
    used = cpu_seconds(server.pid) - before
    if at.parent and at.tunnels_of_parent() - tunnels != work.count:
        raise TurnFailedError("it did not go through its parent")
    return {
        "cost": used / work.units * case.cost_factor,
        "rate": work.units / answer["seconds"] * case.rate_factor,
        "cpu_seconds": used,
        "seconds": answer["seconds"],
        "units": work.units,
        "connections": answer["connections"],
        "p50_us": answer["p50_us"],
        "p99_us": answer["p99_us"],
    }


def _idle_turn(at: Bench, work: Work, server: Server) -> dict[str, float]:
    """What a peer holds for tunnels that are open and silent, and what stays after them."""
    time.sleep(IDLE_SETTLE_SECONDS)
    memory, descriptors = resident_bytes(server.pid), open_descriptors(server.pid)
    with subprocess.Popen(
        at.load_command(work, server),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as load:
        assert load.stdout and load.stderr
        line = load.stdout.readline()  # bounded by the load's own deadline
        _answer(server, line, "" if line else load.stderr.read())
        time.sleep(IDLE_SETTLE_SECONDS)
        held_memory, held = resident_bytes(server.pid), open_descriptors(server.pid)
        load.communicate(timeout=30)  # the end of its input lets go
    time.sleep(IDLE_SETTLE_SECONDS)
    return {
        "kb_per_tunnel": (held_memory - memory) / work.count / 1000,
        "descriptors_per_tunnel": (held - descriptors) / work.count,
        "descriptors_left": open_descriptors(server.pid) - descriptors,
        "tunnels": work.count,
    }


def _rules_turn(peer: Peer, work: Work) -> dict[str, float]:
    """What decisions cost in the Python that a peer, an aluvia, is installed for."""
    if not isinstance(peer, Aluvia):
        raise TurnFailedError("it has no rules")
    finished = subprocess.run(
        [peer.python, str(HERE / "rules.py"), "--decisions", str(work.count)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    if finished.returncode:
        raise TurnFailedError(finished.stderr.strip())
    figures: dict[str, float] = json.loads(finished.stdout)
    return figures


@attrs.define
class _Comparison:
    """A case under way: who is still in it, and what has been measured."""

    case: Case
    at: Bench
    stack: contextlib.ExitStack
    say: Say
    ready: list[Peer]
    measured: Measured
    servers: dict[str, Server] = attrs.Factory(dict)

    def leave_out(self, peer: Peer, reason: str) -> None:
        """Go on without a peer; the whole reason is kept, its first line shown."""
        self.measured.left_out[peer.name] = reason
        self.ready.remove(peer)
        self.say(f"  {peer.name}: left out, {reason.partition(chr(10))[0]}")

    def start(self, peer: Peer) -> Server:
        """Start and warm up a peer; the end of the case ends it at the latest."""
        server = self.at.start(peer)
        self.stack.callback(server.stop)
        _load(self.at, self.case.warm_up, server)
        return server

    def start_all(self) -> None:
        """Start whoever is ready, but where each turn wants a fresh process."""
        for peer in list(self.ready) if self.case.kind == "load" else []:
            try:
                self.servers[peer.name] = self.start(peer)
            except (DidNotStartError, TurnFailedError) as error:
                self.leave_out(peer, str(error))

    def figures(self, peer: Peer, work: Work) -> dict[str, float]:
        """The figures of one turn."""
        if self.case.kind == "rules":
            return _rules_turn(peer, work)
        if self.case.kind == "load":
            return _loaded_turn(self.at, self.case, work, self.servers[peer.name])
        server = self.start(peer)
        try:
            return _idle_turn(self.at, work, server)
        finally:
            server.stop()

    def one_round(self, number: int, work: Work) -> None:
        """Give each peer its turn, beginning with another one than the round before."""
        shift = number % max(len(self.ready), 1)
        for peer in self.ready[shift:] + self.ready[:shift]:
            try:
                figures = self.figures(peer, work)
            except (DidNotStartError, TurnFailedError) as error:
                self.leave_out(peer, str(error))
                continue
            self.measured.turns.append(Turn(peer.name, number, figures))
            shown = ", ".join(
                f"{figures[column.figure]:.{column.digits}f} {column.title}"
                for column in self.case.columns[:2]
            )
            self.say(f"  round {number + 1}  {peer.name:<14} {shown}")


def run_case(
    case: Case, peers: Sequence[Peer], rounds: int, folder: Path, *, quick: bool, say: Say
) -> Measured:
    """Measure ``peers`` on ``case``; one that fails is left out from there on, with the reason."""
    parent = Parent(free_port()) if case.through_parent else None
    measured = Measured()
    with bench(folder, parent) as at, contextlib.ExitStack() as stack:
        comparison = _Comparison(case, at, stack, say, list(peers), measured)
        for peer in peers:
            reason = peer.missing()
            if not reason and parent and not peer.through_parent:
                reason = "cannot forward through this parent"
            if reason:
                comparison.leave_out(peer, reason)
        comparison.start_all()
        for number in range(rounds):
            comparison.one_round(number, case.quick if quick else case.full)
    return measured
