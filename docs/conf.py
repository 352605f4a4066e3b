"""How Sphinx builds these pages: ``sphinx-build -W -n docs docs/_build``. Nothing is fetched."""

from __future__ import annotations

import aluvia

project = "aluvia"
author = "The aluvia authors"
copyright = "The aluvia authors"
version = release = aluvia.__version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
templates_path: list[str] = []

html_theme = "furo"
html_title = f"aluvia {release}"
html_show_sphinx = False
html_copy_source = False

# What a module names in __all__ and takes from another one is shown there, once.
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

# A reference of ours that leads nowhere is an error. Left alone are references into other projects,
# whose inventories are not fetched, and the types in signatures, some of which are private.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!aluvia\.).*"), (r"py:(class|data|obj)", r"aluvia\..*")]

# What only a type checker imports stands in a signature without its module, and several have a
# Place or a Route.
suppress_warnings = ["ref.python"]
