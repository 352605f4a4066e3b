"""
TLS as a server: the one context that every listening port of ours begins with.

Sessions are resumed by tickets alone; nothing is cached here, so that clients cost no memory when
they are gone. Each context seals its tickets with keys of its own, and cannot open those of
another: where every certificate has its own context, chosen before OpenSSL is given the first byte,
a session that began under one certificate never goes on under another. (It would, in TLS 1.3, if a
context were put in place of another by OpenSSL's callback for server names: the ticket has been
opened by then.)
"""

from __future__ import annotations

from OpenSSL import SSL

__all__ = ["ALPN", "NO_PROTOCOL_IN_COMMON", "server_context"]

#: What we speak inside TLS (RFC 7301), the best of it first. To a client of HTTP/1.0 (``curl
#: --http1.0``) its name is answered; nothing else differs.
ALPN = (b"http/1.1", b"http/1.0")

#: OpenSSL's reason, as it were, where a client offers other protocols alone.
NO_PROTOCOL_IN_COMMON = "no protocol in common"


def server_context() -> SSL.Context:
    """
    Make a context for connections on which we are the server: TLS 1.2 or later, ALPN http/1.1
    or http/1.0.

    It has no certificate yet; a handshake with one that has none fails.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    # An idle connection gives its buffers back.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(_choose)
    return context


def _choose(connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """
    Answer a client that offers protocols. One that offers others alone is refused with the alert
    ``no_application_protocol`` (RFC 7301 section 3.2), since it would not understand us.
    """
    for protocol in ALPN:
        if protocol in offered:
            return protocol
    # Whatever is raised here refuses; this kind is what Twisted takes for a failed handshake.
    raise SSL.Error([("", "", NO_PROTOCOL_IN_COMMON)])
