"""Tests of :mod:`aluvia.demo`."""
