"""
A door's process: how it is told what to do, and what a supervisor is told of it.

:mod:`~aluvia.process.options` and :mod:`~aluvia.process.takes` are the table of options of which
the command line, the environment and the TOML file are three spellings,
:mod:`~aluvia.process.sources` reads those, and :mod:`~aluvia.process.command_line` is twistd's part
of it. :mod:`~aluvia.process.supervise` tells systemd, a :mod:`~aluvia.process.port_file` and a
parent (:mod:`~aluvia.process.lifeline`) how it goes, and ends the process with a status
(:mod:`~aluvia.process.statuses`) when it cannot. :mod:`~aluvia.process.collector` is for a process
that is a proxy and nothing else.
"""
