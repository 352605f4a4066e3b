"""
Which addresses and ports may be reached: asked about the address that is dialled, just before.

A name says nothing about where it leads, so nothing is judged before it is resolved, and what
was judged is what is dialled (no second look-up in between: that is DNS rebinding). An address
can also carry another one: IPv4 inside IPv6 as mapped, compatible, NAT64 or 6to4. Every address
is judged by itself and by what it carries.

Refused are:

* link-local addresses, where clouds keep their credentials (169.254.169.254), unless allowed;
* our own listeners, which would be a loop: an exact address, or, for a listener on every
  address, any address of this machine. ``0.0.0.0`` and ``::`` are taken for the loopback
  addresses that the system connects them to;
* multicast and broadcast, to which no TCP connection leads. The system would say so too, but
  later and less clearly.

Loopback and private space are open: whoever uses a local proxy reaches them without it too. A
door for which that is not so (``allow_private=False``) refuses every address that is not public:
what is not globally unicast by IANA's registries, and this machine's own. A door may also close
ports, to all addresses.
"""

from __future__ import annotations

import errno
import functools
import ipaddress
import socket
import typing

import attrs

from aluvia.net.errors import DialError, dial_error

__all__ = ["Guard", "Listeners", "is_own_address"]

#: Gives the addresses, as literals, and ports that we listen on now. Asked at every dial.
Listeners = typing.Callable[[], typing.Collection[tuple[str, int]]]

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LINK_LOCAL = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
# IANA's special-purpose registries, as far as an address there is no machine on the internet. (What
# ``ipaddress`` calls private depends on the version of Python.)
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: All that is assigned as global unicast; what lies outside is refused, whatever it will be for.
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
# Protocol assignments (Teredo among them) and documentation.
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20")
)
#: RFC 6052 §2.1.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: RFC 8215: each network's own. Where in it an IPv4 address stands is that network's choice (RFC
#: 6052 §2.2), so what looks like one may be no part of it. The usual place is looked at for what is
#: refused everywhere; nothing in it is public.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
#: RFC 4291 §2.5.5.1; ``::`` and ``::1`` are in it and carry nothing.
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LOOPBACK_OF_UNSPECIFIED: dict[_IPAddress, _IPAddress] = {
    ipaddress.IPv4Address(0): ipaddress.IPv4Address("127.0.0.1"),
    ipaddress.IPv6Address(0): ipaddress.IPv6Address(1),
}
#: How many judged addresses are remembered. Judging takes some 20 µs, remembering a tenth of one.
_REMEMBERED = 4096


def _carried(address: _IPAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address inside an IPv6 address, if there is one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    carried = address.ipv4_mapped or address.sixtofour
    if carried is not None:
        return carried
    number = int(address)
    if address in _NAT64 or address in _LOCAL_NAT64 or (address in _COMPATIBLE and number > 1):
        return ipaddress.IPv4Address(number & 0xFFFF_FFFF)
    return None


def _is_public(address: _IPAddress, carried: ipaddress.IPv4Address | None) -> bool:
    """Say whether an address is a machine's on the internet; one that carries another is that."""
    if address in _LOCAL_NAT64:
        return False
    judged = address if carried is None else carried
    if isinstance(judged, ipaddress.IPv4Address):
        return not any(judged in network for network in _NOT_PUBLIC_4)
    return judged in _PUBLIC_6 and not any(judged in network for network in _NOT_PUBLIC_6)


@attrs.frozen
class _Reach:
    """
    Where a connection to an address can end up.

    :ivar addresses: the address, and the one it carries; loopback in place of unspecified ones.
    """

    addresses: tuple[_IPAddress, ...]
    link_local: bool
    unroutable: bool
    public: bool


@functools.lru_cache(maxsize=_REMEMBERED)
def _reach(address: str) -> _Reach:
    itself = ipaddress.ip_address(address)
    carried = _carried(itself)
    meant = (itself,) if carried is None else (itself, carried)
    addresses = tuple(_LOOPBACK_OF_UNSPECIFIED.get(each, each) for each in meant)
    return _Reach(
        addresses,
        link_local=any(each in network for each in addresses for network in _LINK_LOCAL),
        unroutable=any(each.is_multicast or each == _BROADCAST for each in addresses),
        public=_is_public(itself, carried),
    )


def is_own_address(address: str) -> bool:
    """
    Say whether an address is one of this machine's: whether a socket can be bound to it.

    :raises OSError: if that could not be found out, for want of a descriptor.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        # EINVAL: an IPv6 link-local address without its zone.
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL):
            return False
        raise
    return True


class Guard:
    """
    Refuses what must not be dialled.

    :param own_listeners: what we listen on, as ``(address, port)`` pairs.
    :param allow_link_local: open link-local addresses.
    :param allow_private: open what is not public, link-local addresses aside.
    :param closed_ports: refused at every address.
    :param own_address: says whether an address is this machine's. Asked about a port that a
        listener on every address has; and about each public address, where private ones are
        closed.
    """

    def __init__(
        self,
        own_listeners: Listeners,
        *,
        allow_link_local: bool = False,
        allow_private: bool = True,
        closed_ports: typing.Collection[int] = (),
        own_address: typing.Callable[[str], bool] = is_own_address,
    ) -> None:
        self._own_listeners = own_listeners
        self._allow_link_local = allow_link_local
        self._allow_private = allow_private
        self._closed_ports = frozenset(closed_ports)
        self._own_address = own_address

    def check(self, address: str, port: int) -> None:
        """
        Return if the address may be dialled.

        :param address: a literal, IPv6 without brackets.
        :raises DialError: ``destination_ip_prohibited``, ``destination_ip_unroutable`` or
            ``proxy_loop_detected``.
        """
        if port in self._closed_ports:
            raise DialError(
                "destination_ip_prohibited", 403, f"Port {port} is not reached from here."
            )
        reach = _reach(address)
        if not (reach.public or self._allow_private):
            raise DialError(
                "destination_ip_prohibited", 403, "Only public addresses are reached from here."
            )
        if reach.link_local and not self._allow_link_local:
            raise DialError(
                "destination_ip_prohibited", 403, "Link-local addresses are not reached from here."
            )
        if reach.unroutable:
            raise DialError(
                "destination_ip_unroutable", 502, "A group of machines cannot be connected to."
            )
        for own_address, own_port in self._own_listeners():
            if own_port == port and self._is_listener(own_address, reach.addresses):
                raise DialError(
                    "proxy_loop_detected", 502, "The address is one that this proxy listens on."
                )
        if not self._allow_private and self._is_mine(reach.addresses):
            raise DialError("destination_ip_prohibited", 403, "The address is this machine's own.")

    def _is_mine(self, addresses: tuple[_IPAddress, ...]) -> bool:
        try:
            return any(self._own_address(str(each)) for each in addresses)
        except OSError as error:
            raise dial_error(error) from error

    def _is_listener(self, own_address: str, addresses: tuple[_IPAddress, ...]) -> bool:
        listener = ipaddress.ip_address(own_address)
        if not listener.is_unspecified:
            return listener in addresses
        try:
            return any(each.is_loopback or self._own_address(str(each)) for each in addresses)
        except OSError as error:
            raise dial_error(error) from error
