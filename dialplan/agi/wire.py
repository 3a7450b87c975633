"""FastAGI bytes to values and back, without I/O.

Asterisk connects, writes ``agi_*: value`` lines and a blank line (``res_agi.c``, ``setup_env``), then
carries out one command line at a time and writes one reply for each (``agi_handle_command``).
``QuestionParser`` reads the first part, ``encode_set_variable`` writes the only command we use,
``ReplyParser`` reads what comes back.

Everything read here may be hostile. Parts of it are, even from a switch that is ours: the caller's
number and the dialled digits come from the user part of a SIP address, where ``%0A`` becomes a line
break, and Asterisk copies them as they are. Forged lines must not pass for the switch's own (its
context says who may dial where). So the block has to be whole and in Asterisk's order: a forged field
makes the true one a repetition, and to close the block early takes more lines than the 80 octets
that Asterisk keeps of such a value. What is said out of turn is rejected too. A verdict never depends
on how the bytes were cut into chunks, and a rejection never carries what was received.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from telephony.errors import UnsafeValue
from telephony.ids import CHANNEL_ID, ChannelId
from telephony.numbers import mask, mask_text


@dataclass(frozen=True, slots=True)
class WireLimits:
    """How much one side may say before it is rejected. Asterisk says about 700 bytes in 24 lines."""

    total_bytes: int = 8192
    line_bytes: int = 1024
    lines: int = 64


class RejectionReason(StrEnum):
    """Why bytes from a connection were not accepted. Stable words, used as metric labels."""

    TOO_LARGE = "too_large"
    LINE_TOO_LONG = "line_too_long"
    TOO_MANY_LINES = "too_many_lines"
    BAD_LINE = "bad_line"
    REPEATED_FIELD = "repeated_field"
    OUT_OF_ORDER = "out_of_order"
    MISSING_FIELD = "missing_field"
    BAD_VALUE = "bad_value"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal to read on. ``field`` is one of our own field names or empty, never what was received."""

    reason: RejectionReason
    field: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """What the switch asks once per call: this caller dialled that; where shall it go?

    ``caller`` is "" when the switch knows none (it says ``unknown``) or when the outside world sent
    something that is no number or name of a phone. ``network_script`` is the path of the ``agi://``
    address, with its query. ``arguments`` are those of the dialplan's ``AGI()``, in order.
    """

    network_script: str
    channel: ChannelId
    channel_name: str
    dialled: str
    caller: str
    caller_name: str
    context: str
    arguments: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"Question(network_script={mask_text(self.network_script)!r}, channel={self.channel!r}, "
            f"dialled={mask(self.dialled)!r}, caller={mask(self.caller)!r}, context={self.context!r})"
        )


_PREFIX = b"agi_"
_NAME = re.compile(rb"agi_[a-z0-9_]{1,40}")
_ARGUMENT = re.compile(rb"agi_arg_([1-9][0-9]?)")
_FIELDS = {
    "agi_network_script": re.compile(r"[A-Za-z0-9_./?=&%+~-]{0,256}"),
    "agi_channel": re.compile(r"[\x21-\x7e]{1,255}"),
    "agi_uniqueid": CHANNEL_ID,
    "agi_context": re.compile(r"[A-Za-z0-9_-]{1,79}"),
    "agi_extension": re.compile(r"[A-Za-z0-9+*#@._-]{1,80}"),
    "agi_priority": re.compile(r"[0-9]{1,10}"),
    "agi_enhanced": re.compile(r"[01]\.0"),
    "agi_threadid": re.compile(r"[0-9]{1,20}"),
}
_ORDER = {
    f"agi_{name}".encode(): place
    for place, name in enumerate(
        (
            *("network", "network_script", "request", "channel", "language", "type", "uniqueid", "version"),
            *("callerid", "calleridname", "callingpres", "callingani2", "callington", "callingtns"),
            *("dnid", "rdnis", "context", "extension", "priority", "enhanced", "accountcode", "threadid"),
        )
    )
}
"""The fields of ``setup_env`` in res_agi.c, in its order. Only the script may be absent."""
_NAMES = tuple(_ORDER)
_LAST = len(_ORDER) - 1
_WANTED = {name.encode(): name for name in (*_FIELDS, "agi_callerid", "agi_calleridname")}
_CALLER = re.compile(r"[A-Za-z0-9+*#@._-]{1,80}")
_ARGUMENT_VALUE = re.compile(r"[\x20-\x7e]{0,512}")
_CALLER_NAME_LENGTH = 80


def _whole_line(name: str) -> str:
    alphabet = _FIELDS[name].pattern if name in _FIELDS else r"[^\n]*"
    line = f"{name}: (?P<{name}>{alphabet})\n"
    return f"(?:{line})?" if name == "agi_network_script" else line


_ONE_ARGUMENT = rf"(?:agi_arg_1: (?P<argument>{_ARGUMENT_VALUE.pattern})\n)?"
_WHOLE = re.compile(("".join(_whole_line(name.decode()) for name in _NAMES) + _ONE_ARGUMENT + "\n").encode())
"""The block as Asterisk writes it for ``AGI()`` with one argument or none: nearly every question."""
_WHOLE_LINES = len(_ORDER) + 2
_SAID = (
    *("agi_network_script", "agi_uniqueid", "agi_channel", "agi_extension"),
    *("agi_callerid", "agi_calleridname", "agi_context", "argument"),
)


class QuestionParser:
    """Reads one question, in whatever pieces it arrives.

    ``feed`` answers None until the blank line, then the Question, or a Rejection as soon as one is
    due. After that the parser is spent; ``rest`` holds what followed the blank line in the last chunk.
    """

    __slots__ = (
        "_arguments",
        "_fields",
        "_limits",
        "_lines",
        "_partial",
        "_place",
        "_seen",
        "_taken",
        "rest",
    )

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._partial = b""
        self._taken = 0
        self._lines = 0
        self._place = -1
        self._seen: set[bytes] = set()
        self._fields: dict[str, str] = {"agi_network_script": ""}  # not sent when the address has no path
        self._arguments: list[str] = []
        self.rest = b""

    def feed(self, chunk: bytes) -> Question | Rejection | None:
        """Take the next bytes. Never raises, whatever they are."""
        if self._taken == 0 and (question := self._read_whole(chunk)) is not None:
            return question
        room = self._limits.total_bytes - self._taken
        within = chunk[:room]
        self._taken += len(within)
        verdict = self._read(within)
        if len(chunk) > room:
            self.rest += chunk[room:]
            return verdict or Rejection(RejectionReason.TOO_LARGE)
        return verdict

    def _read_whole(self, chunk: bytes) -> Question | None:
        """The question of a usual block that came in one piece; None for everything else."""
        limits = self._limits
        if len(chunk) > limits.total_bytes or limits.lines < _WHOLE_LINES:
            return None
        found = _WHOLE.match(chunk)
        if found is None:
            return None
        end = found.end()
        if end > limits.line_bytes and max(map(len, chunk[:end].split(b"\n"))) > limits.line_bytes:
            return None
        self._taken = end
        self.rest = chunk[end:]
        said = [(value or b"").decode("utf-8", "replace") for value in found.group(*_SAID)]
        script, channel, channel_name, dialled, caller, name, context, argument = said
        return Question(
            network_script=script,
            channel=ChannelId(channel),
            channel_name=channel_name,
            dialled=dialled,
            caller=_caller(caller),
            caller_name=_caller_name(name),
            context=context,
            arguments=() if found["argument"] is None else (argument,),
        )

    def _read(self, chunk: bytes) -> Question | Rejection | None:
        held = self._partial + chunk
        start = 0
        while (end := held.find(b"\n", start)) >= 0:
            if end == start:
                self.rest = held[end + 1 :]
                return self._missing() or _question(self._fields, tuple(self._arguments))
            rejection = self._take(held[start:end])
            if rejection is not None:
                return rejection
            start = end + 1
        self._partial = held[start:]
        if not _PREFIX.startswith(self._partial[: len(_PREFIX)]):
            return Rejection(RejectionReason.BAD_LINE)
        if len(self._partial) > self._limits.line_bytes:
            return Rejection(RejectionReason.LINE_TOO_LONG)
        return None

    def _take(self, line: bytes) -> Rejection | None:
        if not line.startswith(_PREFIX[: len(line)]):
            return Rejection(RejectionReason.BAD_LINE)
        if len(line) > self._limits.line_bytes:
            return Rejection(RejectionReason.LINE_TOO_LONG)
        self._lines += 1
        if self._lines > self._limits.lines:
            return Rejection(RejectionReason.TOO_MANY_LINES)
        name, colon, value = line.partition(b": ")
        if colon and self._place < _LAST and name == _NAMES[self._place + 1]:
            self._take_next(name, value)
            return None
        if not colon or _NAME.fullmatch(name) is None:
            return Rejection(RejectionReason.BAD_LINE)
        if name in self._seen:
            return Rejection(RejectionReason.REPEATED_FIELD, _WANTED.get(name, ""))
        self._seen.add(name)
        if (place := _ORDER.get(name)) is not None:
            if place < self._place:
                return Rejection(RejectionReason.OUT_OF_ORDER, _WANTED.get(name, ""))
            self._place = place
            if (wanted := _WANTED.get(name)) is not None:
                self._fields[wanted] = value.decode("utf-8", "replace")
        elif (argument := _ARGUMENT.fullmatch(name)) is not None:
            if self._place != _LAST or int(argument[1]) != len(self._arguments) + 1:
                return Rejection(RejectionReason.OUT_OF_ORDER, "agi_arg")
            self._arguments.append(value.decode("utf-8", "replace"))
        return None

    def _take_next(self, name: bytes, value: bytes) -> None:
        """The field that Asterisk sends next: it can be neither repeated nor out of order."""
        self._place += 1
        self._seen.add(name)
        if (wanted := _WANTED.get(name)) is not None:
            self._fields[wanted] = value.decode("utf-8", "replace")

    def _missing(self) -> Rejection | None:
        absent = _ORDER.keys() - self._seen - {b"agi_network_script"}
        if not absent:
            return None
        first = min(absent, key=lambda name: _ORDER[name])
        return Rejection(RejectionReason.MISSING_FIELD, first.decode())


def _question(fields: dict[str, str], arguments: tuple[str, ...]) -> Question | Rejection:
    """The question made of these fields, all of them there, or the first that breaks its alphabet."""
    for name, alphabet in _FIELDS.items():
        if alphabet.fullmatch(fields[name]) is None:
            return Rejection(RejectionReason.BAD_VALUE, name)
    if any(_ARGUMENT_VALUE.fullmatch(value) is None for value in arguments):
        return Rejection(RejectionReason.BAD_VALUE, "agi_arg")
    return Question(
        network_script=fields["agi_network_script"],
        channel=ChannelId(fields["agi_uniqueid"]),
        channel_name=fields["agi_channel"],
        dialled=fields["agi_extension"],
        caller=_caller(fields["agi_callerid"]),
        caller_name=_caller_name(fields["agi_calleridname"]),
        context=fields["agi_context"],
        arguments=arguments,
    )


def _caller(text: str) -> str:
    """The caller's number. A strange one makes the caller unknown, not the call impossible."""
    return text if text != "unknown" and _CALLER.fullmatch(text) is not None else ""


def _caller_name(text: str) -> str:
    """The caller's display name, free text of the outside world: shortened, without control characters."""
    if text == "unknown":
        return ""
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable())
    return text[:_CALLER_NAME_LENGTH]


_VARIABLE_NAME = re.compile(r"[A-Z_]{1,79}")
_VARIABLE_VALUE = re.compile(r"[A-Za-z0-9+*#@._:/~=,-]{0,512}")


def encode_set_variable(name: str, value: str) -> bytes:
    """The command line that sets one channel variable.

    The alphabets leave out what Asterisk gives a meaning to: line breaks (the next command), quotes
    and backslashes (argument splitting), ``$ { } [ ] &`` and ``|`` (substitution and dial strings).

    Raises UnsafeValue for a name outside ``[A-Z_]`` or a value outside its alphabet or over 512 characters.
    """
    if _VARIABLE_NAME.fullmatch(name) is None:
        raise UnsafeValue("a channel variable's name may hold only A-Z and _")
    if _VARIABLE_VALUE.fullmatch(value) is None:
        raise UnsafeValue(
            "a channel variable's value has a forbidden character or is over 512 characters long"
        )
    return f'SET VARIABLE {name} "{value}"\n'.encode("ascii")


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete reply. ``code`` is 200, 510 (unknown command), 511 (dead channel) or 520 (bad syntax);
    ``result`` the number after ``result=``, None where there is none."""

    code: int
    result: int | None

    @property
    def done(self) -> bool:
        """Whether SET VARIABLE took effect."""
        return self.code == 200 and self.result == 1


@dataclass(frozen=True, slots=True)
class HungUp:
    """The switch says that the caller has gone. It may come between any two lines and is no reply."""


_RESULT_LINE = re.compile(rb"(\d{3}) result=(-?\d{1,9})(?: .*)?", re.DOTALL)
_STATUS_LINE = re.compile(rb"(\d{3})(-| |$)", re.DOTALL)


class ReplyParser:
    """Reads replies and hang-up signals, in whatever pieces they arrive.

    A usage reply spans lines, from ``520-…`` to ``520 …``, and is one Reply. ``feed`` answers what
    is complete, in order; a Rejection is always the last item, and the parser is spent after it.
    """

    __slots__ = ("_limits", "_lines", "_partial", "_spanning", "_taken")

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._partial = b""
        self._taken = 0
        self._lines = 0
        self._spanning = b""

    def feed(self, chunk: bytes) -> list[Reply | HungUp | Rejection]:
        """Take the next bytes. Never raises, whatever they are."""
        room = self._limits.total_bytes - self._taken
        self._taken += min(len(chunk), room)
        seen: list[Reply | HungUp | Rejection] = []
        lines = (self._partial + chunk[:room]).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            read = self._line(line)
            if read is not None:
                seen.append(read)
            if isinstance(read, Rejection):
                return seen
        if len(self._partial) > self._limits.line_bytes:
            seen.append(Rejection(RejectionReason.LINE_TOO_LONG))
        elif len(chunk) > room:
            seen.append(Rejection(RejectionReason.TOO_LARGE))
        return seen

    def _line(self, line: bytes) -> Reply | HungUp | Rejection | None:
        self._lines += 1
        if len(line) > self._limits.line_bytes:
            return Rejection(RejectionReason.LINE_TOO_LONG)
        if self._lines > self._limits.lines:
            return Rejection(RejectionReason.TOO_MANY_LINES)
        if line == b"HANGUP":
            return HungUp()
        if self._spanning and not line.startswith(self._spanning + b" "):
            return None
        if (result := _RESULT_LINE.fullmatch(line)) is not None:
            return Reply(int(result[1]), int(result[2]))
        if (status := _STATUS_LINE.match(line)) is None:
            return Rejection(RejectionReason.BAD_LINE)
        if status[2] == b"-":
            self._spanning = status[1]
            return None
        self._spanning = b""
        return Reply(int(status[1]), None)
