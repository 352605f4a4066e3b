"""Tests of :mod:`aluvia.testing`."""
