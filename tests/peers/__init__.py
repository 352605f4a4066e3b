"""
The proxy between other people's clients and servers.

They come from Debian (``debian-packages.txt``), from PyPI (``tests/requirements.txt``) and from
npm (``npm install`` in this folder). Without one of them its tests are skipped, and say what to
install; with ``ALUVIA_REQUIRE_PEERS=1`` in the environment, as in ``.ci/full``, they fail.
"""
