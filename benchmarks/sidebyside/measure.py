"""Run a case: start the peers that it names, give each its turns, read what they used.

All peers of a case run at once, in front of one origin (and one parent), and take turns: a round
gives each peer one turn, and the next round begins with another peer, so that what else the machine
does falls on all alike. A ratio is taken within a round and its median over the rounds.

Where a case has variants, a peer takes part once in each of them, with a process for each.

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
from .cases import Case, Variant, Work
from .peers import BUILD, HERE, TOKEN, Aluvia, Parent, Peer, Setting, rule_for
from .processes import LOOPBACK, DidNotStartError, Server, free_port
from .sites import KeyPairFiles, Site, self_signed
from .tunnels import HUB_FILE

DEADLINE_SECONDS = 180
SETTLE_SECONDS = 0.3  # for the last closes of a turn
IDLE_SETTLE_SECONDS = 2.0
WARM_UPS = 8

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
class Entrant:
    """A peer in one variant of a case."""

    peer: Peer
    variant: Variant

    @property
    def name(self) -> str:
        """In tables and results."""
        return self.variant.entrant(self.peer.name)

    def work(self, work: Work) -> Work:
        """A work of the case's as this one is given it."""
        return attrs.evolve(work, options=work.options + self.variant.options)


@attrs.frozen
class Bench:
    """Where a case runs: the origin and its ports, and a folder for files.

    Forward proxies have a control plane and perhaps a parent, edges perhaps a certificate.
    """

    folder: Path
    origin: Server
    backends: tuple[int, ...]
    parent: Parent | None = None
    control_plane: str = ""
    pair: KeyPairFiles | None = None

    def start(self, entrant: Entrant) -> Server:
        """Start a peer on a free port."""
        port = free_port()
        folder = self.folder_of(entrant)
        folder.mkdir(exist_ok=True)
        variant = entrant.variant
        site = Site(self.backends[: variant.backends], variant.routes, self.pair)
        setting = Setting(port, folder, self.parent, self.control_plane, site)
        return Server.start(entrant.peer.name, entrant.peer.command(setting), port, folder)

    def folder_of(self, entrant: Entrant) -> Path:
        """Where a peer's files are."""
        return self.folder / entrant.name.replace(", ", "-").replace(" ", "-")

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


def _ports_of(origin: Server) -> tuple[int, ...]:
    """The ports of an origin, which prints them all before it answers."""
    connection = http.client.HTTPConnection(LOOPBACK, origin.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        connection.getresponse().read()
    lines = origin.log.read_text().splitlines()
    return tuple(int(line.split()[1]) for line in lines if line.startswith("port "))


@contextlib.contextmanager
def bench(folder: Path, case: Case, parent: Parent | None) -> Iterator[Bench]:
    """Start the origin and, for forward proxies, a control plane and the parent if there is one."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        more = max(variant.backends for variant in case.variants) - 1
        command = [str(BUILD / "origin"), "--port", str(port), "--more", str(more)]
        origin = stack.enter_context(Server.start("origin", command, port, folder))
        backends = _ports_of(origin)
        if case.group != "forward":
            yield Bench(folder, origin, backends, pair=self_signed(folder) if case.tls else None)
            return
        if parent:
            command = [str(BUILD / "relay"), "--port", str(parent.port)]
            command += ["--authorization", parent.authorization]
            stack.enter_context(Server.start("parent", command, parent.port, folder))
        port = free_port()
        given = parent or Parent(free_port())
        command = [sys.executable, str(HERE / "plane.py"), str(port)]
        command += [TOKEN, given.username, given.password, rule_for(parent)]
        stack.enter_context(Server.start("plane", command, port, folder))
        yield Bench(folder, origin, backends, parent, f"http://{LOOPBACK}:{port}/v1")


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


def _load_held(at: Bench, work: Work, server: Server, entrant: Entrant) -> list[str]:
    return at.load_command(work, server)


def _agents_held(at: Bench, work: Work, server: Server, entrant: Entrant) -> list[str]:
    if not isinstance(entrant.peer, Aluvia):
        raise TurnFailedError("it has no agents like these")
    program = str(HERE / "agents.py")
    return [entrant.peer.python, program, str(at.folder_of(entrant) / HUB_FILE), str(work.count)]


def _held_turn(
    at: Bench, case: Case, work: Work, server: Server, command: list[str]
) -> dict[str, float]:
    """What a peer holds for what is open and silent, and what stays after it."""
    time.sleep(IDLE_SETTLE_SECONDS)
    memory, descriptors = resident_bytes(server.pid), open_descriptors(server.pid)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout and holder.stderr
        line = holder.stdout.readline()  # bounded by its own deadline
        if case.kind == "idle" or not line:
            _answer(server, line, "" if line else holder.stderr.read())
        time.sleep(IDLE_SETTLE_SECONDS)
        held_memory, held = resident_bytes(server.pid), open_descriptors(server.pid)
        holder.communicate(timeout=30)  # the end of its input lets go
    time.sleep(IDLE_SETTLE_SECONDS)
    return {
        f"kb_per_{case.holds}": (held_memory - memory) / work.count / 1000,
        f"descriptors_per_{case.holds}": (held - descriptors) / work.count,
        "descriptors_left": open_descriptors(server.pid) - descriptors,
        f"{case.holds}s": work.count,
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
    ready: list[Entrant]
    measured: Measured
    servers: dict[str, Server] = attrs.Factory(dict)

    def leave_out(self, entrant: Entrant, reason: str) -> None:
        """Go on without a peer; the whole reason is kept, its first line shown."""
        self.measured.left_out[entrant.name] = reason
        self.ready.remove(entrant)
        self.say(f"  {entrant.name}: left out, {reason.partition(chr(10))[0]}")

    def start(self, entrant: Entrant) -> Server:
        """Start and warm up a peer; the end of the case ends it at the latest."""
        server = self.at.start(entrant)
        self.stack.callback(server.stop)
        for left in reversed(range(WARM_UPS)):
            try:
                _load(self.at, entrant.work(self.case.warm_up), server)
                break
            except TurnFailedError:
                # Of a tunnel one end may be up, and the other on its way.
                if not left or not server.alive():
                    raise
                time.sleep(1.0)
        return server

    def start_all(self) -> None:
        """Start whoever is ready, but where each turn wants a fresh process."""
        for entrant in list(self.ready) if self.case.kind == "load" else []:
            try:
                self.servers[entrant.name] = self.start(entrant)
            except (DidNotStartError, TurnFailedError) as error:
                self.leave_out(entrant, str(error))

    def figures(self, entrant: Entrant, work: Work) -> dict[str, float]:
        """The figures of one turn."""
        if self.case.kind == "rules":
            return _rules_turn(entrant.peer, work)
        work = entrant.work(work)
        if self.case.kind == "load":
            return _loaded_turn(self.at, self.case, work, self.servers[entrant.name])
        server = self.start(entrant)
        try:
            held = _agents_held if self.case.kind == "agents" else _load_held
            command = held(self.at, work, server, entrant)
            return _held_turn(self.at, self.case, work, server, command)
        finally:
            server.stop()

    def one_round(self, number: int, work: Work) -> None:
        """Give each peer its turn, beginning with another one than the round before."""
        shift = number % max(len(self.ready), 1)
        for entrant in self.ready[shift:] + self.ready[:shift]:
            try:
                figures = self.figures(entrant, work)
            except (DidNotStartError, TurnFailedError) as error:
                self.leave_out(entrant, str(error))
                continue
            self.measured.turns.append(Turn(entrant.name, number, figures))
            shown = ", ".join(
                f"{figures[column.figure]:.{column.digits}f} {column.title}"
                for column in self.case.columns[:2]
            )
            self.say(f"  round {number + 1}  {entrant.name:<14} {shown}")


def run_case(
    case: Case, peers: Sequence[Peer], rounds: int, folder: Path, *, quick: bool, say: Say
) -> Measured:
    """Measure ``peers`` on ``case``; one that fails is left out from there on, with the reason."""
    parent = Parent(free_port()) if case.through_parent else None
    measured = Measured()
    entrants = [Entrant(peer, variant) for variant in case.variants for peer in peers]
    with bench(folder, case, parent) as at, contextlib.ExitStack() as stack:
        comparison = _Comparison(case, at, stack, say, list(entrants), measured)
        for entrant in entrants:
            reason = entrant.peer.missing()
            if not reason and parent and not entrant.peer.through_parent:
                reason = "cannot forward through this parent"
            if reason:
                comparison.leave_out(entrant, reason)
        comparison.start_all()
        for number in range(rounds):
            comparison.one_round(number, case.quick if quick else case.full)
    return measured
