"""
The Python face of the configuration: routes, backends and certificates, changed by a program.

Each change is what the REST API makes of a request: judged as a whole, kept in the store, and then
in force. What cannot be is a :class:`~aluvia.api.problems.Problem`, and nothing has changed.
"""

from __future__ import annotations

import attrs

from aluvia.edge.configuration import Configuration
from aluvia.edge.fields import NOBODY, Judges, judge_certificate, judge_route
from aluvia.edge.finding import certificate_for, find_backend, find_route, see_that_there_is_room
from aluvia.edge.model import AdminState, Backend, Certificate, Route, Snapshot
from aluvia.edge.snapshots import (
    with_backend,
    with_certificate,
    with_route,
    without_backend,
    without_certificate,
    without_route,
)

__all__ = ["Router"]


class Router:
    """
    The routes of an edge.

    :param configuration: started.
    :param judges: of what no value says.
    """

    def __init__(self, configuration: Configuration, *, judges: Judges = NOBODY) -> None:
        self._configuration = configuration
        self._judges = judges

    @property
    def routes(self) -> tuple[Route, ...]:
        """Those that are in force."""
        return tuple(self._configuration.state.routes.values())

    async def add_route(self, route: Route) -> Route:
        """
        Serve one more vhost, or one more part of one.

        :return: the route as it is in force.
        :raises Problem: 409 if there is such a route; 422 if it cannot be.
        """

        def edit(snapshot: Snapshot) -> Snapshot:
            judged = self._judged(route)
            see_that_there_is_room(snapshot, judged, None)
            return with_route(snapshot, judged)

        return (await self._configuration.change(edit)).routes[route.id]

    async def put_route(self, route: Route) -> Route:
        """
        Have this route in place of the one with its id, if there is one.

        :return: the route as it is in force.
        :raises Problem: 409 if another route is for the same; 422 if it cannot be.
        """

        def edit(snapshot: Snapshot) -> Snapshot:
            before = snapshot.routes.get(route.id)
            judged = self._judged(route, before)
            see_that_there_is_room(snapshot, judged, before)
            return with_route(snapshot, judged)

        return (await self._configuration.change(edit)).routes[route.id]

    async def remove_route(self, name: str) -> None:
        """
        Serve it no more. What is under way comes to its end.

        :param name: its id, or its vhost.
        :raises Problem: 404 if there is none; 409 if its vhost has several.
        """
        await self._configuration.change(
            lambda snapshot: without_route(snapshot, find_route(snapshot, name).id)
        )

    async def add_backend(self, name: str, backend: Backend) -> None:
        """
        Give a route one more backend, or another one in place of that with its id.

        :raises Problem: 404, 409; 422 if it cannot be.
        """

        def edit(snapshot: Snapshot) -> Snapshot:
            route = find_route(snapshot, name)
            changed = with_backend(snapshot, route, backend).routes[route.id]
            return with_route(snapshot, self._judged(changed, route))

        await self._configuration.change(edit)

    async def remove_backend(self, name: str, backend_id: str) -> None:
        """
        Take a backend from a route.

        :raises Problem: 404, 409.
        """
        await self._configuration.change(
            lambda snapshot: _without_backend(snapshot, name, backend_id)
        )

    async def mark_dead(self, name: str, backend_id: str) -> None:
        """
        Take a backend out for maintenance: nothing new goes there, and no probe brings it back.

        :raises Problem: 404, 409.
        """
        await self._become(name, backend_id, AdminState.MAINT)

    async def mark_draining(self, name: str, backend_id: str) -> None:
        """Send nothing new to a backend; what is under way comes to its end."""
        await self._become(name, backend_id, AdminState.DRAIN)

    async def mark_ready(self, name: str, backend_id: str) -> None:
        """Have a backend among the others again."""
        await self._become(name, backend_id, AdminState.READY)

    async def put_certificate(self, certificate: Certificate) -> None:
        """
        Show this certificate for its domain from now on.

        :raises Problem: 422 if it cannot be used.
        """

        def edit(snapshot: Snapshot) -> Snapshot:
            before = certificate_for(snapshot, certificate.domain)
            return with_certificate(
                snapshot, judge_certificate(certificate, before, judges=self._judges)
            )

        await self._configuration.change(edit)

    async def remove_certificate(self, domain: str) -> None:
        """Show it no more. Harmless where there is none."""

        def edit(snapshot: Snapshot) -> Snapshot:
            known = certificate_for(snapshot, domain)
            return snapshot if known is None else without_certificate(snapshot, known.domain)

        await self._configuration.change(edit)

    def _judged(self, route: Route, before: Route | None = None) -> Route:
        return judge_route(route, before, judges=self._judges)

    async def _become(self, name: str, backend_id: str, admin: AdminState) -> None:
        def edit(snapshot: Snapshot) -> Snapshot:
            route, backend = find_backend(snapshot, name, backend_id)
            return with_backend(snapshot, route, attrs.evolve(backend, admin=admin))

        await self._configuration.change(edit)


def _without_backend(snapshot: Snapshot, name: str, backend_id: str) -> Snapshot:
    route, backend = find_backend(snapshot, name, backend_id)
    return without_backend(snapshot, route, backend.id)
