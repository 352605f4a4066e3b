"""The hub: where agents connect, and what they offer there."""
