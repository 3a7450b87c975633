"""Keys made over the API: shown once, no stronger than their maker."""

import pytest

from gateway.auth import GRANTABLE, SCOPES, hash_key, mint, scopes_for, well_formed
from gateway.storage.records import KeyMode, KeyRole
from telephony.errors import InvalidInput
from tests.unit.http.rig import OURS, Rig

pytestmark = pytest.mark.unit

PATH = "/api/v1/settings/api-keys"


async def test_a_key_is_shown_once_and_not_to_be_stored(rig: Rig):
    answer = await rig.client.post(
        PATH,
        {
            "name": "CRM",
            "type": "secret",
            "role": "developer",
            "scopes": ["calls:read"],
            "mode": "live",
            "expiresIn": "30d",
            "allowed_ips": ["192.0.2.1", "2001:db8::/32"],
        },
    )
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    key = answer.data
    assert key["value"].startswith("pb_live_sk_")
    assert key["value"].endswith(key["last4"])
    assert key["expires_at"] == "2026-04-07T12:00:00.000Z"
    assert key["allowed_ips"] == ["192.0.2.1/32", "2001:db8::/32"]
    assert (key["role"], key["scopes"], key["active"]) == ("developer", ["calls:read"], True)
    listed = (await rig.client.get(PATH)).data[0]
    assert listed == {**key, "value": None}
    assert key["value"] not in (await rig.client.get(PATH)).body.decode()


async def test_only_the_hash_is_kept(rig: Rig):
    value = (await rig.client.post(PATH, {"name": "x"})).data["value"]
    kept = await rig.face.books.keys.find_by_hash(hash_key(value))
    assert kept is not None
    assert value not in repr(kept)
    assert kept.hash not in repr(kept)


async def test_without_scopes_a_key_has_those_of_its_role(rig: Rig):
    key = (await rig.client.post(PATH, {"name": "x", "role": "viewer"})).data
    assert key["scopes"] == [
        "calls:read",
        "recordings:read",
        "numbers:read",
        "webhooks:read",
        "proxy:read",
        "agents:read",
        "video:read",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "x", "role": "viewer", "scopes": ["calls:write"]}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes.0"),
        ({"name": "x", "expiresIn": "2d"}, "expiresIn"),
        ({"name": "x", "mode": "sandbox"}, "mode"),
        ({"name": "x", "type": "public"}, "type"),
        ({"name": "x", "allowed_ips": ["999.1.1.1"]}, "allowed_ips.0"),
        ({"name": "x", "allowed_ips": ["10.0.0.0/8"] * 51}, "allowed_ips"),
    ],
)
async def test_what_breaks_a_rule_is_named(rig: Rig, body: dict[str, object], field: str):
    answer = await rig.client.post(PATH, body)
    assert (answer.status, answer.field) == (422, field)


async def test_nobody_hands_out_more_than_they_have(rig: Rig):
    admin = rig.as_role("admin")
    assert (await admin.post(PATH, {"name": "x", "role": "owner"})).status == 403
    assert (await admin.post(PATH, {"name": "x", "role": "admin"})).status == 201
    narrow = rig.client.having(await rig.key("owner", scopes=("keys:write", "calls:read")))
    assert (await narrow.post(PATH, {"name": "x", "role": "viewer"})).status == 403
    assert (await narrow.post(PATH, {"name": "x", "role": "viewer", "scopes": ["calls:read"]})).status == 201


async def test_an_admin_cannot_revoke_an_owner(rig: Rig):
    keys = (await rig.client.get(f"{PATH}?limit=100")).data
    owner = next(key for key in keys if key["role"] == "owner")
    assert (await rig.as_role("admin").ask("DELETE", f"{PATH}/{owner['id']}")).status == 403
    assert (await rig.as_role("owner").ask("DELETE", f"{PATH}/{owner['id']}")).status in (204, 401)


async def test_a_revoked_key_stays_listed(rig: Rig):
    key = (await rig.client.post(PATH, {"name": "x"})).data
    assert (await rig.client.ask("DELETE", f"{PATH}/{key['id']}")).status == 204
    assert (await rig.client.ask("DELETE", f"{PATH}/{key['id']}")).status == 204
    listed = (await rig.client.get(PATH)).data[0]
    assert (listed["id"], listed["active"]) == (key["id"], False)
    assert listed["revoked_at"]
    assert (await rig.client.ask("DELETE", f"{PATH}/key_nope")).status == 404
    actions = [entry.action for entry in await rig.face.books.audit.entries(OURS)]
    assert actions == ["key.created", "key.revoked", "key.revoked"]


@pytest.mark.parametrize("mode", list(KeyMode))
def test_a_minted_key_is_well_formed_and_every_slip_is_noticed(mode: KeyMode):
    minted = mint(mode, bytes(range(32)))
    text = minted.text
    assert well_formed(text)
    assert text.startswith(f"pb_{mode.value}_sk_")
    assert text not in repr(minted)
    for at in range(len(text)):
        slipped = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert not well_formed(slipped)
    for other in (text[:-1], text + "0", " " + text, text + "\n", text.upper(), ""):
        assert not well_formed(other)


def test_a_key_holds_all_of_its_random_bytes():
    texts = {mint(KeyMode.LIVE, bytes([n]) + b"\xff" * 31).text for n in range(256)}
    assert len(texts) == 256
    assert len({len(text) for text in texts}) == 1
    with pytest.raises(ValueError, match="32"):
        mint(KeyMode.LIVE, b"short")


@pytest.mark.parametrize("scope", SCOPES)
def test_no_role_can_be_given_scopes_beyond_it(scope: str):
    assert scopes_for(KeyRole.OWNER, (scope,)) == (scope,)
    for role in KeyRole:
        if scope in GRANTABLE[role]:
            assert scopes_for(role, (scope, scope)) == (scope,)
        else:
            with pytest.raises(InvalidInput) as refused:
                scopes_for(role, (scope,))
            assert (refused.value.field, refused.value.value) == ("scopes", scope)
