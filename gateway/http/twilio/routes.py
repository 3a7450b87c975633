"""The route table of Twilio's face. It answers in its own shapes, and is documented by Twilio."""

from __future__ import annotations

from typing import Final

from gateway.http.operation import OPEN, Operation, Room
from gateway.http.twilio import calls
from gateway.http.twilio.answers import VERSION, tell

_CALL: Final = "/Accounts/{account}/Calls/{call}"
_MOST_FORM: Final = 16 * 1024

TWILIO: Final = Room(
    (f"/{VERSION}",),
    (
        Operation(
            "POST",
            _CALL,
            "twilioChangeCall",
            "Twilio",
            "End a call, or send it on",
            calls.change,
            OPEN,
            bucket="none",
            raw_body=_MOST_FORM,
        ),
        Operation(
            "GET",
            _CALL,
            "twilioShowCall",
            "Twilio",
            "Show a call",
            calls.show,
            OPEN,
            bucket="none",
            raw_body=_MOST_FORM,
        ),
    ),
    error_shape=tell,
)
"""OPEN to the common door: Basic authentication is this face's own."""
