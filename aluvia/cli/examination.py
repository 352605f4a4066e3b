"""
What ``aluvia doctor`` looks at outside of this machine: the control plane, and the gateway.

One check after another, each of which makes sense only if those before it were good:

====================  ==========================================  ==================================
check                 how                                         bad
====================  ==========================================  ==================================
``certificates``      shown where the file of ``--gateway-ca``    78
                      was good for the settings and is not now
``control plane``     a connection, with TLS where the URL says   69: nobody is there, or it is not
                      so                                          trusted
``token``             ``GET`` of the user, with the token         77: 401 or 403
``configuration``     what that said, read as a start reads it    69: it is none
``gateway``           a ``CONNECT`` with the credentials that     69: nobody is there, or no proxy;
                      are in it                                   77: 407
====================  ==========================================  ==================================

The ``CONNECT`` asks for :data:`NOWHERE`. The name is in ``.invalid``, which no name server knows
(RFC 2606 section 2), so that nobody is connected to and nothing is paid for; and a proxy looks at
credentials before it looks at names. With 407 it says that it did not take them. With 401 or 403 it
may say so as well, or that nobody is to have that name: that is for people to find out. 400, 404,
405 and 501 are what a web server says of a CONNECT; and whatever else comes says that it took them.
"""

from __future__ import annotations

import typing
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from aluvia.cli.doctor import BAD, OK, SKIPPED, WARNING, Check
from aluvia.client.api_errors import api_error
from aluvia.client.config import BadConfigurationError, User, read_user
from aluvia.client.settings import Settings
from aluvia.client.user_api import Answer, UserAPI
from aluvia.errors import ApiError
from aluvia.net.dial import Dialer
from aluvia.net.door import Door
from aluvia.net.endpoint import DialerEndpoint
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.net.parent import ParentProxy, ParentProxyDialer
from aluvia.process.statuses import NO_PERMISSION, UNAVAILABLE
from aluvia.rules import lint
from aluvia.telemetry.redaction import Redactor

#: What the gateway is asked for.
NOWHERE = ("example.invalid", 443)

#: Lint warnings that are shown.
WARNINGS = 5

_ADVICE = {
    "dns_error": "Look at the spelling of the host, and at this machine's name servers.",
    "dns_timeout": "This machine's name servers do not answer.",
    "connection_refused": "Look at host and port, and whether it runs.",
    "connection_timeout": "Look at host and port, and at firewalls on the way.",
    "connection_terminated": "Look at host and port, and whether it wants https.",
    "destination_ip_unroutable": "Look at this machine's network.",
    "destination_ip_prohibited": "Look at the address, and at this machine's firewall.",
    "tls_certificate_error": (
        "Look at the host's name and this machine's clock; --gateway-ca FILE trusts another "
        "authority."
    ),
    "tls_protocol_error": "Look at the port: there may be no https.",
    "http_protocol_error": "Look at the port: it may want https, or be no proxy.",
}
_LOOK = "Look at host and port."


class Examination:
    """
    Checks one client's settings against the world.

    :param learn: called with each user name and password that the control plane sends.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        learn: typing.Callable[[str, str], None] = lambda name, password: None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._learn = learn
        # It has no port: what is behind one is enough.
        self._door = Door(reactor, max_connections=1, connect_timeout=settings.connect_timeout)
        self._sweep, self._resolver = self._door.sweep, self._door.resolver
        # Loopback and private addresses may well be meant.
        guard = Guard(list, allow_link_local=True)
        self._dialers = self._door.dialers(guard, authorities=settings.gateway_ca)
        self._parent = self._door.parent_proxies(self._dialers)

    async def checks(self) -> list[Check]:
        """All of them, in their order; nothing is left open."""
        try:
            if self._settings.token is None:
                return [await self._gateway(self._settings.gateway)]
            return await self._followed(self._settings.token)
        finally:
            await self._door.stop()

    async def _followed(self, token: str) -> list[Check]:
        reached = await self._control_plane()
        if reached.result == BAD:
            return [reached, *_skipped("token", "configuration", "gateway")]
        settings = self._settings
        api = UserAPI(
            self._reactor, self._dialers, settings.api_base_url, token, settings.connection
        )
        try:
            answer = await api.get()
        except ApiError as error:
            bad = Check("control plane", BAD, str(error), "Look at --api-base-url.", UNAVAILABLE)
            return [bad, *_skipped("token", "configuration", "gateway")]
        finally:
            await api.close()
        if answer.status in (401, 403):
            refused = Check(
                "token",
                BAD,
                f"The API refuses it ({answer.status}).",
                "Get a new one from whoever runs the control plane, or look at --api-base-url.",
                NO_PERMISSION,
            )
            return [reached, refused, *_skipped("configuration", "gateway")]
        if answer.status != 200:
            return [reached, *_skipped("token"), _no_answer(answer), *_skipped("gateway")]
        good = Check("token", OK, "The API takes it.")
        try:
            user = read_user(answer.body)
            gateway = settings.place.with_credentials(user.proxy_username, user.proxy_password)
        except (BadConfigurationError, ValueError) as error:
            bad = Check(
                "configuration",
                BAD,
                f"The API answers 200 without a good configuration. {error}",
                "Look at --api-base-url; else whoever runs the control plane must mend it.",
                UNAVAILABLE,
            )
            return [reached, good, bad, *_skipped("gateway")]
        self._learn(user.proxy_username, user.proxy_password)
        return [reached, good, _configuration(user), await self._gateway(gateway)]

    async def _control_plane(self) -> Check:
        url = urlsplit(self._settings.api_base_url)
        tls = url.scheme == "https"
        host, port = url.hostname or "", url.port or (443 if tls else 80)
        error = await _dialled(self._dialers["tls" if tls else "tcp"], host, port)
        place = f"{url.scheme}://{url.netloc}"
        if error is None:
            how = "with a good certificate" if tls else "without TLS"
            return Check("control plane", OK, f"{place} is there, {how}.")
        return Check(
            "control plane",
            BAD,
            f"{place} cannot be reached: {error.detail}",
            _ADVICE.get(error.error, _LOOK),
            UNAVAILABLE,
        )

    async def _gateway(self, gateway: ParentProxy | None) -> Check:
        assert gateway is not None  # without a token there is one
        error = await _dialled(_Through(self._parent, gateway), *NOWHERE)
        status = None if error is None else error.received_status
        if error is not None and status is None:
            return Check(
                "gateway",
                BAD,
                f"{gateway} cannot be used: {error.detail}",
                _ADVICE.get(error.error, _LOOK),
                UNAVAILABLE,
            )
        if status == 407:
            return Check(
                "gateway",
                BAD,
                f"{gateway} refuses the credentials (407).",
                "Look at user name and password in --gateway-url; of them %, @, : and / are "
                "percent-encoded."
                if self._settings.token is None
                else "Those of the control plane are for another gateway: look at --gateway-host.",
                NO_PERMISSION,
            )
        if status in (401, 403):
            return Check(
                "gateway",
                WARNING,
                f"{gateway} answers {status}: it may refuse this account, or only the name that "
                "was asked for.",
                f"Try a site through it: {NOWHERE[0]}, which was asked for here, is nowhere.",
            )
        if status in (400, 404, 405, 501):
            return Check(
                "gateway",
                WARNING,
                f"{gateway} answers {status} to a CONNECT.",
                "It may be no proxy: look at --gateway-host and --gateway-port.",
            )
        return Check("gateway", OK, f"{gateway} is there, and takes the credentials.")


@attrs.frozen
class _Through:
    """A dialer: through one parent proxy."""

    parent: ParentProxyDialer
    gateway: ParentProxy

    def dial(self, host: str, port: int, protocol: typing.Any, failed: typing.Any) -> typing.Any:
        """Dial."""
        return self.parent.dial(self.gateway, host, port, protocol, failed)


async def _dialled(dialer: Dialer, host: str, port: int) -> DialError | None:
    """Connect, and go; why it did not come about, if so."""
    factory = Factory.forProtocol(_Visitor)
    factory.noisy = False
    try:
        visitor = await DialerEndpoint(dialer, host, port).connect(factory)
    except DialError as error:
        return error
    await typing.cast(_Visitor, visitor).gone
    return None


class _Visitor(Protocol):
    """Leaves as soon as it is there."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Leave."""
        transport: typing.Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: object = None) -> None:
        """It is closed."""
        self.gone.callback(None)


def _configuration(user: User) -> Check:
    warnings = [each for each in lint(user.rules) if each.severity == "warning"]
    text = f"It is good, with {len(user.rules)} rules."
    if not warnings:
        return Check("configuration", OK, text)
    shown = [f"{each.rule!r}: {each.sentence}" for each in warnings[:WARNINGS]]
    if len(warnings) > WARNINGS:
        shown.append(f"And {len(warnings) - WARNINGS} more.")
    text = f"It is good, with {len(user.rules)} rules, but some do not do what they seem to say."
    return Check("configuration", WARNING, text, "\n".join(shown))


def _no_answer(answer: Answer) -> Check:
    advice = "Wait, or ask whoever runs the control plane."
    if answer.status < 500 and answer.status != 429:
        advice = "Look at --api-base-url, and at --connection if that is given."
    # Nobody has credentials yet, and the token is out of it.
    error = api_error(answer, Redactor())
    return Check("configuration", BAD, str(error), advice, UNAVAILABLE)


def _skipped(*names: str) -> list[Check]:
    return [Check(name, SKIPPED, "Not looked at.") for name in names]
