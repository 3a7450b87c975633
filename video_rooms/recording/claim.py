"""Whose a recording's folder is: one works on its files at a time, and while they or an encoder of theirs
does, nobody else does. A claim goes with the last process that has it, however that ends (flock(2))."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from video_rooms.core.salvage import LOCK


def claim(folder: Path) -> int | None:
    """A descriptor to keep open, and to hand to encoders; None where another has it. Raises OSError."""
    held = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return None
    except OSError:
        os.close(held)
        raise
    return held


def is_free(folder: Path) -> bool | None:
    """Whether nobody works there now; None where that cannot be known: nobody ever claimed it."""
    try:
        held = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    finally:
        os.close(held)
    return True
