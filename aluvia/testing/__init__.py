"""
What tests of aluvia, and of programs that use it, are made with.

:mod:`aluvia.testing.faults` is a peer that fails on purpose, at every phase of a connection.
:mod:`aluvia.testing.lies` lists answers and requests that must not be believed.
:mod:`aluvia.testing.gateway` is a parent proxy with one account, and :mod:`aluvia.testing.origin` a
small site, both in process and on loopback (they need h11, from the extra ``test``).
:mod:`aluvia.testing.control_plane` is what the client polls.
:mod:`aluvia.testing.fixtures` starts and stops them for trial, :mod:`aluvia.testing.background` for
programs without a reactor, and :mod:`aluvia.testing.pytest_plugin` for pytest.
:mod:`aluvia.testing.properties` has the settings for hypothesis.
"""
