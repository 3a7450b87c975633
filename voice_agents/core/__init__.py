"""Decisions of the voice room: what may be spoken, and how sound is laid out. Pure."""
