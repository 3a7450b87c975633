"""The gate in front of the switch's AMI port: what may be said, and how it is spelled. Pure.

AMI is lines. A CR or LF inside a value starts a new header or a whole new action, a comma inside some
values starts a new option, and one of those options is a shell command. So an ``AmiAction`` cannot be
made unless its name, its headers and every value's alphabet are known here; whatever else is needed is
one more row in ``_ACTIONS``. Limits: main/manager.c (1,024 bytes a line, 128 headers, 64 variables).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dialplan.ami.message import Kind, Message, MessageStream, MissingHeader, WireViolation
from telephony.errors import UnsafeValue
from telephony.ids import CHANNEL_ID

__all__ = [
    "MAX_HEADERS",
    "MAX_LINE",
    "MAX_VARIABLES",
    "AmiAction",
    "Kind",
    "Message",
    "MessageStream",
    "MissingHeader",
    "WireViolation",
    "caller_id",
    "dial_endpoint",
    "dial_through",
    "encode",
    "variable",
]

MAX_LINE = 1000
"""Bytes of one line with its CR LF; Asterisk reads at most 1,024."""
MAX_HEADERS = 127
"""Lines of one action, ``Action`` and ``ActionID`` included; Asterisk reads at most 128."""
MAX_VARIABLES = 64

_VALUE = r"[A-Za-z0-9_.:/+@=#*|%-]*"
_WORD = r"[A-Za-z0-9_-]{1,79}"
_USER = r"[A-Za-z0-9+*#_.-]{1,79}"
_NAME = r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,77}"
_WHERE = r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?(?:;transport=(?:tcp|tls))?"
_SEGMENT = r"(?!\.{1,2}/)[A-Za-z0-9_.@+~ -]+"
_FILE = rf"/?(?:{_SEGMENT}/)*[A-Za-z0-9_-]+\.(?:wav|raw|sln|sln16|ulaw|alaw)"
_LEVELS = r"[a-z]+(?:,[a-z]+)*"

_DB_KEY = re.compile(r"[A-Za-z0-9_+.@*:-]{1,80}(?:/[A-Za-z0-9_+.@*:-]{1,80}){0,2}")
_DB_VALUE = re.compile(r"[A-Za-z0-9_.:/+@=#*|,-]*")
"""With commas, which a channel variable must not have: the dialplan takes the value apart with ARRAY()."""

_SEEN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_FLAG = re.compile(r"true|false")
_PLAIN = re.compile(_WORD)
_VARIABLE = re.compile(f"{_NAME}={_VALUE}")
_VARIABLE_NAME = re.compile(rf"{_NAME}|CHANNEL\([a-z_]+(?:,[a-z_]+)?\)|CDR\(answer,u\)")
_VARIABLE_VALUE = re.compile(_VALUE)
_NUMBER = re.compile(r"\d{1,9}")
_EXTENSION = re.compile(_USER)
_OUTWARD = "@_"
"""Ends the names of the endpoints that Originate rings: their redirections lead nowhere (see pjsip.conf)."""
_SOCKET = r"WebSocket/(?:patchbay|room[0-7])/c\(slin16\)nu?f\(json\)"
"""A media socket of ours, in the one form that telephones in rooms have (``dialplan.core.agent_dial``)."""
_DIAL = re.compile(rf"PJSIP/(?:{_USER})?@{_WORD}@_|Local/{_USER}@{_WORD}(?:/n)?|{_SOCKET}")
_ACTION_ID = re.compile(r"[A-Za-z0-9_./:-]{1,149}")
_CALLER_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\"\\<>]{0,80}")
_CALLER_NUMBER = re.compile(r"[A-Za-z0-9+*#_.-]{0,79}")
_CALLER = re.compile(rf'(?:"{_CALLER_NAME.pattern}" )?<{_CALLER_NUMBER.pattern}>')

_ALPHABETS: Mapping[str, re.Pattern[str]] = {
    "Account": re.compile(r"[A-Za-z0-9_.:-]{1,79}"),
    "AllVariables": _FLAG,
    "Async": re.compile("true"),
    "Base64Body": re.compile(r"[A-Za-z0-9+/]{2,960}={0,2}"),
    "BridgeUniqueid": CHANNEL_ID,
    "CallerID": _CALLER,
    "Cause": re.compile(r"[1-9]\d{0,2}"),
    "Channel": CHANNEL_ID,
    "ChannelId": CHANNEL_ID,
    "Codecs": re.compile(r"[a-z0-9]+(?:,[a-z0-9]+)*"),
    "Context": _PLAIN,
    "Destination": re.compile(rf"pjsip:{_WORD}(?:/sip:\+?[0-9]{{2,20}}@{_WHERE})?"),
    "Digit": re.compile(r"[0-9A-Da-d*#]"),
    "Direction": re.compile("read|write|both|in|out|all"),
    "Duration": _NUMBER,
    "EarlyMedia": _FLAG,
    "Endpoint": _PLAIN,
    "EventMask": re.compile(f"on|off|{_LEVELS}"),
    "Events": re.compile(f"on|off|{_LEVELS}"),
    "Exten": _EXTENSION,
    "Family": re.compile(r"[A-Za-z0-9_+.@-]{1,120}(?:/[A-Za-z0-9_+.@-]{1,120})?"),
    "File": re.compile(_FILE),
    "Filter": _SEEN,
    "From": re.compile(rf"sip:\+?[0-9]{{2,20}}@{_WHERE}"),
    "Key": re.compile(r"[A-Za-z0-9_+.@/-]{1,120}"),
    "MatchCriteria": _SEEN,
    "MixMonitorID": re.compile(r"0x[0-9a-fA-F]{1,16}"),
    "Module": re.compile(r"[A-Za-z0-9_]+(?:\.so)?"),
    "Operation": re.compile("Add"),
    "Options": re.compile(rf"(?:[abdDnS]|[rt]\({_FILE}\)|[iU]\({_NAME}\))*"),
    "OtherChannelId": CHANNEL_ID,
    "Priority": re.compile(r"[1-9]\d{0,5}"),
    "Receive": _FLAG,
    "Registration": _PLAIN,
    "Secret": _SEEN,
    "State": re.compile("0|1|on|off"),
    "Timeout": re.compile(r"[1-9]\d{0,8}"),
    "Username": _SEEN,
    "Val": _VARIABLE_VALUE,
    "Value": _VARIABLE_VALUE,
    "Variable": _VARIABLE,
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which headers an action must and may have, and where a header means something else than usual."""

    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    alphabets: Mapping[str, re.Pattern[str]] = field(default_factory=dict)


# Hangup's Channel is an id and nothing else: the switch would also take a /regular expression/.
# Originate is always asynchronous: a synchronous one blocks its whole connection until somebody answers.
# MixMonitor has no Command: the switch would run it in a shell.
# Redirect leads to the one place where the gateway is asked again.
_ACTIONS: Mapping[str, _Shape] = {
    "BridgeInfo": _Shape(("BridgeUniqueid",)),
    "BridgeList": _Shape(),
    "CoreSettings": _Shape(),
    "CoreShowChannels": _Shape(),
    "CoreStatus": _Shape(),
    "DBDel": _Shape(("Family", "Key"), (), {"Key": _DB_KEY}),
    "DBDelTree": _Shape(("Family",), ("Key",)),
    "DBGet": _Shape(("Family", "Key"), (), {"Key": _DB_KEY}),
    "DBGetTree": _Shape(("Family",), ("Key",)),
    "DBPut": _Shape(("Family", "Key", "Val"), (), {"Key": _DB_KEY, "Val": _DB_VALUE}),
    "Events": _Shape(("EventMask",)),
    "Filter": _Shape(("Operation", "Filter"), ("MatchCriteria",)),
    "Getvar": _Shape(("Variable",), ("Channel",), {"Variable": _VARIABLE_NAME}),
    "Hangup": _Shape(("Channel",), ("Cause",)),
    "Login": _Shape(("Username", "Secret"), ("Events",)),
    "Logoff": _Shape(),
    "MessageSend": _Shape(("Destination", "From", "Base64Body")),
    "MixMonitor": _Shape(("Channel", "File"), ("Options",)),
    "MixMonitorMute": _Shape(("Channel", "Direction", "State"), ("MixMonitorID",)),
    "MuteAudio": _Shape(("Channel", "Direction", "State")),
    "Originate": _Shape(
        ("Channel", "ChannelId", "Context", "Exten", "Priority", "Async"),
        ("OtherChannelId", "Timeout", "CallerID", "Account", "EarlyMedia", "Codecs", "Variable"),
        {"Channel": _DIAL},
    ),
    "PJSIPQualify": _Shape(("Endpoint",)),
    "PJSIPRegister": _Shape(("Registration",)),
    "PJSIPShowContacts": _Shape(),
    "PJSIPShowEndpoint": _Shape(("Endpoint",)),
    "PJSIPShowEndpoints": _Shape(),
    "PJSIPShowRegistrationsOutbound": _Shape(),
    "Ping": _Shape(),
    "PlayDTMF": _Shape(("Channel", "Digit"), ("Duration", "Receive")),
    "Redirect": _Shape(
        ("Channel", "Context", "Exten", "Priority"),
        (),
        {"Context": re.compile("patchbay"), "Exten": re.compile("moved")},
    ),
    "Reload": _Shape((), ("Module",)),
    "Setvar": _Shape(("Channel", "Variable", "Value"), (), {"Variable": _VARIABLE_NAME}),
    "Status": _Shape((), ("Channel", "AllVariables")),
    "StopMixMonitor": _Shape(("Channel",), ("MixMonitorID",)),
}


@dataclass(frozen=True, slots=True, repr=False)
class AmiAction:
    """One thing to ask of the switch: a known action with known headers and harmless values.

    ``fields`` are (header, value) pairs in order, without ``Action`` and ``ActionID``; only ``Variable``
    of Originate may come more than once, one ``name=value`` each. Raises ``UnsafeValue`` naming the
    header, never the value.
    """

    name: str
    fields: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        shape = _ACTIONS.get(self.name)
        if shape is None:
            raise UnsafeValue("this action is not one we send")
        names = [header for header, _ in self.fields]
        for header in shape.must:
            if header not in names:
                raise UnsafeValue(f"{self.name} needs the header {header}")
        for header, value in self.fields:
            self._check(shape, header, value)
        repeated = {header for header in names if names.count(header) > 1}
        if repeated - ({"Variable"} if self.name == "Originate" else set()):
            raise UnsafeValue(f"{self.name} has a header twice: {', '.join(sorted(repeated))}")
        if names.count("Variable") > MAX_VARIABLES:
            raise UnsafeValue(f"{self.name} has more than {MAX_VARIABLES} variables")

    def _check(self, shape: _Shape, header: str, value: str) -> None:
        if header not in shape.must and header not in shape.may:
            raise UnsafeValue(f"{self.name} has a header that we do not send with it")
        alphabet = shape.alphabets.get(header) or _ALPHABETS[header]
        if not isinstance(value, str) or alphabet.fullmatch(value) is None:
            raise UnsafeValue(f"the value of {self.name}'s header {header} is outside its alphabet")
        if _line_bytes(header, value) > MAX_LINE:
            raise UnsafeValue(f"{self.name}'s header {header} makes a line longer than {MAX_LINE} bytes")

    def __repr__(self) -> str:
        """Names only: values hold telephone numbers and the secret."""
        return f"AmiAction({self.name}, {', '.join(header for header, _ in self.fields)})"


def encode(action: AmiAction, action_id: str) -> bytes:
    """The action as bytes for the wire: one line per header and the closing empty line."""
    if _ACTION_ID.fullmatch(action_id) is None:
        raise UnsafeValue("the ActionID is outside its alphabet")
    pairs = (("Action", action.name), ("ActionID", action_id), *action.fields)
    if len(pairs) > MAX_HEADERS:
        raise UnsafeValue(f"{action.name} has more than {MAX_HEADERS} headers")
    return "".join([f"{header}: {value}\r\n" for header, value in pairs] + ["\r\n"]).encode()


def dial_endpoint(endpoint: str) -> str:
    """The channel string that rings a phone of ours: ``PJSIP/@<endpoint>@_``."""
    return f"PJSIP/@{_part(endpoint, _PLAIN, 'endpoint')}{_OUTWARD}"


def dial_through(user: str, trunk: str) -> str:
    """The channel string that dials ``user`` (digits, perhaps ``+``): ``PJSIP/<user>@<trunk>@_``."""
    return f"PJSIP/{_part(user, _EXTENSION, 'dialled user')}@{_part(trunk, _PLAIN, 'trunk')}{_OUTWARD}"


def variable(name: str, value: str) -> tuple[str, str]:
    """One ``Variable`` header. A name with parentheses would write a dialplan function: refused."""
    _part(name, re.compile(_NAME), "variable name")
    return ("Variable", f"{name}={_part(value, _VARIABLE_VALUE, f'variable {name}')}")


def caller_id(number: str, name: str = "") -> str:
    """A ``CallerID`` value: ``"name" <number>``, or ``<number>`` without a name."""
    shown = f"<{_part(number, _CALLER_NUMBER, 'caller number')}>"
    return f'"{_part(name, _CALLER_NAME, "caller name")}" {shown}' if name else shown


def _part(value: str, alphabet: re.Pattern[str], what: str) -> str:
    if alphabet.fullmatch(value) is None:
        raise UnsafeValue(f"the {what} is outside its alphabet")
    return value


def _line_bytes(header: str, value: str) -> int:
    try:
        return len(header) + 2 + len(value.encode()) + 2
    except UnicodeEncodeError as error:
        raise UnsafeValue(f"the value of {header} is not text that can be encoded") from error
