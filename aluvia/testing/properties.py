"""Hypothesis as the tests here use it: no deadline (machines differ), no database, repeatable."""

from __future__ import annotations

import hypothesis

settings_for_tests = hypothesis.settings(deadline=None, database=None, derandomize=True)
