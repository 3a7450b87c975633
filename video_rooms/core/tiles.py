"""Where each face goes in the picture: a grid that fills it, the last row centred. Pure; pixels.

Every number is even, since colour has half the resolution of brightness (4:2:0).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt
from typing import Final

MOST: Final = 16
"""More faces than this are heard, and not seen."""
_GAP: Final = 4


@dataclass(frozen=True, slots=True)
class Tile:
    x: int
    y: int
    width: int
    height: int


def grid(faces: int, width: int, height: int) -> tuple[Tile, ...]:
    """One tile for each of so many faces, at most ``MOST``, in the order of reading.

    >>> grid(1, 640, 360)
    (Tile(x=0, y=0, width=640, height=360),)
    """
    faces = min(faces, MOST)
    if faces <= 0:
        return ()
    if faces == 1:
        return (Tile(0, 0, width, height),)
    columns = isqrt(faces - 1) + 1
    rows = ceil(faces / columns)
    wide, high = _even((width - _GAP * (columns - 1)) // columns), _even((height - _GAP * (rows - 1)) // rows)
    tiles = []
    for place in range(faces):
        row, column = divmod(place, columns)
        in_row = min(columns, faces - row * columns)
        left = _even((width - in_row * wide - (in_row - 1) * _GAP) // 2)
        tiles.append(Tile(left + column * (wide + _GAP), row * (high + _GAP), wide, high))
    return tuple(tiles)


def fitted(width: int, height: int, tile: Tile) -> Tile:
    """The part of the tile that a picture of this size fills, whole and in its own proportions."""
    if width <= 0 or height <= 0:
        return Tile(tile.x, tile.y, 0, 0)
    if width * tile.height >= height * tile.width:
        wide, high = tile.width, _even(height * tile.width // width)
    else:
        wide, high = _even(width * tile.height // height), tile.height
    wide, high = max(2, wide), max(2, high)
    return Tile(
        tile.x + _even((tile.width - wide) // 2), tile.y + _even((tile.height - high) // 2), wide, high
    )


def _even(number: int) -> int:
    return number & ~1
