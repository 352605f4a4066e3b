"""
What a name stands for in a snapshot.

A route is named by its id, or by its vhost: as long as there is one route of it. An id goes before
a vhost of the same spelling.
"""

from __future__ import annotations

from aluvia.api.problems import Problem
from aluvia.edge.model import Backend, Certificate, Route, Snapshot
from aluvia.edge.name_fields import v_host_of

__all__ = ["certificate_for", "find_backend", "find_route", "route_named", "see_that_there_is_room"]


def find_route(snapshot: Snapshot, name: str) -> Route:
    """
    The route of this id or vhost.

    :raises Problem: 404, or 409 where there are several of the vhost.
    """
    found = route_named(snapshot, name)
    if found is None:
        raise Problem(404, "not_found", "There is no such route.")
    return found


def route_named(snapshot: Snapshot, name: str) -> Route | None:
    """
    The same; None if there is none.

    :raises Problem: 409.
    """
    by_id = snapshot.routes.get(name)
    if by_id is not None:
        return by_id
    v_host = v_host_of({"vHost": name})
    if v_host is None:
        return None
    found = [route for route in snapshot.routes.values() if route.v_host == v_host]
    if len(found) > 1:
        ids = [route.id for route in found]
        detail = "There are several routes of this vhost: name one by its id."
        raise Problem(409, "several_routes", detail, more={"ids": ids})
    return found[0] if found else None


def find_backend(snapshot: Snapshot, name: str, backend_id: str) -> tuple[Route, Backend]:
    """
    A route, and the backend of this id in it.

    :raises Problem: 404, 409.
    """
    route = find_route(snapshot, name)
    for backend in route.backends:
        if backend.id == backend_id:
            return route, backend
    raise Problem(404, "not_found", "There is no such backend.")


def certificate_for(snapshot: Snapshot, domain: str) -> Certificate | None:
    """The certificate for this domain, in any spelling; None if there is none."""
    return snapshot.certificates.get(v_host_of({"vHost": domain}) or domain)


def see_that_there_is_room(snapshot: Snapshot, route: Route, before: Route | None) -> None:
    """
    See that a route is in nobody's way.

    :param before: in whose place it comes.
    :raises Problem: 409.
    """
    if before is None and route.id in snapshot.routes:
        raise Problem(409, "exists", "There is a route of this id already.")
    for other in snapshot.routes.values():
        same = (other.v_host, other.path_prefix) == (route.v_host, route.path_prefix)
        if same and other.id != route.id:
            detail = "There is a route of this vhost already, with the same pathPrefix."
            raise Problem(409, "exists", detail, more={"ids": [other.id]})
