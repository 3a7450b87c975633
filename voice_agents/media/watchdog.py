"""A thread that ends the media sockets of an event loop that stands still.

Asterisk writes a call's sound while it holds the channel's lock, and waits for as long as the socket takes
nothing; after some ten seconds of unread sound even the caller's own hang-up waits. So when the loop has
not shown itself for a second, all media sockets are shut down: the switch ends these calls, and goes on
with all others.

A process that is stopped as a whole, or that never lets go of the interpreter's lock, has no thread either:
the switch then keeps what the kernel's buffers take. Once it runs again, its calls go on.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

STALL_S = 1.0
_LOOK_S = 0.2


class Watchdog:
    """Watches one loop. ``alive`` is the loop's sign of life; ``watch`` and ``release`` are the loop's,
    too."""

    def __init__(
        self,
        *,
        stall_s: float = STALL_S,
        look_s: float = _LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stalls = 0
        """How often the loop stood still while there were sockets."""
        self._stall_s, self._look_s, self._clock = stall_s, look_s, clock
        self._lock = threading.Lock()
        self._sockets: dict[int, socket.socket] = {}
        self._shut: set[int] = set()
        self._keys = 0
        self._seen = clock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def alive(self, now: float) -> None:
        self._seen = now

    def watch(self, fileno: int) -> int:
        """Watch a connected socket; it stays its owner's. Returns the key for ``release``."""
        twin = socket.socket(fileno=os.dup(fileno))
        with self._lock:
            self._seen = self._clock() if not self._sockets else self._seen
            self._keys += 1
            self._sockets[self._keys] = twin
            if self._thread is None:
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="media watchdog", daemon=True)
                self._thread.start()
            return self._keys

    def release(self, key: int) -> bool:
        """The socket is gone. Returns whether it was shut down from here."""
        with self._lock:
            twin = self._sockets.pop(key, None)
            stalled = key in self._shut
            self._shut.discard(key)
        if twin is not None:
            twin.close()
        return stalled

    def close(self) -> None:
        """End the thread."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5.0)
            self._thread = None

    def _run(self) -> None:
        """A machine that stood still as a whole stopped this thread, too: the loop has until the next look to
        show itself."""
        noticed = False
        while not self._wake.wait(self._look_s):
            stands = self._clock() - self._seen > self._stall_s
            if stands and noticed:
                self._shut_all()
            noticed = stands

    def _shut_all(self) -> None:
        with self._lock:
            fresh = [key for key in self._sockets if key not in self._shut]
            self.stalls += bool(fresh)
            for key in fresh:
                self._shut.add(key)
                with contextlib.suppress(OSError):  # it is gone already
                    self._sockets[key].shutdown(socket.SHUT_RDWR)
