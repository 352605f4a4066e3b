"""Doors together in one process, to be tried: what each of them needs of the others, and a site."""
