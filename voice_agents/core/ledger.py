"""The playout ledger: what was queued for the caller, how much of it was heard, and the turns this makes.

A place is a count of milliseconds of all sound ever queued, ours too. Marks that come back say exactly where
the caller's ear is; between them, and where they are late or missing, the played time does. Mutable, no I/O:
one a session, kept by its shell.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.heard import Piece, heard_text
from voice_agents.core.transcript import MASK, ToolUse, Turn, in_order

SAME_TURN_MS = 1000
"""A silence of the agent that is shorter than this does not end its turn."""
ARRIVING_MS = 400
"""Sound that came so lately is not known to be the last of its turn."""
_DIGITS_TOGETHER_MS = 3000
MOST_TURNS = 2000
"""More turns than this are counted, not kept."""


@dataclass(slots=True)
class _Spoken:
    """A turn of the agent's while it is made."""

    place: int
    start_ms: int
    end: int
    pieces: list[Piece] = field(default_factory=list)
    captioned: bool = False
    """Its words have come to their end."""
    heard_until: int | None = None
    """Where the caller's ear was when the rest was dropped."""
    heard: str = ""
    over_ms: int | None = None
    """When all that had come of it was heard, on the audio clock."""
    arrived_ms: int = 0
    mark: str = ""
    mark_place: int = 0
    source: str = "agent"


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of the present turn was heard when the rest was dropped."""

    heard_ms: int = 0
    heard_text: str = ""
    after_mark: str = ""
    after_mark_ms: int = 0


class Ledger:
    """One session's sound and words."""

    def __init__(self, codec: Codec, *, mask_digits: bool = False) -> None:
        self._codec, self._mask = codec, mask_digits
        self._octets = 0
        self._anchor = self._anchor_heard = 0
        self._turns: list[Turn] = []
        self._open: _Spoken | None = None
        self._done: list[_Spoken] = []
        self._speech: list[tuple[int, int]] = []
        self._speech_since: int | None = None
        self._tools: dict[str, int] = {}
        self._digits: int | None = None
        self._agents_words = False
        self.agent_ms = self.dropped_ms = self.untold_turns = 0

    # ------------------------------------------------------------ places

    @property
    def place(self) -> int:
        """The place of what is queued next."""
        return self._octets * FRAME_MS // self._codec.frame_bytes

    def ear(self, heard_ms: int) -> int:
        """The place the caller hears, where the leg has played ``heard_ms`` in all."""
        return min(self.place, self._anchor + max(0, heard_ms - self._anchor_heard))

    def reached(self, place: int, heard_ms: int) -> None:
        """A mark at this place was heard."""
        if place > self._anchor:
            self._anchor, self._anchor_heard = place, heard_ms

    def other(self, octets: int) -> None:
        """Sound of ours was queued: a prompt, a tone."""
        self._octets += octets

    # ------------------------------------------------------------ the agent

    def begins_turn(self, at_ms: int) -> bool:
        """Whether sound that comes now is the beginning of a turn of the agent's."""
        turn = self._open
        return turn is None or (turn.over_ms is not None and at_ms - turn.over_ms > SAME_TURN_MS)

    def sound(self, octets: int, at_ms: int, queued_ms: int) -> None:
        """Sound of the agent was queued, behind ``queued_ms`` of others."""
        turn = self._open
        if turn is not None and turn.end > turn.place and self.begins_turn(at_ms):
            self._close()
            turn = None
        if turn is None:
            turn = self._open = _Spoken(self.place, at_ms + queued_ms, self.place)
        elif turn.end == turn.place:
            # Its words were first: the sound they are about begins here.
            turn.place = turn.end = self.place
            turn.start_ms = at_ms + queued_ms
            turn.pieces = [Piece(self.place, piece.text) for piece in turn.pieces]
        before = self.place
        self._octets += octets
        self.agent_ms += self.place - before
        turn.end, turn.over_ms, turn.arrived_ms = self.place, None, at_ms

    def started(self, place: int, at_ms: int) -> None:
        """The first sound of the turn at this place was heard now."""
        if self._open is not None and self._open.place == place:
            self._open.start_ms = at_ms

    def caption(self, text: str, at_ms: int, *, final: bool, source: str = "agent") -> None:
        """Words of the agent's sound: of the present turn while that has not all its words, else the next."""
        turn = self._open
        if turn is None and self._done and self._done[-1].heard_until is not None:
            last = self._done[-1]
            if not last.captioned:
                # Words of a turn that was cut short: said, but not heard.
                last.pieces.append(Piece(last.end, text))
                last.captioned = final
                return
        if turn is None or (turn.captioned and turn.over_ms is not None):
            self._close()
            turn = self._open = _Spoken(self.place, at_ms, self.place, source=source)
        if turn.captioned and text and turn.pieces:
            text = " " + text
        turn.pieces.append(Piece(self.place, text))
        turn.captioned = final

    def mark_heard(self, name: str, place: int) -> None:
        """A mark of the agent's was reached."""
        turn = self._open
        if turn is not None and turn.place <= place <= turn.end:
            turn.mark, turn.mark_place = name, place

    def over(self, at_ms: int) -> None:
        """All that was queued has been heard."""
        if self._open is not None and self._open.end > self._open.place:
            self._open.over_ms = at_ms

    def other_ear(self) -> None:
        """The caller comes back on another channel, whose count begins anew."""
        self._anchor, self._anchor_heard = self.place, 0

    def cut(self, heard_ms: int, at_ms: int) -> Cut:
        """What was not heard has been dropped. Returns how much of the present turn was heard."""
        ear = self.ear(heard_ms)
        turn = self._open
        self.dropped_ms += self.place - ear
        self._anchor, self._anchor_heard = self.place, heard_ms
        if turn is None or turn.end == turn.place:
            return Cut()
        until = max(turn.place, min(ear, turn.end))
        complete = turn.over_ms is not None or at_ms - turn.arrived_ms > ARRIVING_MS
        turn.heard = heard_text(turn.pieces, turn.place, turn.end, until, complete=complete).strip()
        turn.heard_until = until
        turn.over_ms = at_ms
        spoken_ms = until - turn.place
        marked = bool(turn.mark) and until >= turn.mark_place
        cut = Cut(
            spoken_ms,
            turn.heard,
            turn.mark if marked else "",
            until - turn.mark_place if marked else spoken_ms,
        )
        self._close()
        return cut

    def _close(self) -> None:
        if self._open is not None:
            if self._open.pieces or self._open.end > self._open.place:
                self._done.append(self._open)
            self._open = None
        if len(self._done) > 1:
            for turn in self._done[:-1]:
                self._add(_as_turn(turn))
            del self._done[:-1]

    # ------------------------------------------------------------ the caller

    def speech_began(self, at_ms: int) -> None:
        self._speech_since = at_ms
        self._digits = None
        if self._open is not None and self._open.over_ms is not None:
            self._close()

    def speech_over(self, at_ms: int) -> None:
        if self._speech_since is not None:
            self._speech.append((self._speech_since, max(at_ms, self._speech_since)))
            self._speech_since = None

    def utterance(self, text: str, start_ms: int, end_ms: int, confidence: float) -> None:
        """What our own ears understood; of no use once the agent tells what its own did."""
        if not self._agents_words:
            self._claim(start_ms, end_ms)
            self._add(Turn("caller", text, text, start_ms, end_ms, False, "gateway", confidence))

    def callers_words(self, text: str, at_ms: int) -> None:
        """What the agent understood the caller to say, up to now."""
        self._agents_words = True
        spans = self._speech or [(at_ms if self._speech_since is None else self._speech_since, at_ms)]
        self._speech = []
        self._add(Turn("caller", text, text, spans[0][0], max(end for _, end in spans), source="provider"))

    def _claim(self, start_ms: int, end_ms: int) -> None:
        """Speech whose words are known now is no turn without words."""
        self._speech = [(a, b) for a, b in self._speech if b < start_ms or a > end_ms]

    def digit(self, digit: str, at_ms: int, *, by: str = "caller") -> None:
        """A key that was pressed, or (``by`` ``agent``) digits that were played."""
        shown = MASK * len(digit) if self._mask and by == "caller" else digit
        last = self._turns[self._digits] if self._digits is not None else None
        if last is not None and last.source == by and at_ms - last.end_ms <= _DIGITS_TOGETHER_MS:
            assert self._digits is not None
            said = last.said + shown
            self._turns[self._digits] = replace(last, said=said, heard=said, end_ms=at_ms)
            return
        self._digits = len(self._turns)
        self._add(Turn("digits", shown, shown, at_ms, at_ms, source=by))

    # ------------------------------------------------------------ others

    def prompt(self, text: str, start_ms: int, end_ms: int, heard: bool) -> None:
        """A prompt of ours is over."""
        self._add(Turn("gateway", text, text if heard else "", start_ms, end_ms, not heard, "gateway"))

    def tool(self, id_: str, name: str, at_ms: int) -> None:
        """A tool began to work."""
        self._tools[id_] = len(self._turns)
        self._add(Turn("tool", name, name, at_ms, at_ms, tools=(ToolUse(id_, name, False, "unanswered"),)))

    def tool_done(self, id_: str, ok: bool, error: str, at_ms: int) -> None:
        """A tool's answer is there."""
        at = self._tools.pop(id_, None)
        if at is not None and at < len(self._turns):
            turn = self._turns[at]
            use = replace(turn.tools[0], ok=ok, error=error)
            self._turns[at] = replace(turn, end_ms=at_ms, tools=(use,))

    def _add(self, turn: Turn) -> None:
        if len(self._turns) >= MOST_TURNS:
            self.untold_turns += 1
        else:
            self._turns.append(turn)

    @property
    def count(self) -> int:
        """How many turns there are."""
        return len(self._turns) + len(self._done) + (self._open is not None)

    def turns(self, heard_ms: int, at_ms: int) -> tuple[Turn, ...]:
        """The transcript as it stands, in the order of the audio clock."""
        spoken = [_as_turn(turn) for turn in self._done]
        if self._open is not None and (self._open.pieces or self._open.end > self._open.place):
            spoken.append(_so_far(self._open, self.ear(heard_ms), at_ms))
        unknown = [Turn("caller", "", "", a, b, source="gateway", confidence=0.0) for a, b in self._speech]
        return in_order([*self._turns, *spoken, *unknown])


def _said(turn: _Spoken) -> str:
    return "".join(piece.text for piece in turn.pieces).strip()


def _as_turn(turn: _Spoken) -> Turn:
    said = _said(turn)
    cut = turn.heard_until is not None and turn.heard_until < turn.end
    heard = turn.heard if turn.heard_until is not None else said
    if turn.end == turn.place:
        heard = ""  # words without any sound: nobody heard them
    end_ms = turn.start_ms + turn.end - turn.place if turn.over_ms is None else turn.over_ms
    return Turn("agent", said, heard, turn.start_ms, max(turn.start_ms, end_ms), cut, turn.source)


def _so_far(turn: _Spoken, ear: int, at_ms: int) -> Turn:
    """A turn that is being spoken."""
    if turn.over_ms is not None or turn.end == turn.place:
        return _as_turn(turn)
    until = max(turn.place, min(ear, turn.end))
    complete = at_ms - turn.arrived_ms > ARRIVING_MS
    heard = heard_text(turn.pieces, turn.place, turn.end, until, complete=complete).strip()
    return Turn("agent", _said(turn), heard, turn.start_ms, max(turn.start_ms, at_ms), source=turn.source)
