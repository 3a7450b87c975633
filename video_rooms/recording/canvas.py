"""The picture of a recording: everybody's latest frame, put into the grid. Brightness and colour are planes
of 4:2:0 (I420), as cameras send them and encoders take them; nothing is converted."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from video_rooms.core.tiles import Tile, fitted, grid

Plane = npt.NDArray[np.uint8]
_BLACK: Final = (16, 128, 128)
_SPEAKING: Final = (170, 90, 60)
_EDGE: Final = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame: planes of brightness (height × width) and two of colour (half of each)."""

    y: Plane
    u: Plane
    v: Plane


@dataclass(frozen=True, slots=True)
class Face:
    """Somebody in the room. ``picture`` None: no camera; a colour of their own stands for them."""

    identity: str
    picture: Picture | None
    speaking: bool = False


def picture_of(i420: memoryview | bytes, width: int, height: int) -> Picture:
    """The planes of a frame without padding; its size is even, or the last row and column are left out."""
    octets = np.frombuffer(i420, dtype=np.uint8)
    half_w, half_h = (width + 1) // 2, (height + 1) // 2
    bright, colour = width * height, half_w * half_h
    return Picture(
        octets[:bright].reshape(height, width),
        octets[bright : bright + colour].reshape(half_h, half_w),
        octets[bright + colour : bright + 2 * colour].reshape(half_h, half_w),
    )


class Canvas:
    """Draws; one picture at a time."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height

    def draw(self, faces: list[Face]) -> bytes:
        """One I420 frame of the whole size."""
        planes = self._blank()
        for face, tile in zip(faces, grid(len(faces), self._width, self._height), strict=False):
            if face.picture is None:
                _fill(planes, tile, _colour_of(face.identity))
            else:
                _place(planes, face.picture, tile)
            if face.speaking and len(faces) > 1:
                _frame(planes, tile)
        return planes.y.tobytes() + planes.u.tobytes() + planes.v.tobytes()

    def _blank(self) -> Picture:
        width, height = self._width, self._height
        return Picture(
            np.full((height, width), _BLACK[0], np.uint8),
            np.full((height // 2, width // 2), _BLACK[1], np.uint8),
            np.full((height // 2, width // 2), _BLACK[2], np.uint8),
        )


def _place(planes: Picture, picture: Picture, tile: Tile) -> None:
    height, width = picture.y.shape
    spot = fitted(width, height, tile)
    if not spot.width:
        return
    _paste(planes.y, picture.y, spot.x, spot.y, spot.width, spot.height)
    for plane, source in ((planes.u, picture.u), (planes.v, picture.v)):
        _paste(plane, source, spot.x // 2, spot.y // 2, spot.width // 2, spot.height // 2)


def _paste(plane: Plane, source: Plane, x: int, y: int, width: int, height: int) -> None:
    """The nearest sample of the source for each one of the rectangle: no blur, and little work."""
    rows = (np.arange(height) * source.shape[0]) // height
    columns = (np.arange(width) * source.shape[1]) // width
    plane[y : y + height, x : x + width] = source[rows[:, None], columns[None, :]]


def _fill(planes: Picture, tile: Tile, colour: tuple[int, int, int]) -> None:
    x, y, width, height = tile.x, tile.y, tile.width, tile.height
    planes.y[y : y + height, x : x + width] = colour[0]
    planes.u[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] = colour[1]
    planes.v[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] = colour[2]


def _frame(planes: Picture, tile: Tile) -> None:
    """A line around whoever speaks."""
    inner = _EDGE
    for edge in (
        Tile(tile.x, tile.y, tile.width, inner),
        Tile(tile.x, tile.y + tile.height - inner, tile.width, inner),
        Tile(tile.x, tile.y, inner, tile.height),
        Tile(tile.x + tile.width - inner, tile.y, inner, tile.height),
    ):
        _fill(planes, edge, _SPEAKING)


def _colour_of(identity: str) -> tuple[int, int, int]:
    """A dark colour that is the same for the same person in every recording."""
    mixed = zlib.crc32(identity.encode())
    return 60, 96 + mixed % 64, 96 + (mixed >> 8) % 64
