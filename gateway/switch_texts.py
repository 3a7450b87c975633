"""Texts over SIP MESSAGE (RFC 3428), in and out through the switch.

In: the dialplan notes every text in family ``pbtext`` of the switch's database and tells of it by an event
(``text`` in asterisk-config/extensions.conf.j2). ``SwitchTexts`` reads what is noted, hands each text to
``on_text``, and takes it away only when that has returned: a text is handed over at least once, with the same
id each time, and none is lost while the gateway or its database is away.

Out: ``MessageSend`` hands a text to the switch's SIP stack. What becomes of it there nobody tells, so a text
that was sent is ``sent`` for good, never ``delivered``.

Limits: Asterisk reads at most 1,023 octets of a text, RFC 3428 §8 allows about as much, and AMI takes lines
of 1,024 octets, so longer texts go out as several. A NUL ends an incoming text.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from dialplan.ami.client import AmiLink
from dialplan.ami.message import Message
from dialplan.ami.wire import AmiAction
from proxy_pool.core.party import PHONE
from proxy_pool.core.text import InboundText, OutboundText
from telephony.errors import InvalidInput, OutcomeUnknown, PatchbayError, SwitchRefused, SwitchUnavailable
from telephony.numbers import E164

_log = structlog.get_logger("gateway.texts")

FAMILY: Final = "pbtext"
EVENT: Final = "PatchbayText"
PART_OCTETS: Final = 700
"""Of one outgoing message: its base64 must fit one line of AMI."""
_DEADLINE_S: Final = 5.0
_LOOK_EVERY_S: Final = 5.0
_AGAIN_S: Final = 1.0
_ID = re.compile(r"[0-9a-f]{40}")
_NUMBER = re.compile(r"\+?[0-9]{7,15}")
_SENDER_LENGTH: Final = 64
_CLOSING: Final = "\x1d"
"""Stands for a closing bracket on the way through the dialplan."""


@dataclass(frozen=True, slots=True)
class TrunkAddress:
    """Where a trunk's far end takes messages. ``transport`` is ``udp``, ``tcp`` or ``tls``."""

    host: str
    port: int
    transport: str = "udp"

    def uri(self, number: E164) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        more = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:{number.reveal()}@{host}:{self.port}{more}"


@dataclass(frozen=True, slots=True)
class TextLines:
    """Whom texts can be sent to: trunks by name, phones by name; ``domain`` is our own host in From."""

    trunks: Mapping[str, TrunkAddress]
    phones: frozenset[str]
    domain: str


@dataclass(frozen=True, slots=True)
class TextMetrics:
    """``waiting``: texts that were noted and could not be handed over when last looked."""

    received: int
    sent: int
    waiting: int
    too_long: int
    too_old: int
    unreadable: int


class SwitchTexts:
    """``control`` may send messages, ``database`` may read and write the switch's database.

    ``on_text`` persists a text; whatever it raises, the text is handed to it again later. ``heard`` must be
    given every event of the events link. Texts that were noted longer than ``keep_s`` ago are dropped.
    """

    def __init__(
        self,
        control: AmiLink,
        database: AmiLink,
        lines: TextLines,
        on_text: Callable[[InboundText], Awaitable[None]],
        now: Callable[[], float],
        *,
        carrier: str = "sip",
        keep_s: float = 3 * 86_400.0,
    ) -> None:
        self._control = control
        self._database = database
        self._lines = lines
        self._on_text = on_text
        self._now = now
        self._carrier = carrier
        self._keep_s = keep_s
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._received = self._sent = self._waiting = 0
        self._too_long = self._too_old = self._unreadable = 0

    # ------------------------------------------------------------ out

    async def send(self, text: OutboundText, line: str) -> str:
        """Hand a text to the switch for this trunk or phone; the id by which it is known. It is then sent.

        Raises InvalidInput for a line that is not there and for media, SwitchRefused where the switch would
        not send it (a phone that is not registered), SwitchUnavailable (certainly not sent), OutcomeUnknown.
        """
        if text.media:
            raise InvalidInput("SIP messages carry no media", field="media")
        if line in self._lines.phones:
            destination = f"pjsip:{line}"
        elif line in self._lines.trunks:
            destination = f"pjsip:{line}/{self._lines.trunks[line].uri(text.to)}"
        else:
            raise InvalidInput("there is no such trunk or phone", field="line")
        sender = f"sip:{text.sender.reveal()}@{self._lines.domain}"
        for part in parts_of(text.body):
            fields = (
                ("Destination", destination),
                ("From", sender),
                ("Base64Body", base64.b64encode(part).decode()),
            )
            await self._control.act(AmiAction("MessageSend", fields), deadline_s=_DEADLINE_S)
        self._sent += 1
        return text.id

    # ------------------------------------------------------------ in

    def start(self) -> None:
        """Begin to fetch texts, in the background; those that came while nobody was there are first."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="switch-texts")

    async def stop(self) -> None:
        """Stop fetching. What was not handed over stays noted in the switch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def heard(self, message: Message) -> None:
        """An event of the switch: perhaps it says that there is a text."""
        if message.name == "UserEvent" and message.get("UserEvent") == EVENT:
            self._poked.set()

    def metrics(self) -> TextMetrics:
        return TextMetrics(
            received=self._received,
            sent=self._sent,
            waiting=self._waiting,
            too_long=self._too_long,
            too_old=self._too_old,
            unreadable=self._unreadable,
        )

    async def _run(self) -> None:
        while True:
            self._poked.clear()
            try:
                done = await self._fetch()
            except (SwitchUnavailable, SwitchRefused, OutcomeUnknown):
                done = False
            except Exception:  # noqa: BLE001  # why: edge of the task; one bad round must not end the fetching
                _log.exception("texts.broken")
                done = False
            if not done:
                await asyncio.sleep(_AGAIN_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._poked.wait()

    async def _fetch(self) -> bool:
        """Hand over all that is noted, the oldest first; whether nothing is left."""
        rows = await self._database.listing(
            AmiAction("DBGetTree", (("Family", FAMILY),)), deadline_s=_DEADLINE_S
        )
        noted = [(row.get("Key").rpartition("/")[2], row.get("Val")) for row in rows]
        self._waiting = len(noted)
        for key, value in sorted(noted, key=lambda one: one[1].partition(",")[0]):
            if _ID.fullmatch(key) is None:
                continue
            if not await self._take(key, value):
                return False
            with suppress(SwitchRefused):
                fields = (("Family", FAMILY), ("Key", key))
                await self._database.act(AmiAction("DBDel", fields), deadline_s=_DEADLINE_S)
            self._waiting -= 1
        return True

    async def _take(self, key: str, value: str) -> bool:
        """Hand one text over; False where it must be tried again."""
        text = read_text(key, value, self._carrier)
        if text is None:
            self._unreadable += 1
            _log.error("text.unreadable", id=key)
        elif text.sent_at is not None and text.sent_at < self._now() - self._keep_s:
            self._too_old += 1
            _log.error("text.too_old", id=key)
        elif not text.body and _claimed_octets(value):
            self._too_long += 1
            _log.error("text.too_long", id=key, octets=_claimed_octets(value))
        else:
            try:
                await self._on_text(text)
            except PatchbayError as error:
                _log.warning("text.not_taken", id=key, code=error.code)
                return False
            self._received += 1
        return True


def parts_of(body: str) -> Sequence[bytes]:
    """The text in parts of at most ``PART_OCTETS`` octets, cut between characters, rather between words."""
    parts = []
    rest = body
    while len(rest.encode()) > PART_OCTETS:
        head = rest.encode()[:PART_OCTETS].decode(errors="ignore")
        cut = head.rfind(" ") + 1
        head = head[:cut] if cut > len(head) // 2 else head
        parts.append(head.encode())
        rest = rest[len(head) :]
    return [*parts, rest.encode()] if rest or not parts else parts


def read_text(key: str, value: str, carrier: str) -> InboundText | None:
    """The text that this entry holds; None where it is not one that our dialplan writes for a number."""
    parts = value.split(",")
    if len(parts) != 6:
        return None
    at, line, dialled, sender, _, body = parts
    kind, _, name = line.partition("-")
    try:
        number = E164(f"+{dialled.lstrip('+')}")
        who = f"{PHONE}{name}" if kind == "phone" else _sender(_unpacked(sender, "f"))
        return InboundText(carrier, key, who, number, _unpacked(body, "t"), float(at))
    except (InvalidInput, ValueError, binascii.Error):
        return None


def _unpacked(packed: str, mark: str) -> str:
    text = base64.b64decode(packed, validate=True).decode("utf-8", "replace").replace(_CLOSING, ")")
    if not text.startswith(mark):
        raise ValueError("not what our dialplan writes")
    return text[1:]


def _sender(user: str) -> str:
    """A number in E.164 form where it is one, else what stands there; empty where that is not printable."""
    if _NUMBER.fullmatch(user):
        return f"+{user.lstrip('+').removeprefix('00')}"
    return user[:_SENDER_LENGTH] if user.isprintable() else ""


def _claimed_octets(value: str) -> int:
    """How long the text was, as its Content-Length said; 0 where that is no number."""
    size = value.split(",")[4]
    return int(size) if size.isdecimal() and len(size) < 9 else 0
