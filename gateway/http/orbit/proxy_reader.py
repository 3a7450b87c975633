"""Reads a request for a masking session, whoever asks: a client of the API, or the application in a hook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from gateway.http import ports
from gateway.http.face import Face
from gateway.http.orbit.proxy_people import Judges, judges_of, seatings, wanted_a, wanted_others
from gateway.http.orbit.proxy_schemas import OpenSession
from gateway.http.orbit.proxy_terms import check_expiry, check_pins_given, session_terms
from gateway.http.schema import parse
from proxy_pool.core.session import Model
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.desk import NewSession
from telephony.ids import TenantId


@dataclass(frozen=True, slots=True)
class SessionReader:
    """What a session request is judged by. ``now`` is epoch seconds; ``settings`` the service's own."""

    judges: Judges
    prompts: ports.Prompts
    webhooks: ports.Webhooks
    settings: Callable[[TenantId], Awaitable[ServiceSettings]]
    now: Callable[[], float]

    async def read(self, tenant: TenantId, given: Mapping[str, object]) -> NewSession:
        """The session that a request's JSON body asks for. Raises InvalidInput and its kin, naming the field;
        SpeechUnavailable, StorageUnavailable."""
        return await self.new_session(tenant, parse(OpenSession, dict(given)))

    async def new_session(self, tenant: TenantId, wanted: OpenSession) -> NewSession:
        """The same, from the body as its schema reads it."""
        check_pins_given(wanted)
        if wanted.expires_at is not None:
            longest = wanted.max_lifetime or (await self.settings(tenant)).terms.max_lifetime_s
            now = self.now()
            check_expiry(wanted.expires_at, now, now + longest)
        party_a, url = wanted_a(wanted), wanted.webhook_url
        assert party_a is not None
        a, *others = await seatings(self.judges, tenant, (party_a, *wanted_others(wanted)))
        return NewSession(
            a=a,
            others=tuple(others),
            model=Model(wanted.model),
            extension=wanted.extension or "",
            unique_name=wanted.unique_name or "",
            metadata=tuple(wanted.metadata.items()),
            webhook_url=None if url is None else self.webhooks.check_url(url, "webhook_url"),
            terms=await session_terms(self.prompts, tenant, wanted),
        )


def reader_of(face: Face, settings: Callable[[TenantId], Awaitable[ServiceSettings]]) -> SessionReader:
    """The reader that stands on what the face stands on."""
    return SessionReader(
        judges=judges_of(face),
        prompts=face.prompts,
        webhooks=face.webhooks,
        settings=settings,
        now=lambda: face.clock.wall().timestamp(),
    )
