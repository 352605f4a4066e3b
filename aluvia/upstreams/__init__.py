"""
Members: those who can answer for something, which of them does, and whether they are well.

It knows nothing of HTTP's requests or of who asks: a vhost's backends are members, and so is
whatever else one of several is chosen from.
"""
