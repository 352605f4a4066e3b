"""Public suffixes: under which names anybody can register (https://publicsuffix.org).

The list has two sections. The ICANN section is the domain name system's own (``com``,
``co.uk``); the private one is of companies that let others have names below theirs
(``github.io``, ``blogspot.com``). ``google.*`` stands for the sites of one owner under the
registries' suffixes, so only the ICANN section counts there: anybody may be
``google.github.io``.

The list takes about 50 ms and 1 MB to load. It is loaded by the first call, and
:func:`load_suffixes` exists to have that happen when rules are compiled, not when they are asked.
"""

from __future__ import annotations

import functools
import typing

from publicsuffixlist import PublicSuffixList

__all__ = ["is_icann_suffix", "is_private_suffix", "load_suffixes"]

#: Answers kept: there are about 7 000 suffixes, of which a program meets a few dozen.
CACHED_SUFFIXES: typing.Final = 1024


@functools.cache
def _icann() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)


@functools.cache
def _both() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


def load_suffixes() -> None:
    """Load the ICANN section now, if it is not loaded."""
    _icann()


@functools.lru_cache(maxsize=CACHED_SUFFIXES)
def is_icann_suffix(name: str) -> bool:
    """Whether a canonical name is itself a public suffix of the ICANN section."""
    return _icann().is_public(name)


def is_private_suffix(name: str) -> bool:
    """Whether a canonical name is a public suffix by the private section alone.

    This loads the list a second time, whole: it is for :mod:`aluvia.rules.lint`.
    """
    return _both().is_public(name) and not is_icann_suffix(name)
