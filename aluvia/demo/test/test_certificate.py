"""The certificate of a demo."""

from __future__ import annotations

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from aluvia.demo.certificate import self_signed
from aluvia.edge.key_pairs import judge_pair, read_pair

NAMES = ("app.localhost", "api.localhost")
NOW = 2_000_000_000.25
DAY = 86_400.0


class SelfSignedTests(SynchronousTestCase):
    """One for two names."""

    def test_good(self) -> None:
        """An edge finds nothing wrong with it: for these hosts, from now on, and no others."""
        pair = self_signed(NAMES, NOW)
        for name in NAMES:
            for now in (NOW, NOW + 60 * DAY):
                self.assertEqual(judge_pair(pair, name, now), [])
        self.assertEqual(len(judge_pair(pair, "other.localhost", NOW)), 1)
        self.assertEqual(len(judge_pair(pair, NAMES[0], NOW + 100 * DAY)), 1)

    def test_no_authority(self) -> None:
        """It signs itself, and whoever trusts it trusts nothing that it signs besides."""
        leaf = read_pair(self_signed(NAMES, NOW)).leaf
        leaf.verify_directly_issued_by(leaf)
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertEqual((basic.value.ca, basic.critical), (False, True))

    def test_each_its_own(self) -> None:
        """No two demos share a key, nor a serial number."""
        one, two = (self_signed(NAMES, NOW) for _ in range(2))
        self.assertNotEqual(one.key, two.key)
        serials = [read_pair(pair).leaf.serial_number for pair in (one, two)]
        self.assertNotEqual(*serials)
