"""
Black box: a real ``twistd -n aluvia`` between real programs, judged by what goes over the wire.

``python -m twisted.trial tests`` from the checkout, with aluvia installed (``.[test]``). The
modules here need nothing but Python and curl; those in :mod:`tests.peers` want other people's
clients and servers, and say which.
"""
