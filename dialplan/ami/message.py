"""What the switch says over AMI: bytes in, messages out. Pure.

A message is lines of ``Name: value`` closed by an empty line; lines end in CR LF (AMI v2, "Asterisk
Manager Interface" in the Asterisk documentation). The stream may be cut anywhere, also inside a UTF-8
character or a CR LF, so nothing is decoded before its message is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from telephony.errors import PatchbayError

_EOL = "\r\n"
_END = b"\r\n\r\n"
_BANNER = b"Asterisk Call Manager/"
_BANNER_LIMIT = 256
_ABSENT = "\r\n"
"""Stands for no header: the one text that no value can hold."""
DEFAULT_LIMIT = 16 * 1024 * 1024
"""Most bytes of one message. The longest legitimate ones (a list in one reply) stay below a few MiB."""


class WireViolation(PatchbayError):
    """The switch's stream broke the protocol; the connection is of no more use."""

    code = "SWITCH_PROTOCOL"


class MissingHeader(WireViolation):
    """A message lacks a header that its kind always has."""


class Kind(Enum):
    """The two sorts of message."""

    EVENT = "event"
    RESPONSE = "response"


_FIRST: tuple[tuple[bytes, Kind], ...] = ((b"Event: ", Kind.EVENT), (b"Response: ", Kind.RESPONSE))


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One event or response. ``name`` is the event's name, or the response's word (``Success``, …).

    Headers are looked up when asked for and spelled as Asterisk spells them (``Uniqueid``, ``ActionID``):
    most events are read for a few headers only, so none is parsed ahead.
    """

    kind: Kind
    name: str
    text: str
    """The message as received, without the empty line that closed it."""

    def get(self, header: str, default: str = "") -> str:
        """The header's first value, or ``default``. An absent and an empty header look alike by default."""
        text = self.text
        at = text.find(f"\r\n{header}: ")
        if at < 0:
            return self._first_line(header, default)
        at += len(header) + 4
        end = text.find(_EOL, at)
        return text[at:] if end < 0 else text[at:end]

    def __getitem__(self, header: str) -> str:
        """The header's first value; ``MissingHeader`` when there is none."""
        found = self.get(header, _ABSENT)
        if found == _ABSENT:
            raise MissingHeader(f"{self.kind.value} {self.name} has no header {header}")
        return found

    def __contains__(self, header: str) -> bool:
        return self.get(header, _ABSENT) != _ABSENT

    def get_all(self, header: str) -> tuple[str, ...]:
        """Every value of a header that may come more than once, in order."""
        return tuple(value for name, value in self.headers() if name == header)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """All headers in order, duplicates kept; lines that are no header are left out."""
        pairs = (line.partition(": ") for line in self.text.split(_EOL))
        return tuple((name, value) for name, colon, value in pairs if colon)

    def _first_line(self, header: str, default: str) -> str:
        text = self.text
        if not text.startswith(f"{header}: "):
            return default
        return text[len(header) + 2 :].partition(_EOL)[0]

    def __repr__(self) -> str:
        """Names only: values hold telephone numbers."""
        return f"Message({self.kind.value} {self.name}, {len(self.text)} characters)"


class MessageStream:
    """Cuts one connection's bytes into messages, in time linear in the bytes, however they arrive."""

    def __init__(self, *, limit: int = DEFAULT_LIMIT) -> None:
        self.banner: str | None = None
        """The greeting line; ``""`` if the peer sent none; None while it is not known."""
        self.junk = 0
        """Blocks and lone lines that were neither event nor response."""
        self._limit = limit
        self._tail = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[Message]:
        """Take the next bytes; return the messages they complete, in order.

        Raises ``WireViolation`` when one message is longer than the limit.
        """
        if self.banner is None:
            chunk = self._take_banner(chunk)
        if not self._tail:
            cut = chunk.rfind(_END)
            if cut < 0:
                return self._keep(chunk)
            whole = chunk[: _without_blank_lines(chunk, cut)]
            self._tail += chunk[cut + 4 :]
        else:
            self._tail += chunk
            cut = self._tail.rfind(_END, self._searched)
            if cut < 0:
                return self._keep(b"")
            whole = bytes(self._tail[: _without_blank_lines(self._tail, cut)])
            del self._tail[: cut + 4]
        self._searched = 0
        self._keep(b"")
        return self._split(whole)

    def _keep(self, chunk: bytes) -> list[Message]:
        self._tail += chunk
        self._searched = max(0, len(self._tail) - 3)
        if len(self._tail) > self._limit:
            self._refuse()
        return []

    def _refuse(self) -> None:
        raise WireViolation(f"a message is longer than {self._limit} bytes")

    def _take_banner(self, chunk: bytes) -> bytes:
        self._tail += chunk
        start = bytes(self._tail)
        self._tail.clear()
        line, eol, rest = start.partition(b"\r\n")
        if line.startswith(_BANNER) and eol:
            self.banner = line.decode("ascii", "replace")
            return rest
        undecided = not eol and len(line) < _BANNER_LIMIT
        if undecided and (line.startswith(_BANNER) or _BANNER.startswith(line)):
            self._tail += start
            return b""
        self.banner = ""
        return start

    def _split(self, whole: bytes) -> list[Message]:
        pieces = whole.split(_END)
        if len(whole) > self._limit and max(map(len, pieces)) > self._limit:
            self._refuse()
        messages: list[Message] = []
        for piece in pieces:
            if piece.startswith(b"Event: "):
                text = piece.decode("utf-8", "replace")
                end = text.find(_EOL)
                messages.append(Message(Kind.EVENT, text[7:] if end < 0 else text[7:end], text))
            else:
                message = self._read_slowly(piece)
                if message is not None:
                    messages.append(message)
        return messages

    def _read_slowly(self, piece: bytes) -> Message | None:
        """Responses, and blocks with stray lines before the message proper."""
        lines = piece.split(b"\r\n")
        for index, line in enumerate(lines):
            for start, kind in _FIRST:
                if line.startswith(start):
                    text = b"\r\n".join(lines[index:]).decode("utf-8", "replace")
                    return Message(kind, line[len(start) :].decode("utf-8", "replace"), text)
            self.junk += bool(line)
        return None


def _without_blank_lines(received: bytes | bytearray, end: int) -> int:
    """Where the last message ends, if further empty lines followed the one that closed it."""
    while received[max(0, end - 2) : end] == b"\r\n":
        end -= 2
    return end
