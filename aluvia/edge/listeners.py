"""
Where the edge listens: an address and a port, or one of Twisted's endpoint strings.

.. code-block:: text

    0.0.0.0:8080  [::]:8080  localhost:8080       an address and a port
    tcp:8080:interface=127.0.0.1                  the same as Twisted spells it; tcp6: too
    systemd:domain=INET:index=0  ...:name=http    a socket that systemd has bound (LISTEN_FDS)
    0.0.0.0:8080,proxy_protocol                   each connection begins with a header of the
    haproxy:tcp:8080                              PROXY protocol; both spellings mean this

Twisted's endpoints would make its own ports. Ours accept with fewer system calls, and can be
counted, held and drained; so of an endpoint only the socket is taken (:meth:`Door.adopt
<aluvia.net.door.Door.adopt>`). What has none that we could take is refused when it is read: UNIX
sockets, and endpoints of TLS, whose certificates would be none of ours.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import typing

import attrs
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory

from aluvia.net.door import Door
from aluvia.net.ports import BACKLOG
from aluvia.net.proxy_protocol import ProxyProtocol
from aluvia.process.takes import Address, Place
from aluvia.wire.target import Authority

__all__ = ["Listener", "open_listener", "read_listener"]

#: What can stand behind the comma.
PROXY_PROTOCOL = "proxy_protocol"

#: Endpoints of Twisted's that cannot be ours, and why.
_REFUSED = {
    "unix": "cannot be a UNIX socket",
    "ssl": "cannot be an endpoint of TLS: --https is inside TLS by itself",
    "tls": "cannot be an endpoint of TLS: --https is inside TLS by itself",
}

#: Makes an endpoint of a string, as :func:`twisted.internet.endpoints.serverFromString`.
MakeEndpoint = typing.Callable[[typing.Any, str], typing.Any]


@attrs.frozen(kw_only=True)
class Listener:
    """
    One place to listen at.

    :ivar address: of this machine, as a literal; empty for a socket of systemd's.
    :ivar port: 0 for any free one.
    :ivar backlog: how many clients the kernel lets wait to be accepted.
    :ivar systemd: a socket of systemd's, as Twisted spells it; empty for an address.
    :ivar proxy_protocol: whether connections begin with a header of the PROXY protocol.
    """

    address: str = ""
    port: int = 0
    backlog: int = BACKLOG
    systemd: str = ""
    proxy_protocol: bool = False

    @property
    def fixed(self) -> tuple[str, int] | str | None:
        """What no other listener can be at; None for any free port."""
        return self.systemd or ((self.address, self.port) if self.port else None)

    @property
    def exposed(self) -> bool:
        """Whether other machines reach it, as far as can be said here."""
        return bool(self.systemd) or not ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        """Spell it so that it can be read again."""
        if self.systemd:
            where = self.systemd
        elif self.backlog == BACKLOG:
            where = str(Authority(self.address, self.port))
        else:
            kind = "tcp6" if ":" in self.address else "tcp"
            address = self.address.replace(":", "\\:")
            where = f"{kind}:{self.port}:interface={address}:backlog={self.backlog}"
        return f"{where},{PROXY_PROTOCOL}" if self.proxy_protocol else where


def read_listener(text: str) -> Listener:
    """
    Read one.

    :raises ValueError: with what is to be said behind the name of the option and a colon.
    """
    where, comma, option = text.strip().partition(",")
    if comma and option.strip() != PROXY_PROTOCOL:
        raise ValueError(f"can have {PROXY_PROTOCOL} behind its comma, and nothing else")
    kind, _, rest = where.strip().partition(":")
    match kind.lower():
        case "haproxy":
            return attrs.evolve(read_listener(rest), proxy_protocol=True)
        case "tcp":
            listener = _tcp(rest, socket.AF_INET)
        case "tcp6":
            listener = _tcp(rest, socket.AF_INET6)
        case "systemd":
            listener = _systemd(rest)
        case refused if refused in _REFUSED:
            raise ValueError(_REFUSED[refused])
        case _:
            address, port = typing.cast(tuple[str, int], Place().from_text(where))
            listener = Listener(address=address, port=port)
    return attrs.evolve(listener, proxy_protocol=bool(comma))


def open_listener(
    door: Door,
    name: str,
    listener: Listener,
    factory: IProtocolFactory,
    *,
    endpoint: MakeEndpoint = serverFromString,
) -> None:
    """
    Open it as a port of this door.

    :param name: of the port; and of the option that it comes from, for errors.
    :param factory: of what speaks behind a header of the PROXY protocol, if there is one.
    :raises CannotListenError: the place cannot be bound.
    :raises ValueError: systemd has given us no such socket.
    """
    if listener.proxy_protocol:
        factory = ProxyProtocol(factory, door.sweep, door.limits)
    if not listener.systemd:
        door.listen(name, listener.address, listener.port, factory, backlog=listener.backlog)
        return
    try:
        with _inherited(door.reactor, listener.systemd, endpoint) as skt:
            door.adopt(name, skt, factory)
    except ValueError as error:
        raise ValueError(f"--{name}: {listener.systemd}: {error}") from None


def _inherited(reactor: typing.Any, systemd: str, endpoint: MakeEndpoint) -> socket.socket:
    """
    The socket, which is ours now.

    Twisted has read the environment by the time anybody can ask, and has taken away what it read;
    so it is Twisted who is asked.

    :raises ValueError: there is none.
    """
    try:
        return socket.socket(fileno=endpoint(reactor, systemd).fileno)
    except (LookupError, OSError):
        raise ValueError("systemd has given us no such socket") from None


def _tcp(rest: str, family: socket.AddressFamily) -> Listener:
    given = _parameters(rest, ("port", "interface", "backlog"))
    default = "0.0.0.0" if family is socket.AF_INET else "::"
    address = str(Address().from_text(given.get("interface") or default))
    if (":" in address) is not (family is socket.AF_INET6):
        raise ValueError("has an interface of the other family: tcp is IPv4, tcp6 is IPv6")
    return Listener(
        address=address,
        port=_number(given.get("port", ""), "port", 0),
        backlog=_number(given.get("backlog", str(BACKLOG)), "backlog", 1),
    )


def _systemd(rest: str) -> Listener:
    given = _parameters(rest, ("domain", "index", "name"))
    domain, index, name = (given.get(each, "") for each in ("domain", "index", "name"))
    if domain == "UNIX":
        raise ValueError(_REFUSED["unix"])
    if domain not in ("INET", "INET6"):
        raise ValueError("must say domain=INET or domain=INET6")
    if bool(index) is bool(name):
        raise ValueError("must say which socket it is: index=0, or name=NAME")
    if not re.fullmatch(r"[!-~]*", name) or set(name) & set(":\\="):
        raise ValueError("has a name that systemd cannot have given")
    which = f"index={_number(index, 'index', 0)}" if index else f"name={name}"
    return Listener(systemd=f"systemd:domain={domain}:{which}")


def _parameters(rest: str, names: tuple[str, ...]) -> dict[str, str]:
    """What stands between colons, by name or by place; a backslash escapes."""
    given: dict[str, str] = {}
    places = iter(names)
    for part in re.split(r"(?<!\\):", rest):
        name, equals, value = part.partition("=")
        if not equals:
            name, value = next(places, ""), part
        if name not in names or name in given:
            raise ValueError(f"takes {', '.join(names)}, each once, and nothing else")
        given[name] = re.sub(r"\\(.)", r"\1", value)
    return given


def _number(digits: str, name: str, least: int) -> int:
    if re.fullmatch("[0-9]{1,5}", digits) is None or not least <= int(digits) <= 65535:
        raise ValueError(f"must have a {name} from {least} to 65535")
    return int(digits)
