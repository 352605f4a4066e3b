"""
The console script ``aluvia``: ``run``, ``explain``, ``lint`` and ``status``.

:mod:`~aluvia.cli.main` reads the command line; every command has a module of its own. They are
plain blocking programs: nothing here runs a reactor, the proxy of ``run`` is a process of its own.
"""
