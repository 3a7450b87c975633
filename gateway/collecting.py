"""How Python's cycle collector works in processes that carry calls: it must not stop the loop for long."""

from __future__ import annotations

import gc
from typing import Final

SHORT_ROUNDS: Final = (5_000, 5, 20)
"""An agent's session leaves some 200 objects in cycles: short rounds find them while they are few (the usual
one takes 2 ms, of 20,000 it took 10); a full one goes through all that lives: it is rare."""


def leave_what_is_loaded(rounds: tuple[int, int, int] = SHORT_ROUNDS) -> None:
    """Call once all is loaded: what stays for good is not gone through again.

    That costs a fifth of a delivery otherwise, and a full round's pause: 150 to 400 ms with the product's
    modules, against a caller's question and frames of 20 ms. ``rounds``: as ``gc.set_threshold`` takes them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*rounds)
