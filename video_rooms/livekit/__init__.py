"""Rooms at a LiveKit server, through its own packages."""
