"""The agent: publishes declared ports of its own network through a hub."""
