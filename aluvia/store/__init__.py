"""
The store: what outlives a process, in one SQLite file with a revision for every change.

:mod:`~aluvia.store.database` opens the file and begins transactions, :mod:`~aluvia.store.schema`
says what is in it, :mod:`~aluvia.store.revisions` keeps one change from undoing another,
:mod:`~aluvia.store.accounts`, :mod:`~aluvia.store.agent_keys` and :mod:`~aluvia.store.resources`
are what it is used for, :mod:`~aluvia.store.following` and :mod:`~aluvia.store.looks` find what is
other than it was, and :mod:`~aluvia.store.engine` keeps the waiting for a disk out of a reactor's
thread.
"""
