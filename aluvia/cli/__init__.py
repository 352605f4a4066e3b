"""
The console script ``aluvia``: ``run``, ``explain``, ``lint``, ``status``, ``doctor``, ``account``
and ``hash-password``.

:mod:`~aluvia.cli.main` reads the command line; every command has a module of its own. They are
plain blocking programs: none but ``doctor`` runs a reactor, and the proxy of ``run`` is a process
of its own.
"""
