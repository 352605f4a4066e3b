"""Tests for :mod:`aluvia.edge.visitor_tokens`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.visitor_tokens import LastShown, Shown, VisitorTokens
from aluvia.wire.head import RequestHead, parse_request_head
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS


def head(*lines: bytes) -> RequestHead:
    """Of a request with these fields."""
    text = b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines, b"", b""])
    return parse_request_head(text, DEFAULT_LIMITS)


class TakenOffTests(SynchronousTestCase):
    """What is taken off."""

    def test_targets(self) -> None:
        """The parameter, however its name is spelled; everything else as it came."""
        for came, goes in {
            b"/": b"/",
            b"/?": b"/?",
            b"/?a=1&&b": b"/?a=1&&b",
            b"/?access_token=x": b"/",
            b"/?access_token=x&a=%20": b"/?a=%20",
            b"/?a=1&access_token=x&b=2": b"/?a=1&b=2",
            b"/?a=1&access%5ftoken=x": b"/?a=1",
            b"/?access_token": b"/",
            b"/?access_token=a&access_token=b": b"/",
            b"/?Access_Token=x": b"/?Access_Token=x",
            b"/?my_access_token=x": b"/?my_access_token=x",
            b"/?q=a?access_token=x": b"/?q=a?access_token=x",
            b"/access_token=x": b"/access_token=x",
        }.items():
            self.assertEqual(LastShown().of(head(), came).target, goes, came)

    def test_nothing(self) -> None:
        """Where there is nothing to take off the head is the same one."""
        same = head(b"Cookie: a=1", b"Referer: http://a/?b=1", b"Accept: */*")
        self.assertIs(LastShown().of(same, b"/?a").head, same)

    def test_fields(self) -> None:
        """Look-alikes of the field go, too, but count for nothing."""
        came = head(
            b"X-Proxer-Tunnel-Token: one",
            b"X_Proxer-Tunnel_Token: two",
            b"x-proxer-tunnel-token: three",
            b"X-Proxer-Request-ID: fake",
            b"Cookie: aluvia_tunnel_a=1; b=2;aluvia_tunnel_c = 3; aluvia_tunnel_d",
            b"Cookie: aluvia_tunnel_a=4",
            b"Referer: http://a/?access_token=x",
            b"Accept: */*",
        )
        shown = LastShown().of(came, b"/")
        fields: list[Field] = [
            (b"Host", b"a"),
            (b"Cookie", b"b=2; aluvia_tunnel_d"),
            (b"Referer", b"http://a/"),
            (b"Accept", b"*/*"),
        ]
        self.assertEqual(shown.head.fields, fields)
        self.assertEqual(shown.tokens, (b"one", b"three"))
        names = [b"aluvia_tunnel_a", b"aluvia_tunnel_c", b"aluvia_tunnel_a"]
        self.assertEqual([name for name, _ in shown.cookies], names)
        self.assertNotIn("three", repr(shown).replace(repr(shown.head), ""))

    def test_the_same_fields_again(self) -> None:
        """What one request shows is not another's, on the same connection."""
        last = LastShown()
        came = head(b"X-Proxer-Tunnel-Token: one", b"Accept: */*")
        first = last.of(came, b"/?access_token=x")
        again = last.of(came.again(b"/b"), b"/b")
        self.assertEqual((first.tokens, again.tokens), ((b"one",), (b"one",)))
        self.assertEqual((first.asked, again.asked), ((b"x",), ()))
        self.assertEqual(again.head.fields, [(b"Host", b"a"), (b"Accept", b"*/*")])
        self.assertEqual(last.of(head(b"Accept: */*"), b"/").tokens, ())


class VisitorTokensTests(SynchronousTestCase):
    """Who may visit."""

    def admitted(self, shown: Shown, id: str = "app", token: str = "geheim-ä") -> bool:
        """Whether they are."""
        return VisitorTokens(b"key").admit(id, token, shown)

    def test_any(self) -> None:
        """One that is good is enough; UTF-8 is what a token is compared as."""
        good = "geheim-ä".encode()
        for tokens, asked, admitted in (
            ((), (), False),
            ((good,), (), True),
            ((), (good,), True),
            ((b"", good), (b"x",), True),
            ((b"geheim-",), (good + b"x",), False),
        ):
            shown = Shown(head(), b"/", tokens, asked)
            self.assertEqual(self.admitted(shown), admitted, (tokens, asked))

    def test_cookies(self) -> None:
        """One is good for its tunnel and its token, and in its process."""
        tokens = VisitorTokens(b"key")
        came = Shown(head(), b"/", asked=("geheim-ä".encode(),))
        said = tokens.cookie_for("app", "geheim-ä", came, b"/t/app", secure=True)
        assert said is not None
        pair, _, attributes = said.partition(b"; ")
        self.assertEqual(attributes, b"Path=/t/app; HttpOnly; SameSite=Lax; Secure")
        name, _, value = pair.partition(b"=")
        shown = Shown(head(), b"/", cookies=((name, b"tossed"), (name, value)))
        self.assertTrue(self.admitted(shown))
        self.assertFalse(self.admitted(shown, id="other"))
        self.assertFalse(self.admitted(shown, token="other"))
        self.assertFalse(VisitorTokens().admit("app", "geheim-ä", shown))
        other = Shown(head(), b"/", cookies=((b"aluvia_tunnel_other", value),))
        self.assertFalse(self.admitted(other))

    def test_who_needs_one(self) -> None:
        """Only who came by a link, and has none yet."""
        tokens = VisitorTokens(b"key")
        field = Shown(head(), b"/", tokens=(b"a",))
        self.assertIsNone(tokens.cookie_for("app", "a", field, b"", secure=False))
        link = Shown(head(), b"/", asked=(b"a",))
        said = tokens.cookie_for("app", "a", link, b"", secure=False)
        assert said is not None
        name, _, value = said.partition(b";")[0].partition(b"=")
        again = Shown(head(), b"/", asked=(b"a",), cookies=((name, value),))
        self.assertIsNone(tokens.cookie_for("app", "a", again, b"", secure=False))
