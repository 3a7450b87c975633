"""What an OpenAI model has said in sound, item by item, and how much of each the caller has heard.

The model makes sound several times faster than it is heard. Each item gets a mark of ours behind its last
sound; marks and the times told with an interruption give the milliseconds for ``conversation.item.truncate``.
"""

from __future__ import annotations

from dataclasses import dataclass

from voice_agents.core.audio import Codec


@dataclass(slots=True)
class SpokenItem:
    """``octets`` of sound so far; ``mark`` is set behind its last."""

    id: str
    mark: str
    octets: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The item ends for the caller after ``heard_ms``."""

    item_id: str
    heard_ms: int


class SpokenItems:
    """The items that the caller has not heard to their end."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._items: list[SpokenItem] = []
        self._numbered = 0

    def sound(self, item_id: str, octets: int) -> None:
        """More sound of this item."""
        if not self._items or self._items[-1].id != item_id:
            self._numbered += 1
            self._items.append(SpokenItem(item_id, f"item-{self._numbered}"))
        self._items[-1].octets += octets

    def whole(self, item_id: str) -> str | None:
        """No more sound of this item will come: the mark to be set; None for one that made no sound."""
        for item in self._items:
            if item.id == item_id and not item.whole:
                item.whole = True
                return item.mark
        return None

    def reached(self, mark: str) -> None:
        """What came before this mark was heard."""
        for place, item in enumerate(self._items):
            if item.mark == mark:
                del self._items[: place + 1]
                return

    def cut(self, heard_ms: int) -> tuple[Cut, ...]:
        """The caller heard this much of what is left, and will hear nothing more of it."""
        cuts, left = [], heard_ms
        for item in self._items:
            made = self._codec.ms(item.octets)
            heard = max(0, min(left, made))
            left -= heard
            if heard < made or not item.whole:
                cuts.append(Cut(item.id, heard))
        self._items.clear()
        return tuple(cuts)
