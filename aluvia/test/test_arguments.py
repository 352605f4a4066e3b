"""Tests for :mod:`aluvia.arguments`."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia import arguments
from aluvia.arguments import ARGUMENTS, BESIDES, flags_of, in_python, variable_of
from aluvia.client import settings
from aluvia.client.load import load_settings
from aluvia.client.options import OPTIONS

GATEWAY = "http://127.0.0.1:9"


class TableTests(SynchronousTestCase):
    """The names, beside those of the client's options."""

    def test_options(self) -> None:
        """Each argument is an option, and so is what every start has besides."""
        names = {option.name for option in OPTIONS}
        self.assertLessEqual({*ARGUMENTS.values(), *BESIDES}, names)
        self.assertEqual(len(ARGUMENTS), len(set(ARGUMENTS.values())))

    def test_following(self) -> None:
        """What means nothing without a control plane is what the client says it is."""
        given = set(ARGUMENTS.values())
        theirs = {each.name for each in OPTIONS if each.field in settings.FOLLOWING} & given
        self.assertEqual(theirs, {ARGUMENTS[name] for name in arguments.FOLLOWING})

    def test_variables(self) -> None:
        """They are those of the options."""
        variables = {option.name: option.variable for option in OPTIONS}
        for argument, option in ARGUMENTS.items():
            self.assertEqual(variables[option], variable_of(argument))


class FlagsTests(SynchronousTestCase):
    """From arguments to options."""

    def test_defaults(self) -> None:
        """What is None is not set; no port is fixed, and there is no admin port."""
        given: dict[str, typing.Any] = dict.fromkeys(ARGUMENTS)
        self.assertEqual(dict(BESIDES), flags_of(given))
        self.assertEqual(dict(BESIDES), flags_of(given | {"strict": True, "reactor": 1}))

    def test_values(self) -> None:
        """They are as they were given; a switch that is on is True, and one rule is a list."""
        given = {"token": "t", "local_port": 18788, "poll_interval": 10 / 3, "strict": False}
        flags = flags_of(given)
        self.assertEqual(
            {
                **BESIDES,
                **{"token": "t", "port": 18788, "poll-interval": 10 / 3, "no-strict": True},
            },
            flags,
        )
        # The number of twistd's own admin port is as good as any.
        read = load_settings(flags, {})
        self.assertEqual((18788, None, 10 / 3), (read.port, read.admin_port, read.poll_interval))
        self.assertFalse(read.strict)

    def test_static(self) -> None:
        """With a gateway's URL nothing is said of a control plane."""
        given = {"gateway_url": GATEWAY, "poll_interval": 5.0, "strict": False, "local_port": 0}
        for rules, listed in (("*", ["*"]), (iter(["*", "-a"]), ["*", "-a"]), ((), [])):
            self.assertEqual(
                {**BESIDES, "gateway-url": GATEWAY, "port": 0, "rule": listed},
                flags_of({**given, "rules": rules}),
            )


class MistakeTests(SynchronousTestCase):
    """What is said of options, said of arguments."""

    def test_names(self) -> None:
        """Each by the name that it has in Python, wherever it stands."""
        for said, meant in (
            ("--port: must be a number", "local_port: must be a number"),
            ("ALUVIA_PORT: must be", "local_port: must be"),
            ("--no-strict and --rule", "strict and rules"),
            ("give --token-file FILE or ALUVIA_TOKEN", "give token_file FILE or token"),
            ("--gateway-url: a--port b-port", "gateway_url: a--port b-port"),
            ("nothing at all", "nothing at all"),
        ):
            self.assertEqual(meant, in_python(said))
