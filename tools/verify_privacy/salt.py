"""A far end that names itself wherever SIP and SDP have room for a name. Pure: one message in, one out.

Only what a far end may choose freely is changed: what makes its messages belong together (tags, branches,
Call-IDs, CSeq) is left as it is, so that calls go on as they would.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from gateway.trial.sip_message import (
    Headers,
    Request,
    Response,
    SipMessage,
    SipSyntaxError,
    parse,
    serialise,
    user_in,
)
from tools.verify_privacy.people import Side, as_user, spelled, written

_DISPLAY = re.compile(r'^\s*(?:"(?:[^"\\]|\\.)*"|[^<"]*)\s*<')
_PAIR: Final = "\\"
_BOUNDARY: Final = "=_privacy"
_IN_PARTS: Final = 0.04
_CHANGED_SDP: Final = 0.8


@dataclass(frozen=True, slots=True)
class Namer:
    """One person of one side, and the chance that decides how the number is written."""

    side: Side
    number: str
    chance: random.Random

    def text(self) -> str:
        return written(self.number, self.chance)

    def user(self) -> str:
        return as_user(self.number, self.chance)

    def token(self) -> str:
        return self.number.lstrip("+")

    def quoted(self) -> str:
        """A quoted string (RFC 3261 section 25), now and then with needless quoted pairs."""
        if self.chance.random() < 0.2:
            plain = spelled(self.number, self.chance)
            return f'"{self.side.word} {"".join(f"{_PAIR}{one}" if one.isdigit() else one for one in plain)}"'
        return f'"{self.side.word} {self.text()}"'

    def address(self) -> str:
        """A name-addr, or a tel URI."""
        if self.chance.random() < 0.25:
            return f"{self.quoted()} <tel:{self.number}>"
        host = self.chance.choice(("carrier.example", "127.0.0.9", f"{self.token()}.example"))
        return f"{self.quoted()} <sip:{self.user()}@{host};user=phone>"


def salted(raw: bytes, side: Side, person: str, chance: random.Random) -> bytes:
    """The message as this side sends it. ``person`` is named where the message tells of nobody of theirs."""
    try:
        message = parse(raw)
    except SipSyntaxError:
        return raw
    namer = Namer(side, _own(message, side) or person, chance)
    headers = _named(message, namer)
    changed = replace(message, headers=headers.plus(*some_headers(namer, chance.randrange(3, 12))))
    return serialise(_described(changed, namer))


def _own(message: SipMessage, side: Side) -> str:
    """The number of this side's person in the message, if it tells of one."""
    ours = "From" if isinstance(message, Request) else "To"
    user = user_in(message.headers.first(ours))
    return user if side.owns(user) else ""


def _named(message: SipMessage, namer: Namer) -> Headers:
    """Display names and Contact users say the number, too."""
    ours = "From" if isinstance(message, Request) else "To"
    lines = []
    for name, value in message.headers.lines:
        if name == ours and namer.chance.random() < 0.6:
            value = _DISPLAY.sub(lambda _: f"{namer.quoted()} <", value, count=1)
        elif name == "Contact" and "@" in value:
            host = value.rpartition("@")[2]
            value = f"{namer.quoted()} <sip:{namer.user()}@{host}"
        lines.append((name, value))
    if isinstance(message, Request) and message.method != "CANCEL" and namer.chance.random() < 0.3:
        below = f"SIP/2.0/UDP {namer.token()}.example;branch=z9hG4bK-{namer.token()};received=127.0.0.9"
        at = next(place for place, (name, _) in enumerate(lines) if name == "Via") + 1
        lines.insert(at, ("Via", below))
    return Headers(tuple(lines))


def some_headers(namer: Namer, count: int) -> list[tuple[str, str]]:
    """So many of the headers in which a far end can name itself."""
    found = family(namer)
    return namer.chance.sample(found, min(count, len(found)))


def family(namer: Namer) -> list[tuple[str, str]]:
    """Every header in which a far end can name itself, filled."""
    n, digits, number, chance = namer, namer.token(), namer.number, namer.chance
    party = chance.choice(("calling", "called"))
    privacy = chance.choice(("none", "id", "header", "user;id;critical", "id;history"))
    return [
        ("P-Asserted-Identity", n.address()),
        ("P-Asserted-Identity", f"<tel:{number}>"),
        ("P-Preferred-Identity", n.address()),
        ("Remote-Party-ID", f"{n.address()};party={party};privacy=off;screen=yes"),
        ("Diversion", f"{n.address()};reason=unconditional;counter=1"),
        ("Diversion", f"<sip:{n.user()}@carrier.example>;reason=no-answer;privacy=off"),
        ("History-Info", f"<sip:{n.user()}@carrier.example?Reason=SIP%3Bcause%3D302>;index=1"),
        ("Privacy", privacy),
        ("Referred-By", n.address()),
        ("Reply-To", n.address()),
        ("Identity", f"eyJhbGciOiJFUzI1NiJ9.{digits}.c2ln;info=<https://{digits}.example/c.pem>;alg=ES256"),
        ("Call-Info", f"<https://carrier.example/{digits}.jpg>;purpose=icon"),
        ("Alert-Info", f"<https://carrier.example/{digits}.wav>"),
        ("Error-Info", f"<sip:{n.user()}@carrier.example>"),
        ("Subject", f"{n.side.word} {n.text()}"),
        ("Organization", f"{n.side.word} {n.text()} Ltd"),
        ("User-Agent", f"{n.side.word}/{digits}"),
        ("Server", f"{n.side.word}/{digits}"),
        ("Warning", f"399 {digits}.example {n.quoted()}"),
        ("User-to-User", f"{spelled(number, chance).encode().hex()};encoding=hex"),
        ("User-to-User", f"04{digits}0000;encoding=hex;purpose=isdn-uui"),
        ("Reason", f"Q.850;cause=16;text={n.quoted()}"),
        ("Reason", f"SIP;cause=200;text={n.quoted()}"),
        ("Date", f"Mon, 09 Mar 2026 12:00:00 GMT;{digits}"),
        ("In-Reply-To", f"{digits}@carrier.example"),
        ("Geolocation", f"<cid:{digits}@carrier.example>"),
        ("P-Charging-Vector", f"icid-value={digits};orig-ioi={digits}"),
        ("P-Charge-Info", f"<sip:{n.user()}@carrier.example>"),
        ("P-Called-Party-ID", f"<tel:{number}>"),
        ("P-Associated-URI", n.address()),
        ("P-Served-User", f"<sip:{n.user()}@carrier.example>"),
        ("P-Access-Network-Info", f"3GPP-GERAN; cgi-3gpp={digits}"),
        ("P-Early-Media", f"sendrecv;x={digits}"),
        ("Contribution-ID", digits),
        ("Session-ID", f"{digits:0>32};remote={digits:0>32}"),
        ("X-Caller", n.text()),
        ("X-Original-ANI", n.text()),
        ("X-FS-Support", n.text()),
        ("X-Asterisk-HangupCause", n.text()),
        ("P-Custom", quote(n.text())),
        ("Isup-Oli", digits),
    ]


def _described(message: SipMessage, namer: Namer) -> SipMessage:
    """With a session description that names its owner; now and then as one part of several."""
    if message.headers.first("Content-Type") != "application/sdp" or not message.body.startswith(b"v=0"):
        return message
    body = naming_sdp(message.body, namer) if namer.chance.random() < _CHANGED_SDP else message.body
    if not _invites(message) or namer.chance.random() >= _IN_PARTS:
        return replace(message, body=body)
    headers = message.headers.without("Content-Type").plus(
        ("Content-Type", f'multipart/mixed;boundary="{_BOUNDARY}"'), ("MIME-Version", "1.0")
    )
    return replace(message, headers=headers, body=_in_parts(body, namer))


def _invites(message: SipMessage) -> bool:
    return not isinstance(message, Response) and message.method == "INVITE"


def _in_parts(body: bytes, namer: Namer) -> bytes:
    said = f"<entity>tel:{namer.number}</entity> {namer.side.word}".encode()
    lines = [
        b"--" + _BOUNDARY.encode(), b"Content-Type: application/sdp", b"", body,
        b"--" + _BOUNDARY.encode(), b"Content-Type: application/pidf+xml",
        b"Content-ID: <" + namer.token().encode() + b"@carrier.example>", b"", said,
        b"--" + _BOUNDARY.encode() + b"--", b"",
    ]  # fmt: skip
    return b"\r\n".join(lines)


def naming_sdp(body: bytes, namer: Namer) -> bytes:
    """A session description in which its owner is named in every line that has room (RFC 8866 section 5)."""
    digits, word = namer.token(), namer.side.word
    version, origin, _, rest = body.split(b"\r\n", 3)
    words = origin.split(b" ", 1)[1]
    session = (
        f"s={word} {namer.text()}\r\ni=from {namer.text()}\r\nu=https://carrier.example/{digits}\r\n"
        f"e={digits}@carrier.example ({namer.number})\r\np={namer.number}\r\n"
    ).encode()
    media = (
        f"a=tool:{digits}\r\na=label:{digits}\r\na=x-caller:{namer.text()}\r\na=ssrc:1 cname:{digits}\r\n"
        f"a=msid:{digits} {word}\r\na=identity:{digits}\r\n"
    ).encode()
    named = b"o=" + digits.encode() + b" " + words
    return b"\r\n".join((version, named)) + b"\r\n" + session + rest + media
