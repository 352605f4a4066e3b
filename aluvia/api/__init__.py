"""
The manners of a REST API that every door shares.

:mod:`~aluvia.api.site` bounds what a client may send and how long it may take, and
:mod:`~aluvia.api.rest` says how much that is for an API; :mod:`~aluvia.api.problems` is how an
error is said; :mod:`~aluvia.api.etags` knows which state a client has; :mod:`~aluvia.api.bodies`
and :mod:`~aluvia.api.bearer` read what it sends; :mod:`~aluvia.api.allowance` says how often it
may; and :mod:`~aluvia.api.watch` holds it until there is something new.
"""
