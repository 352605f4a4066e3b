"""The edge killed two hundred times: no other program is needed, but time is."""

from __future__ import annotations

from tests import test_edge_kill


class ManyKillsTests(test_edge_kill.KillTests):
    """The same as in the quick tests, ten times as often."""

    rounds = 200
