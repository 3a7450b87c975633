"""SIP messages as values (RFC 3261 section 7): text in, value out, and back. Pure.

Header names are kept in their long form and compared without case; order is kept, so that a leak
test can look at exactly what was received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from telephony.errors import InvalidInput

_LONG = {
    "v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length",
    "c": "Content-Type", "k": "Supported", "s": "Subject", "e": "Content-Encoding", "o": "Event",
}  # fmt: skip
_REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 408: "Request Timeout",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 484: "Address Incomplete",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 500: "Server Internal Error",
    501: "Not Implemented", 503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}  # fmt: skip
_URI_USER = re.compile(r"sips?:(?:([^@;>]*)@)?", re.IGNORECASE)
_TAG = re.compile(r";\s*tag=([^;\s>]+)", re.IGNORECASE)
_BRANCH = re.compile(r";\s*branch=([^;,\s]+)", re.IGNORECASE)
_UNSAFE = re.compile(r"[\r\n\0]")


class SipSyntaxError(InvalidInput):
    """Bytes that are not a SIP message."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Header lines in order. Looking up a name that is absent gives an empty answer, never an error."""

    lines: tuple[tuple[str, str], ...] = ()

    def first(self, name: str) -> str:
        return next((value for key, value in self.lines if key.lower() == name.lower()), "")

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.lines if key.lower() == name.lower())

    def __contains__(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.lines)

    def plus(self, *lines: tuple[str, str]) -> Headers:
        """With lines added at the end. A line break in a value is refused."""
        for name, value in lines:
            if _UNSAFE.search(name + value):
                raise SipSyntaxError("a header value has a line break", field=name)
        return Headers((*self.lines, *lines))

    def without(self, *names: str) -> Headers:
        dropped = {name.lower() for name in names}
        return Headers(tuple(line for line in self.lines if line[0].lower() not in dropped))


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Headers
    reason: str = ""
    body: bytes = b""

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason or _REASONS.get(self.status, 'Status')}"


SipMessage = Request | Response


def parse(datagram: bytes) -> SipMessage:
    """One datagram as a message. Raises ``SipSyntaxError``; keep-alives (only CRLF) are not messages."""
    head, separator, body = datagram.partition(b"\r\n\r\n")
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SipSyntaxError("not UTF-8 text") from error
    if not separator:
        raise SipSyntaxError("no end of headers")
    start, *rest = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    headers = Headers(tuple(_header(line) for line in rest))
    length = headers.first("Content-Length")
    if length.isdigit():
        body = body[: int(length)]
    return _with_start(start, headers, body)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise SipSyntaxError("a header line without a colon")
    name = name.strip()
    return _LONG.get(name.lower(), name), value.strip()


def _with_start(start: str, headers: Headers, body: bytes) -> SipMessage:
    first, _, rest = start.partition(" ")
    second, _, third = rest.partition(" ")
    if first == "SIP/2.0" and second.isdigit() and len(second) == 3:
        return Response(int(second), headers, third, body)
    if third == "SIP/2.0" and first.isupper():
        return Request(first, second, headers, body)
    raise SipSyntaxError("not a SIP start line")


def serialise(message: SipMessage) -> bytes:
    """The message as one datagram, with its Content-Length counted."""
    lines = [message.start_line]
    lines += [f"{name}: {value}" for name, value in message.headers.without("Content-Length").lines]
    lines.append(f"Content-Length: {len(message.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + message.body


# Parts of headers


def uri_in(value: str) -> str:
    """The URI of a From, To or Contact value, without display name and header parameters."""
    inside = re.search(r"<([^>]*)>", value)
    return inside.group(1) if inside else value.split(";")[0].strip()


def user_in(value: str) -> str:
    """The user part of the URI in a header value or request line; empty if there is none."""
    match = _URI_USER.search(uri_in(value))
    return (match.group(1) or "").split(";")[0] if match else ""


def display_in(value: str) -> str:
    """The display name before ``<``, without quotes."""
    name, bracket, _ = value.partition("<")
    return name.strip().strip('"') if bracket else ""


def tag_in(value: str) -> str:
    match = _TAG.search(value)
    return match.group(1) if match else ""


def branch_of(message: SipMessage) -> str:
    """The branch of the topmost Via: names the transaction (RFC 3261 section 17.1.3)."""
    match = _BRANCH.search(message.headers.first("Via"))
    return match.group(1) if match else ""


def cseq_of(message: SipMessage) -> tuple[int, str]:
    """Sequence number and method of CSeq; (0, "") if it is malformed."""
    number, _, method = message.headers.first("CSeq").partition(" ")
    return (int(number), method.strip()) if number.isdigit() else (0, "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a response adds to the headers that it must copy from its request."""

    status: int
    to_tag: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = field(default="application/sdp")


def response_to(request: Request, reply: Reply) -> Response:
    """A response with the headers RFC 3261 section 8.2.6.2 demands copied from the request."""
    copied: list[tuple[str, str]] = [("Via", via) for via in request.headers.all("Via")]
    copied += [("Record-Route", route) for route in request.headers.all("Record-Route")]
    to = request.headers.first("To")
    if reply.to_tag and reply.status > 100 and not tag_in(to):
        to = f"{to};tag={reply.to_tag}"
    copied += [("From", request.headers.first("From")), ("To", to)]
    copied += [(name, request.headers.first(name)) for name in ("Call-ID", "CSeq")]
    added = Headers(tuple(copied)).plus(*reply.headers)
    if reply.body:
        added = added.plus(("Content-Type", reply.content_type))
    return Response(reply.status, added, body=reply.body)


def with_via(request: Request, sent_by: str, branch: str) -> Request:
    """The request with our Via on top; any Via it had is replaced (we are an end, not a proxy).

    ``sent_by`` is transport and address: ``UDP 127.0.0.2:5060``.
    """
    via = ("Via", f"SIP/2.0/{sent_by};branch={branch};rport")
    return replace(request, headers=Headers((via, *request.headers.without("Via").lines)))


def texts(messages: Iterable[bytes]) -> str:
    """Raw messages as one readable text, for failure reports."""
    return "\n\n".join(raw.decode("utf-8", "replace").replace("\r\n", "\n") for raw in messages)
