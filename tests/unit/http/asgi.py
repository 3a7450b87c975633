"""A client that speaks ASGI itself: it can send what no well-behaved client would."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Json = Any


@dataclass(frozen=True)
class Answer:
    """What came back over ASGI."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def data(self) -> Json:
        assert self.status < 300, (self.status, self.body)
        return self.json["data"]

    @property
    def error(self) -> Json:
        assert self.status >= 400, (self.status, self.body)
        return self.json["error"]

    @property
    def code(self) -> str:
        return str(self.error["code"])

    @property
    def field(self) -> str | None:
        return self.error["details"].get("field")


class Client:
    """Talks to an ASGI application without a network."""

    def __init__(self, app: Any, key: str | None = None, address: str = "192.0.2.7") -> None:
        self._app = app
        self.key = key
        self.address = address

    def having(self, key: str | None) -> Client:
        return Client(self._app, key, self.address)

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        **more: str,
    ) -> Answer:
        """One request; ``body`` is sent as JSON, or as it is if it is bytes."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = [(b"host", b"test")]
        if self.key is not None:
            sent.append((b"x-api-key", self.key.encode()))
        names = {name.lower() for name in headers or {}}
        if body is not None and "content-type" not in names:
            sent.append((b"content-type", b"application/json"))
        sent += [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        return await self.raw(method, path, sent, [raw])

    async def raw(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]], chunks: Sequence[bytes]
    ) -> Answer:
        """One request with exactly these headers and these pieces of body."""
        split = urlsplit(path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": split.path,
            "raw_path": split.path.encode(),
            "query_string": split.query.encode(),
            "root_path": "",
            "headers": list(headers),
            "client": (self.address, 40000),
            "server": ("test", 80),
        }
        pending = list(chunks)
        told: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not pending:
                return {"type": "http.disconnect"}
            piece = pending.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pending)}

        async def send(message: dict[str, Any]) -> None:
            told.append(message)

        await self._app(scope, receive, send)
        if not told:
            return Answer(0, {}, b"")
        received: dict[str, str] = {}
        for name, value in told[0]["headers"]:
            assert name.decode() not in received, f"{name!r} is sent twice"
            received[name.decode()] = value.decode()
        answer = b"".join(message.get("body", b"") for message in told[1:])
        assert told[-1].get("more_body", False) is False
        return Answer(told[0]["status"], received, answer)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.ask("POST", path, body, headers)
