"""A program of its own: pocketsphinx as a process that understands one sound after another.

The engine decodes with the interpreter locked, and what it decodes comes from strangers: in a process of its
own it holds no call up, and may fall without taking anybody along. It imports nothing of ours, so that it
starts alone. A request is a line of JSON, ``octets`` of sound behind it where it names any; so is an answer:

    {"op": "know", "words": […]}                                  → {"unknown": […]}
    {"op": "hear", "grammar": name, "jsgf": text, "octets": n}    → {"text": …, "surplus": …}

A worker must have been asked whether it knows a word before the first grammar with it.

Sound is linear, 16 kHz. ``surplus`` is by how much, a frame of 10 ms, any row of phones fits the sound better
than the sentence does: small for what was said, large for a sentence that was merely the nearest.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from typing import Any, BinaryIO

import pocketsphinx  # type: ignore[import-untyped]

_RATE = 16000
_FRAME_OCTETS = 2 * _RATE // 100
_MOST_GRAMMARS = 64
_PHONES = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y",
    "Z", "ZH",
]  # fmt: skip
_ON_THE_TELEPHONE = {"S": "F", "Z": "V"}
"""A telephone carries nothing above 4 kHz: what is left of a hiss is nearer to another one of the model."""
_ANY = "any row of phones"
_NO_FIT = 1e9


class Ears:
    """One decoder, its grammars kept by name."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(lm=None, samprate=_RATE, bestpath=False, loglevel="FATAL")
        self._logarithms = self._decoder.get_logmath()
        self._grammars: OrderedDict[str, None] = OrderedDict()
        self._met: set[str] = set()
        names = [f"_{phone.lower()}" for phone in _PHONES]
        for name, phone in zip(names, _PHONES, strict=True):
            self._decoder.add_word(name, phone, False)
        self._decoder.add_jsgf_string(_ANY, _loop(names))

    def unknown(self, words: list[str]) -> list[str]:
        """Those of these words that the dictionary does not have. The others may be heard by telephone."""
        strange = []
        for word in words:
            phones = self._decoder.lookup_word(word)
            if phones is None:
                strange.append(word)
            elif word not in self._met:
                self._met.add(word)
                dull = " ".join(_ON_THE_TELEPHONE.get(phone, phone) for phone in phones.split())
                if dull != phones:
                    self._decoder.add_word(f"{word}(9)", dull, False)
        return strange

    def hear(self, grammar: str, jsgf: str, pcm: bytes) -> tuple[str, float]:
        """What was said, and the surplus. Empty where no sentence fits at all."""
        self._admit(grammar, jsgf)
        best = self._best(grammar, pcm)
        if best is None or not best[0]:
            return "", _NO_FIT
        any_row = self._best(_ANY, pcm)
        if any_row is None:
            return "", _NO_FIT
        return best[0], (any_row[1] - best[1]) / max(1, len(pcm) // _FRAME_OCTETS)

    def _admit(self, grammar: str, jsgf: str) -> None:
        if grammar not in self._grammars:
            if len(self._grammars) >= _MOST_GRAMMARS:
                self._decoder.remove_search(self._grammars.popitem(last=False)[0])
            self._decoder.add_jsgf_string(grammar, jsgf)
            self._grammars[grammar] = None
        self._grammars.move_to_end(grammar)

    def _best(self, search: str, pcm: bytes) -> tuple[str, float] | None:
        self._decoder.activate_search(search)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return None if found is None else (found.hypstr, self._logarithms.log(found.best_score))


def _loop(names: list[str]) -> str:
    every = " | ".join(names)
    return f"#JSGF V1.0;\ngrammar any;\n<phone> = {every};\npublic <row> = <phone>+;\n"


def answer(ears: Ears, asked: dict[str, Any], sound: bytes) -> dict[str, Any]:
    """One request's answer."""
    if asked["op"] == "know":
        return {"unknown": ears.unknown(asked["words"])}
    text, surplus = ears.hear(asked["grammar"], asked["jsgf"], sound)
    return {"text": text, "surplus": round(surplus, 2)}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests. The first line is written once the engine is loaded."""
    ears = Ears()
    answers.write(b'{"ready": true}\n')
    answers.flush()
    while line := requests.readline():
        asked = json.loads(line)
        sound = requests.read(asked.get("octets", 0))
        answers.write(json.dumps(answer(ears, asked, sound)).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
