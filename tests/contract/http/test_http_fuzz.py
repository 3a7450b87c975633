"""The API under schemathesis: whatever fits the document or just fails to, no 5xx and no other shape.

Requests go over real HTTP to the face on real storage, with a fake switch; each operation is tried by
three roles, with generated ids and with ids of things that are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.http.openapi import document
from gateway.policy.attempt import CallLimits
from tests.contract.http.served import Live, served
from tests.unit.http.rig import FROM, TO

pytestmark = pytest.mark.contract

ROLES = ("owner", "developer", "viewer")
EXAMPLES = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    result.ok().definition.raw["operationId"]: result.ok() for result in SCHEMA.get_all_operations()
}
PLENTY = CallLimits(
    frozenset({"US", "CA", "GB"}),
    concurrent=10**6,
    concurrent_per_key=10**6,
    daily_minutes=10**6,
    calls_per_minute=10**6,
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    environment = {"PATCHBAY_API_RATE_PER_MINUTE": "1000000"}
    with served(tmp_path_factory.mktemp("fuzz"), PLENTY, environment) as found:
        yield found


FRESH = count(1000)
PEOPLE = count(3000)


def _real(name: str, value: Any) -> Any:
    """What a pattern alone does not make: numbers in use, addresses that lead out, names that exist."""
    real = {
        "to": TO,
        "from": FROM,
        "connect_to": "phone:alice",
        "e164": f"+1202555{next(FRESH)}",
        "url": "https://example.com/hooks",
        "webhook_url": "https://example.com/hooks",
        "events": ["call.completed"],
        "secret": None,
        "agent_id": None,
        "announcement": None,
        "party_a": f"+1415555{next(PEOPLE)}",
        "party_b": "phone:alice",
        "members": [f"+1415555{next(PEOPLE)}"],
        "expires_at": "2026-03-09T12:00:00Z",
        "announcement_a": "Hello.",
        "announcement_b": None,
        "carrier": "trunkline",
    }
    return real[name] if name in real and value is not None else value


def _try(live: Live, role: str, operation: Any, mode: GenerationMode, checks: list[Any]) -> None:
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def attempt(case: Any, known: bool) -> None:
        if known:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = live.ids[name]
            if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
                case.body = {name: _real(name, value) for name, value in case.body.items()}
        case.headers = {**dict(case.headers or {}), "X-API-Key": live.keys[role]}
        case.headers.pop("Authorization", None)
        response = case.call(base_url=live.url)
        case.validate_response(response, checks=checks)

    attempt()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_fits_the_document_gets_a_documented_answer(live: Live, role: str, name: str):
    _try(live, role, OPERATIONS[name], GenerationMode.POSITIVE, CHECKS)


@pytest.mark.parametrize("name", sorted(name for name, op in OPERATIONS.items() if op.body or op.query))
def test_what_does_not_fit_is_refused_as_documented(live: Live, name: str):
    _try(live, "owner", OPERATIONS[name], GenerationMode.NEGATIVE, [*CHECKS, negative_data_rejection])
