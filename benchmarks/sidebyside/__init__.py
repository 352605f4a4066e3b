"""Side-by-side measurement of proxies, forward and reverse, on one machine.

``run.py`` puts a :mod:`case <sidebyside.cases>` together with :mod:`peers <sidebyside.peers>`,
:mod:`measures <sidebyside.measure>` them in turns and :mod:`reports <sidebyside.report>` what came
out beside the :mod:`bars <sidebyside.bars>`. The origin, the load and the limit are C programs
(``c/``): they must cost little, and the same for every peer.
"""
