"""FastAGI: the one routing question Asterisk asks per call."""
