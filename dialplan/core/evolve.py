"""``replace`` for calls: the cheap copy of ``telephony.evolve``."""

from telephony.evolve import replace

__all__ = ["replace"]
