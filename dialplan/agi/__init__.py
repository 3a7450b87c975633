"""Answers the switch's one routing question per call over FastAGI: pure wire, one connection, the server."""
