"""Tests for :mod:`aluvia.telemetry.redaction`."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.redaction import (
    MARK,
    REMEMBERED,
    Redactor,
    spellings,
    without_credentials,
)
from aluvia.testing.properties import settings_for_tests


class RedactorTests(SynchronousTestCase):
    """Secrets are taken out in every form in which they turn up."""

    def test_nothing_to_hide(self) -> None:
        """Without secrets, or with empty ones, text is as it was."""
        self.assertEqual("a b", Redactor()("a b"))
        self.assertEqual("a b", Redactor(["", ""])("a b"))

    def test_each_form(self) -> None:
        """As typed, percent-encoded in both cases, escaped, base64, and as ``Basic``."""
        redactor = Redactor()
        redactor.add_credentials("cänary-user", "pä:ss/w@rd 1+")
        basic = base64.b64encode("cänary-user:pä:ss/w@rd 1+".encode()).decode()
        for form in (
            "cänary-user",
            "pä:ss/w@rd 1+",
            quote("pä:ss/w@rd 1+", safe=""),
            quote("pä:ss/w@rd 1+", safe="").lower(),
            quote("pä:ss/w@rd 1+"),
            "p%C3%A4%3Ass%2Fw%40rd+1%2B",
            repr("pä:ss/w@rd 1+".encode()),
            json.dumps("pä:ss/w@rd 1+"),
            "pä:ss/w@rd 1+".encode().decode("latin-1"),
            f"Proxy-Authorization: Basic {basic}",
            basic.rstrip("="),
            base64.urlsafe_b64encode("pä:ss/w@rd 1+".encode()).decode(),
        ):
            self.assertIn(MARK, redactor(f"<{form}>"), form)
            shown = redactor(f"<{form}>")
            self.assertNotIn("rd", shown.replace(MARK, ""), form)

    def test_a_url(self) -> None:
        """Userinfo goes, the rest of the address stays readable."""
        redactor = Redactor()
        redactor.add_credentials("canary-user", "canary-pass")
        self.assertEqual(
            f"via http://{MARK}@gate.example:8080",
            redactor("via http://canary-user:canary-pass@gate.example:8080"),
        )

    def test_short_secrets_stand_alone(self) -> None:
        """A password of two letters does not tear words apart, and is still found."""
        redactor = Redactor(["ab"])
        self.assertEqual("about a cab", redactor("about a cab"))
        for text in ("ab", "//ab@", "'ab'", "u%3Aab%40h", "x\\nab", "=ab&"):
            self.assertIn(MARK, redactor(text), text)

    def test_the_longest_first(self) -> None:
        """A secret that is a part of another leaves nothing of the other."""
        redactor = Redactor(["canary-pass", "canary-pass-and-more"])
        self.assertEqual(f"<{MARK}>", redactor("<canary-pass-and-more>"))

    def test_more_to_hide(self) -> None:
        """Secrets that come later are looked for from then on."""
        redactor = Redactor(["first-secret"])
        redactor.add("second-secret")
        self.assertEqual(f"{MARK} {MARK}", redactor("first-secret second-secret"))

    def test_remembers_a_bounded_number(self) -> None:
        """The newest stay; one that is used again counts as new."""
        redactor = Redactor(["kept-because-told-again"])
        for number in range(REMEMBERED - 1):
            redactor.add(f"secret-number-{number}")
        redactor.add("kept-because-told-again")
        redactor.add("the-one-too-many")
        self.assertEqual("secret-number-0", redactor("secret-number-0"))
        for secret in ("secret-number-1", "kept-because-told-again", "the-one-too-many"):
            self.assertEqual(MARK, redactor(secret))

    def test_its_own_repr(self) -> None:
        """A redactor can be logged."""
        self.assertNotIn("canary", repr(Redactor(["canary-pass"])))

    @settings_for_tests
    @hypothesis.given(
        strategies.text(min_size=8), strategies.text(max_size=40), strategies.text(max_size=40)
    )
    def test_no_spelling_survives(self, secret: str, before: str, behind: str) -> None:
        """However a secret of some length is spelled, and wherever it stands, it is gone."""
        redactor = Redactor([secret])
        for form in spellings(secret):
            self.assertNotIn(form, redactor(before + form + behind).replace(MARK, ""))


class WithoutCredentialsTests(SynchronousTestCase):
    """Secrets that nobody told of, by where they stand."""

    def test_schemes(self) -> None:
        """What stands behind ``Basic`` and ``Bearer`` goes, however it is written."""
        basic = base64.b64encode(b"canary-user:canary-pass").decode()
        for line, shown in (
            (f"Proxy-Authorization: Basic {basic}", f"Proxy-Authorization: Basic {MARK}"),
            (f"b'basic\\t{basic}\\r\\n'", f"b'basic\\t{MARK}\\r\\n'"),
            (f"[b'Basic {basic[:9]}…[cut]", f"[b'Basic {MARK}…[cut]"),
            ("Basic YTpi and BASIC  YTpi", f"Basic {MARK} and BASIC  {MARK}"),
            ("auth=Basic%20YTpi%3D%3D&x", f"auth=Basic%20{MARK}&x"),
            ("\\nbearer canary.a-b_c~d+e/f==", f"\\nbearer {MARK}"),
            ("Bearer canary, Bearer token.canary", f"Bearer {MARK}, Bearer {MARK}"),
            ("Bearer token-canary", f"Bearer {MARK}"),
        ):
            self.assertEqual(without_credentials(line), shown)

    def test_words(self) -> None:
        """A challenge, and what people write of the schemes, stay."""
        for line in (
            'WWW-Authenticate: Bearer realm="aluvia", error="invalid_token"',
            json.dumps({"message": 'Basic realm="aluvia"'}),
            "A bearer token is needed. That is no bearer token.",
            "those are no Basic credentials in UTF-8.",
            "a basic check, and Basic authentication",
        ):
            self.assertEqual(without_credentials(line), line)

    def test_urls(self) -> None:
        """The user and the password of a URL go, the rest of the address stays readable."""
        for line, shown in (
            ("via http://canary:ca:n@ry@gate.example:80/a@b", f"//{MARK}@gate.example:80/a@b"),
            ("'socks5://canary@[::1]:80', x@y", f"//{MARK}@[::1]:80', x@y"),
            ("http://\\x1bcanary\\xe4@host", f"//{MARK}@host"),
        ):
            found = without_credentials(line)
            self.assertTrue(found.endswith(shown), found)
            self.assertNotIn("canary", found)
        for line in (
            "http://site.example/@user?to=a@b#c@d and mail to a@b",
            "http://site.example?a@b http://site.example#a@b",
            "http://site.example\\nuser@host",
        ):
            self.assertEqual(without_credentials(line), line)

    @settings_for_tests
    @hypothesis.given(
        strategies.text(max_size=20),
        strategies.sampled_from(["Basic ", "bearer ", "http://", 'Bearer realm="']),
        strategies.text(max_size=20),
        strategies.sampled_from(["@", "@host/", "", " "]),
    )
    def test_json_stays_json(self, before: str, what: str, secret: str, behind: str) -> None:
        """Whatever is taken out of a line of JSON, it can be read, and its other parts stay."""
        line = json.dumps({"a": before + what + secret + behind, "b": "x@y"})
        shown = json.loads(without_credentials(line))
        self.assertEqual((list(shown), shown["b"]), (["a", "b"], "x@y"))
