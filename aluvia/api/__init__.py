"""
The manners of a REST API that every door shares.

:mod:`~aluvia.api.site` bounds what a client may send and how long it may take, and
:mod:`~aluvia.api.rest` says how much that is for an API; :mod:`~aluvia.api.answers` is what is
sent, :mod:`~aluvia.api.problems` how an error is said, and :mod:`~aluvia.api.refusals` sees to it
that nothing is said otherwise; :mod:`~aluvia.api.etags` compares tags and
:mod:`~aluvia.api.conditions` knows what follows from them; :mod:`~aluvia.api.bodies` and
:mod:`~aluvia.api.bearer` read what a client sends; :mod:`~aluvia.api.allowance` says how often it
may; and :mod:`~aluvia.api.watch` holds it until there is something new.
"""
