"""Reading what strangers wrote, for all carriers alike: fields are bounded, failures are MalformedRequest."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from proxy_pool.core.text import Media
from proxy_pool.wire.carrier import Ignored, Outcome, Refused, Throttled, Unclear
from telephony.errors import InvalidInput, MalformedRequest, NotAuthenticated
from telephony.numbers import E164

MAX_BODY: Final = 10_000
MAX_MEDIA: Final = 10
MAX_FIELDS: Final = 400
MAX_RETRY_AFTER_S: Final = 3_600
USUAL_RETRY_AFTER_S: Final = 1.0
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TOKEN = re.compile(r"[A-Za-z0-9._ -]{1,64}")
_URL = re.compile(r"https?://[!-~]{1,2040}")
_KIND = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
Pairs = list[tuple[str, str]]


def refuse_signature() -> NotAuthenticated:
    """The one error of every failed verification: it does not say what was wrong."""
    return NotAuthenticated("the request is not signed as it must be")


def same(expected: bytes, given: str) -> bool:
    """Whether a given signature is the expected one, in time that tells nothing of where they differ."""
    return hmac.compare_digest(expected, given.encode("utf-8", "surrogatepass"))


def fresh(timestamp: str, now: float, window_s: float) -> bool:
    """Whether a signed time (epoch seconds) is near enough to ``now``."""
    plain = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    return plain and abs(now - int(timestamp)) <= window_s


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def pairs(raw: str | bytes) -> Pairs:
    """A form or query string as (name, value) pairs in order; raises MalformedRequest."""
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise MalformedRequest("the form cannot be read", expected="percent-encoded UTF-8") from None


def once(given: Pairs) -> dict[str, str]:
    """The pairs as a mapping; a name that came twice raises MalformedRequest, as either could be meant."""
    found = dict(given)
    if len(found) != len(given):
        raise MalformedRequest("a parameter is given twice", expected="each parameter once")
    return found


def json_value(body: bytes) -> object:
    """The value of a JSON text; raises MalformedRequest."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedRequest("the body is not JSON", expected="JSON in UTF-8") from None


def member(value: object, *path: str) -> object:
    """What is inside objects at this path; None wherever it ends early."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def items(value: object) -> Sequence[object]:
    """The entries of a list, at most ``MAX_FIELDS``; none for anything that is no list."""
    return value[:MAX_FIELDS] if isinstance(value, list) else ()


def needed_id(value: object, name: str, shape: re.Pattern[str] = _ID) -> str:
    """A carrier's id of a text. Its narrow shape also keeps a signature over run-together fields honest."""
    if isinstance(value, str) and shape.fullmatch(value) is not None:
        return value
    raise MalformedRequest(f"{name} is missing or not an id", field=name)


def sender(value: object, name: str) -> str:
    """Who sent a text: a number, a short code or a name, on one line."""
    if isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable():
        return value
    raise MalformedRequest(f"{name} is missing or no sender", field=name)


def body_text(value: object, name: str) -> str:
    """What a text says; empty where there is none. NUL, which no database takes, becomes U+FFFD."""
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= MAX_BODY:
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    raise MalformedRequest(f"{name} is not a text", field=name, expected=f"at most {MAX_BODY} characters")


def number(value: object) -> E164 | None:
    """A number in E.164 form, or None for what is none (a short code, a name, another channel's address)."""
    try:
        return E164(value) if isinstance(value, str) else None
    except InvalidInput:
        return None


def msisdn(value: object) -> str | None:
    """A number written as bare digits with its country code, in E.164 form; other texts as they are."""
    if not isinstance(value, str):
        return None
    plain = value.isascii() and value.isdigit() and 7 <= len(value) <= 15 and not value.startswith("0")
    return f"+{value}" if plain else value


def whole(value: object) -> int | None:
    """A small whole number, given as such or in digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return value if type(value) is int and 0 <= value < 10**9 else None


def token(value: object) -> str:
    """A carrier's error code as a short text; empty for what is none."""
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) and _TOKEN.fullmatch(text) is not None else ""


def moment(value: object) -> float | None:
    """Epoch seconds of an ISO 8601 time, in UTC where it names no zone; None for what is no time."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def attachments(given: Sequence[tuple[object, object]]) -> tuple[tuple[Media, ...], tuple[Ignored, ...]]:
    """The media of (address, type) pairs; what has no usable address, and what is too many, is ignored."""
    kept: list[Media] = []
    left: list[Ignored] = []
    for url, kind in given:
        if isinstance(url, str) and _URL.fullmatch(url) is not None and len(kept) < MAX_MEDIA:
            lower = kind.partition(";")[0].strip().lower() if isinstance(kind, str) else ""
            kept.append(Media(url, lower if _KIND.fullmatch(lower) else ""))
        else:
            left.append(Ignored("media"))
    return tuple(kept), tuple(left)


def basic(user: str, password: str) -> str:
    """The value of Authorization for HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def at_api(url: str, api_base: str) -> bool:
    """Whether an address has the very origin of the carrier's API: only there do its credentials go."""
    one, other = urlsplit(url), urlsplit(api_base)
    return (one.scheme, one.netloc) == (other.scheme, other.netloc) and bool(one.netloc)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, from Retry-After (RFC 9110 §10.2.3); a date or nothing means the usual second."""
    told = whole(headers.get("retry-after", "").strip())
    return min(float(told), MAX_RETRY_AFTER_S) if told else USUAL_RETRY_AFTER_S


def answered(body: bytes) -> object:
    """The JSON of an API's answer; None for what is none."""
    try:
        return json_value(body)
    except MalformedRequest:
        return None


def not_taken(status: int, headers: Mapping[str, str], code: str, *, safe_to_repeat: bool = False) -> Outcome:
    """What an answer outside 2xx means. ``code`` is the carrier's own word, else the status is.

    401 can be mended in the configuration and 408 by itself; every other 4xx is for good. 500, 502 and 504
    may come after the text was taken, unless the carrier says that they never do (``safe_to_repeat``).
    """
    word = code or f"http_{status}"
    if status == 429 or (status == 503 and "retry-after" in headers):
        return Throttled(retry_after(headers))
    if 400 <= status < 500:
        return Refused(word, permanent=status not in (401, 408))
    if status == 503 or safe_to_repeat:
        return Refused(word, permanent=False)
    return Unclear(word)
