"""The lists of lies hold lies: another strict reader refuses them too, with named exceptions."""

from __future__ import annotations

import h11
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.lies import LIES, REQUEST_LIES

#: What h11 takes, and why we do not: it prefers the chunked reading over a length beside it, reads
#: bare LF and obsolete folding as RFC 9112 lets it, does not look at the version, counts no fields
#: and bounds a head only while it is incomplete.
H11_TAKES = {
    "version_2_in_text",
    "length_and_chunked",
    "chunked_in_1_0",
    "bare_lf",
    "folded",
    "mebibyte_head",
    "mebibyte_line",
    "ten_thousand_fields",
}
#: The same for requests; and it has no opinion about what an authority is.
H11_TAKES_REQUESTS = {
    "length_and_chunked",
    "chunked_in_1_0",
    "host_with_user",
    "host_with_space",
    "folded",
    "bare_lf",
}


def _refuses(codec: h11.Connection, data: bytes) -> bool:
    """Whether h11 finds fault with *data*, or with its end after it."""
    try:
        codec.receive_data(data)
        while True:
            event = codec.next_event()
            if event is h11.NEED_DATA:
                codec.receive_data(b"")
                event = codec.next_event()
            if event is h11.PAUSED or isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return False
    except h11.RemoteProtocolError:
        return True


class LiesTests(SynchronousTestCase):
    """By h11, which knows nothing of us."""

    def test_answers(self) -> None:
        """Each answer is refused by h11 or is one of those that it is too kind to."""
        taken = set()
        for name, lie in LIES.items():
            codec = h11.Connection(h11.CLIENT)
            codec.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            codec.send(h11.EndOfMessage())
            if not _refuses(codec, lie):
                taken.add(name)
        self.assertEqual(taken, H11_TAKES)

    def test_requests(self) -> None:
        """Each request likewise."""
        taken = {
            name
            for name, lie in REQUEST_LIES.items()
            if not _refuses(h11.Connection(h11.SERVER), lie.replace(b"%s", b"a:1"))
        }
        self.assertEqual(taken, H11_TAKES_REQUESTS)
