"""
``twistd -n aluvia-edge --demo``: an edge, and two backends behind it, all on loopback and all real.

.. code-block:: text

   curl ──http──►  edge ──app.localhost──► one, two
        ──https─►       ──api.localhost──► two

It needs nothing outside and leaves nothing behind: the store is in memory, and what else there is
(the routes, a certificate, the API's token) is in a directory of its own, which goes with the
service. The token is good for as long as it runs, on this machine; that is why it may stand in a
line that is printed.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import typing
from pathlib import Path

import attrs

from aluvia.demo.backend import DemoBackend
from aluvia.demo.edge_files import ONE, TWO, EdgeFiles
from aluvia.demo.edge_lines import Way, edge_lines
from aluvia.demo.lines import say
from aluvia.demo.quiet_site import ADDRESS
from aluvia.edge.edge import Edge
from aluvia.edge.listeners import Listener
from aluvia.edge.observing import SetLogLevel
from aluvia.edge.service import EdgeService
from aluvia.edge.settings import IN_MEMORY, Settings
from aluvia.process.door_service import SetSignal

__all__ = ["EdgeDemo"]


class EdgeDemo(EdgeService):
    """
    All of it: the edge's own service, with backends and files that come and go with it.

    :param settings: the edge's. A port that nobody asked for is on loopback, and gives way to any
        free one where it is taken.
    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param out: where the lines go that are to be typed.
    """

    name = "aluvia-edge-demo"

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_log_level: SetLogLevel | None = None,
        set_signal: SetSignal = signal.signal,
        out: typing.TextIO | None = None,
    ) -> None:
        movable = {
            name for name in ("http", "https", "API") if name.lower() not in settings.sources
        }
        super().__init__(
            _with_places(settings),
            reactor,
            environ,
            set_log_level,
            set_signal,
            movable=movable,
        )
        self._out = out
        self._files: EdgeFiles | None = None
        self._backends: dict[str, DemoBackend] = {}

    async def come_up(self) -> dict[str, object]:
        """
        Start the backends, write the files, and start as any edge does.

        :raises OSError: a port, or a file.
        """
        self._files = files = EdgeFiles(Path(tempfile.mkdtemp(prefix="aluvia-edge-demo-")))
        self._backends = {name: DemoBackend(name, self.reactor) for name in (ONE, TWO)}
        ports = {name: backend.listen() for name, backend in self._backends.items()}
        files.write(ports, self.reactor.seconds())
        self.settings = attrs.evolve(
            self.settings, db=IN_MEMORY, routes=files.routes, api_token_file=files.api_token
        )
        return await super().come_up()

    def came_up(self) -> None:
        """Say what to type."""
        assert self.edge is not None  # since it came up
        assert self._files is not None
        ways = [*self._ways(self.edge, self._files)]
        say(edge_lines(ways, self.edge.urls["api"], self._files), self._out)

    def _ways(self, edge: Edge, files: EdgeFiles) -> typing.Iterator[Way]:
        trust = ("--cacert", str(files.certificate))
        for scheme, listener in (("http", self.settings.http), ("https", self.settings.https)):
            if listener is not None:
                address, port = edge.ingress.place(scheme)
                announce = ("--haproxy-protocol",) if listener.proxy_protocol else ()
                options = (*announce, *trust) if scheme == "https" else announce
                yield Way(scheme=scheme, address=address, port=port, options=options)

    async def gone_down(self) -> None:
        """End the rest, and take away what was written."""
        try:
            await super().gone_down()
            for backend in self._backends.values():
                await backend.stop()
        finally:
            if self._files is not None:
                shutil.rmtree(self._files.directory, ignore_errors=True)


def _with_places(settings: Settings) -> Settings:
    """Put what nobody asked for on loopback, and at no port that somebody did ask for."""
    places = {"api": settings.api}
    for name, listener in (("http", settings.http), ("https", settings.https)):
        if listener is not None:
            places[name] = (listener.address, listener.port)
    asked = {port for name, (_, port) in places.items() if name in settings.sources}
    changes: dict[str, typing.Any] = {}
    for name, (_, wanted) in places.items():
        if name not in settings.sources:
            port = 0 if wanted in asked else wanted
            listener = Listener(address=ADDRESS, port=port)
            changes[name] = (ADDRESS, port) if name == "api" else listener
    return attrs.evolve(settings, **changes)
