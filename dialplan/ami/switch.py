"""Orders to AMI actions: the director's Switch over a control link and a recording link."""

from __future__ import annotations

from collections.abc import Sequence

from dialplan.ami.client import AmiLink, LinkState
from dialplan.ami.message import Message
from dialplan.ami.wire import AmiAction, caller_id, dial_endpoint, dial_through, variable
from dialplan.core.agent_dial import CALL_MARK, channel_and_token
from dialplan.core.call import Endpoint, Phone, Trunk, VideoRoom
from dialplan.core.orders import Hangup, Originate, Redirect, TurnTape
from dialplan.ports import LiveChannel
from telephony.errors import UnsafeValue
from telephony.ids import CHANNEL_ID, ChannelId

CONTEXT, EXTENSION = "patchbay", "outbound"
MOVED = "moved"
"""Where a channel goes on that was taken away from whom it was with: it asks the question again."""
DIGIT_MS = 120
"""How long one digit sounds."""


class AmiSwitch:
    """Fits ``dialplan.ports.Switch``. ``recordings_dir`` is the switch's own path of that folder."""

    def __init__(
        self, control: AmiLink, recording: AmiLink, *, recordings_dir: str, deadline_s: float = 3.0
    ) -> None:
        self._control = control
        self._recording = recording
        self._recordings_dir = recordings_dir.rstrip("/")
        self._deadline_s = deadline_s

    @property
    def ready(self) -> bool:
        """Whether an order given now can be sent."""
        return self._control.state is LinkState.UP

    async def originate(self, order: Originate) -> None:
        """Ring a far end; resolves when the switch has queued it, not when somebody answers."""
        dialled, token = dial_string(order.endpoint)
        await self._act(
            AmiAction(
                "Originate",
                (
                    ("Channel", dialled),
                    ("ChannelId", order.channel),
                    ("Context", CONTEXT),
                    ("Exten", EXTENSION),
                    ("Priority", "1"),
                    ("Timeout", str(order.backstop_s * 1000)),
                    ("CallerID", caller_id(order.cli.reveal())),
                    ("Async", "true"),
                    *([variable(CALL_MARK, token)] if token else []),
                ),
            )
        )

    async def hang_up(self, order: Hangup) -> None:
        """Soft hang-up by Uniqueid; a channel that is gone already raises SwitchRefused."""
        fields = (("Channel", order.channel), ("Cause", str(order.cause)))
        await self._act(AmiAction("Hangup", fields))

    async def redirect(self, order: Redirect) -> None:
        """Take a channel out of its talk, to ask again; one that is gone already raises SwitchRefused."""
        where = (("Context", CONTEXT), ("Exten", MOVED), ("Priority", "1"))
        await self._act(AmiAction("Redirect", (("Channel", order.channel), *where)))

    async def play_digit(self, channel: ChannelId, digit: str) -> None:
        """Play one digit to the party on this channel; back once the switch has taken it.

        Over the second connection: the switch may hold its answer, and those behind it, while it plays."""
        fields = (("Channel", channel), ("Digit", digit), ("Duration", str(DIGIT_MS)))
        await self._recording.act(AmiAction("PlayDTMF", fields), deadline_s=self._deadline_s)

    async def turn_tape(self, order: TurnTape) -> None:
        """Start, stop, pause or resume the recording on a channel."""
        channel = ("Channel", order.channel)
        match order.verb:
            case "start":
                path = f"{self._recordings_dir}/{order.tape_id}.raw"
                action = AmiAction("MixMonitor", (channel, ("File", path), ("Options", "D")))
            case "stop":
                action = AmiAction("StopMixMonitor", (channel,))
            case "pause" | "resume":
                state = "1" if order.verb == "pause" else "0"
                fields = (channel, ("Direction", "both"), ("State", state))
                action = AmiAction("MixMonitorMute", fields)
            case _:
                raise UnsafeValue("not a verb of recordings")
        await self._recording.act(action, deadline_s=self._deadline_s)

    async def live_channels(self) -> Sequence[LiveChannel]:
        """Every channel the switch has now."""
        rows = await self._control.listing(AmiAction("CoreShowChannels"), deadline_s=10.0)
        return [row for row in map(_live, rows) if row is not None]

    async def _act(self, action: AmiAction) -> Message:
        return await self._control.act(action, deadline_s=self._deadline_s)


def dial_string(endpoint: Endpoint) -> tuple[str, str]:
    """What Asterisk dials to reach a far end that has a channel of its own, and the token of a socket."""
    match endpoint:
        case Trunk(number=number, trunk=trunk):
            return dial_through(number.reveal(), trunk), ""
        case Phone(name=name):
            return dial_endpoint(name), ""
        case VideoRoom(dial=dial):
            return channel_and_token(dial)  # why: nothing but a socket of ours is dialled for one
    raise UnsafeValue("a prompt or hold music cannot be dialled")


def _live(row: Message) -> LiveChannel | None:
    channel, linked = row.get("Uniqueid"), row.get("Linkedid")
    if row.name != "CoreShowChannel" or not CHANNEL_ID.fullmatch(channel):
        return None
    up = row.get("ChannelState") == "6"
    return LiveChannel(ChannelId(channel), ChannelId(linked or channel), up, row.get("Application"))
