"""
The pages of the admin port: is it alive, is it ready, what does it count, why does a host go where
it goes, what is under way, and what has it cost. They read, and change nothing.

============================  ======================================================================
``/``                         the others in one, for a browser
``/healthz``                  200 while the process answers
``/readyz``                   200 with a configuration and not draining, otherwise 503
``/metrics``                  Prometheus text, or OpenMetrics for whoever asks for it
``/explain?host=``            which way a host goes, by which rule, and which rules lost
``/connections``              tunnels and requests that are under way
``/ledger?limit=``            requests and bytes by host, way and rule
``/proxy.pac``                the rules as a PAC file
============================  ======================================================================

Most are plain text, or JSON by ``Accept``; ``/metrics`` and ``/proxy.pac`` have formats of their
own, and ``/`` is HTML too. Who may ask is :mod:`aluvia.client.admin_site`'s.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from aluvia.api.site import BoundedSite
from aluvia.client.admin_forms import Page
from aluvia.client.admin_ledger import LedgerPage
from aluvia.client.admin_pages import ConnectionsPage, Explain, Health, Metrics, Pac, Readiness
from aluvia.client.admin_site import local_site
from aluvia.client.observed import Observed
from aluvia.client.overview import Overview
from aluvia.client.page_style import ICON, STYLE, Asset

#: The admin port is for this machine alone.
ADMIN_ADDRESS = "127.0.0.1"


def admin_site(observed: Observed, clock: IReactorTime) -> BoundedSite:
    """
    The factory for the admin port's listener.

    :param observed: the client that is shown.
    :param clock: what its times are measured by: the reactor.
    """
    pages: dict[str, Page] = {
        "": Overview(observed, clock),
        "style.css": Asset(STYLE, "text/css; charset=utf-8"),
        "icon.svg": Asset(ICON, "image/svg+xml"),
        "healthz": Health(observed, clock),
        "readyz": Readiness(observed, clock),
        "metrics": Metrics(observed, clock),
        "explain": Explain(observed, clock),
        "connections": ConnectionsPage(observed, clock),
        "ledger": LedgerPage(observed, clock),
        "proxy.pac": Pac(observed, clock),
    }
    return local_site(pages, clock)
