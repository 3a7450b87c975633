"""What the templates become, and what never gets into them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

from gateway.config import AmiLogin, AmiLogins, Secret
from gateway.config_room_sip import RoomSipEnd
from gateway.runtime.plan import Credentials, Phone, SipPlan, SwitchPlan, Trunk, demo_plan
from gateway.runtime.prefix import AsteriskDirs
from gateway.runtime.switch_config import (
    SwitchConfig,
    SwitchFolders,
    SwitchLimits,
    SwitchPorts,
    allowed_sources,
    render,
    safe_value,
)
from telephony.errors import UnsafeValue

pytestmark = pytest.mark.unit

PASSWORDS = {"alice": Secret("alice-password"), "bob": Secret("bob-password")}


PRIVATE = (
    "direct_media", "send_diversion", "send_history_info", "send_pai", "send_rpid", "send_connected_line",
    "trust_connected_line", "trust_id_inbound", "trust_id_outbound", "allow_transfer", "allow_subscribe",
)  # fmt: skip


def config(folder: Path, plan: SwitchPlan | None = None) -> SwitchConfig:
    logins = AmiLogins(
        *(AmiLogin(f"patchbay-{role}", Secret(role * 4)) for role in ("control", "recording", "events"))
    )
    return SwitchConfig(
        plan=plan or demo_plan(PASSWORDS),
        folders=SwitchFolders(folder, folder / "run", folder / "rec", folder / "snd"),
        program=AsteriskDirs(folder / "modules", folder / "shared"),
        ports=SwitchPorts(ami=5038, sip=5060, rtp_first=20000, rtp_last=20099),
        logins=logins,
        agi=("127.0.0.1", 4573),
    )


def section(text: str, name: str, of_type: str | None = None) -> dict[str, str]:
    """The keys of the first section with this name (and type)."""
    for block in re.split(r"^(?=\[)", text, flags=re.MULTILINE):
        keys = dict(re.findall(r"^([\w-]+) = (.*)$", block, re.MULTILINE))
        if block.startswith(f"[{name}]") and (of_type is None or keys.get("type") == of_type):
            return keys
    raise AssertionError(f"no section [{name}]")


@pytest.mark.parametrize(
    "value",
    ["a\nb", "a\rb", "a\0b", "a;b", "a\tb", "a]b", "[a", 'a"b', "a\\b", "a`b", " a", "a ", "#exec x", "> x",
     "${SHELL(x)}", "x" * 600, True, None, 1.5, ["a"], b"a", "a\u2028b", "a\x7fb"],
)  # fmt: skip
def test_a_dangerous_value_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(UnsafeValue) as caught:
        safe_value(value)
    assert str(value) not in str(caught.value) or len(str(value)) < 4


@pytest.mark.parametrize(
    "value", ["carrier", "sip.example.net", 5060, Path("/home/zoë/var"), "p@ss,word=1", ""]
)
def test_an_ordinary_value_passes(value: object) -> None:
    assert safe_value(value) == value


@pytest.mark.parametrize("evil", ["x\n[evil]\ntype=endpoint", "x;y", "x\\;transport=tcp"])
def test_injection_through_any_field_of_a_plan_is_stopped(tmp_path: Path, evil: str) -> None:
    honest = Trunk("carrier", "192.0.2.1", identify=("192.0.2.1",))
    plans = [
        SwitchPlan(trunks=(replace(honest, name=evil),)),
        SwitchPlan(trunks=(replace(honest, host=evil),)),
        SwitchPlan(trunks=(replace(honest, identify=(evil,)),)),
        SwitchPlan(trunks=(replace(honest, codecs=(evil,)),)),
        SwitchPlan(trunks=(replace(honest, auth=Credentials(evil, Secret("x"))),)),
        SwitchPlan(trunks=(replace(honest, register=Credentials("x", Secret(evil))),)),
        SwitchPlan(phones=(Phone("alice", Secret(evil)),)),
        SwitchPlan(sip=SipPlan(external_address=evil)),
    ]
    for plan in plans:
        with pytest.raises(UnsafeValue):
            render(config(tmp_path, plan))


def test_a_name_a_template_does_not_get_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "odd.conf.j2").write_text("a = {{ nobody_gives_this }}\n")
    with pytest.raises(jinja2.UndefinedError):
        render(config(tmp_path), tmp_path)


def test_each_who_carries_telephones_into_rooms_has_a_connection_of_its_own(tmp_path: Path) -> None:
    plain = config(tmp_path)
    assert "[room" not in render(plain)["websocket_client.conf"]
    text = render(replace(plain, media=("127.0.0.1", 4574), room_media=(4580, 4581)))["websocket_client.conf"]
    uris = {name: section(text, name)["uri"] for name in ("patchbay", "room0", "room1")}
    assert uris == {
        "patchbay": "ws://127.0.0.1:4574/media",
        "room0": "ws://127.0.0.1:4580/media",
        "room1": "ws://127.0.0.1:4581/media",
    }
    assert section(text, "room0") | {"uri": ""} == section(text, "patchbay") | {"uri": ""}
    assert "[room2]" not in text


def test_nothing_of_one_party_reaches_the_other(tmp_path: Path) -> None:
    shared = section(render(config(tmp_path))["pjsip.conf"], "private")
    for key in PRIVATE:
        assert shared[key] == "no", key
    assert shared["rtp_timeout"] == "60"


def test_every_endpoint_shares_the_private_template(tmp_path: Path) -> None:
    text = render(config(tmp_path))["pjsip.conf"]
    for name, context in (("carrier", "from-trunk"), ("alice", "from-phone"), ("bob", "from-phone")):
        assert re.search(rf"^\[{name}\]\(private\)\ncontext = {context}$", text, re.MULTILINE)
    assert "anonymous]" not in text


def test_what_is_rung_by_order_has_an_endpoint_of_its_own_that_nobody_can_call_in_by(tmp_path: Path) -> None:
    text = render(config(tmp_path))["pjsip.conf"]
    for name in ("carrier", "alice"):
        inward, outward = section(text, name, None), section(text, f"{name}@_")
        assert outward.pop("identify_by") == "ip"
        inward.pop("identify_by")
        assert outward == inward
    assert "@_" not in section(text, "carrier", "identify")["endpoint"]
    assert section(text, "private")["redirect_method"] == "uri_core"
    assert section(text, "global")["disable_multi_domain"] == "yes"


def test_a_trunk_is_known_by_address_and_a_phone_by_password(tmp_path: Path) -> None:
    text = render(config(tmp_path))["pjsip.conf"]
    assert section(text, "carrier", "identify")["match"] == "127.0.0.2"
    assert section(text, "alice", "auth")["password"] == "alice-password"
    assert section(text, "alice", "aor")["max_contacts"] == "1"


@pytest.mark.parametrize(
    ("trunk", "contact"),
    [
        (Trunk("t", "192.0.2.1", 5070, identify=("192.0.2.1",)), "sip:192.0.2.1:5070"),
        (Trunk("t", "192.0.2.1", 5070, "tcp", ("192.0.2.1",)), r"sip:192.0.2.1:5070\;transport=tcp"),
        (Trunk("t", "2001:db8::1", identify=("2001:db8::1",)), "sip:[2001:db8::1]:5060"),
    ],
)
def test_where_a_trunk_is_called(tmp_path: Path, trunk: Trunk, contact: str) -> None:
    text = render(config(tmp_path, SwitchPlan(trunks=(trunk,))))["pjsip.conf"]
    assert section(text, "t", "aor")["contact"] == contact


def test_a_tls_trunk_must_prove_itself_to_the_authority_that_the_plan_names(tmp_path: Path) -> None:
    sip = SipPlan(tls_port=5061, tls_cert="/c.pem", tls_key="/k.pem", tls_ca="/carriers.pem")
    trunk = Trunk("t", "192.0.2.1", transport="tls", identify=("192.0.2.1",))
    keys = section(render(config(tmp_path, SwitchPlan((trunk,), sip=sip)))["pjsip.conf"], "transport-tls")
    assert (keys["verify_server"], keys["ca_list_file"]) == ("yes", "/carriers.pem")


@pytest.mark.parametrize(("srtp", "optimistic"), [("off", None), ("preferred", "yes"), ("required", "no")])
def test_srtp_is_as_the_plan_says(tmp_path: Path, srtp: str, optimistic: str | None) -> None:
    trunk = Trunk("t", "192.0.2.1", identify=("192.0.2.1",), srtp=srtp)  # type: ignore[arg-type]
    text = render(config(tmp_path, SwitchPlan(trunks=(trunk,))))["pjsip.conf"]
    for name in ("t", "t@_"):
        keys = section(text, name)
        assert keys.get("media_encryption_optimistic") == optimistic
        assert keys.get("media_encryption") == (None if srtp == "off" else "sdes")


def test_ami_has_three_users_on_loopback_and_none_may_run_commands(tmp_path: Path) -> None:
    text = render(config(tmp_path))["manager.conf"]
    users = re.findall(r"^\[(patchbay-\w+)\]$", text, re.MULTILINE)
    assert users == ["patchbay-control", "patchbay-recording", "patchbay-events"]
    assert section(text, "general")["bindaddr"] == "127.0.0.1"
    for user in users:
        keys = section(text, user)
        assert keys["permit"] == "::1/128"
        assert "command" not in keys.get("write", "")
    assert "write" not in section(text, "patchbay-events")
    assert "system" not in section(text, "patchbay-control")["write"]


def test_the_web_server_is_off_unless_asked_for(tmp_path: Path) -> None:
    off = config(tmp_path)
    assert section(render(off)["http.conf"], "general")["enabled"] == "no"
    on = render(replace(off, ports=replace(off.ports, http=8090)))["http.conf"]
    assert section(on, "general") | {
        "enabled": "yes",
        "bindport": "8090",
        "bindaddr": "127.0.0.1",
    } == section(on, "general")


@pytest.mark.parametrize(("budget_ms", "waits_s"), [(50, 2), (1_000, 2), (1_500, 2), (1_501, 3), (5_000, 6)])
def test_the_switch_does_not_give_up_before_the_gateway_does(
    tmp_path: Path, budget_ms: int, waits_s: int
) -> None:
    limits = SwitchLimits(route_budget_ms=budget_ms)
    plan = render(replace(config(tmp_path), limits=limits))["extensions.conf"]
    asks = re.findall(r"^.*TIMEOUT\(absolute\)=(\d+)\).*$", plan, re.MULTILINE)
    assert set(asks) == {str(waits_s), "20"}, "twenty are for the apology"


def test_sources_are_listed_only_where_nobody_else_may_come() -> None:
    plan = demo_plan(PASSWORDS)
    assert allowed_sources(plan) == ()
    assert allowed_sources(replace(plan, phones=())) == ("127.0.0.2",)
    near = replace(plan, sip=SipPlan(phones_from=("10.0.0.0/8",)))
    assert allowed_sources(near) == ("127.0.0.2", "10.0.0.0/8")
    registering = Trunk("r", "sip.example.net", register=Credentials("u", Secret("p")))
    assert allowed_sources(replace(near, trunks=(registering,))) == ()


ROOM_SIP = RoomSipEnd("192.0.2.7", 5070, "patchbay", Secret("p" * 32), Secret("q" * 32))


def test_the_service_of_rooms_is_told_of_only_where_there_is_one(tmp_path: Path) -> None:
    files = render(config(tmp_path))
    assert "room_sip" not in files["pjsip.conf"]
    assert "rooms-out" not in files["extensions.conf"]
    assert "endpoint_identifier_order = ip,username\n" in files["pjsip.conf"]


def test_the_service_of_rooms_is_known_by_its_password_and_hears_of_nobody(tmp_path: Path) -> None:
    files = render(replace(config(tmp_path), room_sip=ROOM_SIP))
    text = files["pjsip.conf"]
    for name in ("room_sip", "room_sip@_"):
        keys = section(text, name)
        assert (keys["context"], keys["allow"]) == ("from-rooms", "g722,ulaw,alaw")
        assert (keys["auth"], keys["outbound_auth"]) == ("room_sip", "room_sip-out")
    assert section(text, "room_sip")["identify_by"] == "auth_username"
    assert section(text, "room_sip", "aor")["contact"] == "sip:192.0.2.7:5070"
    assert section(text, "room_sip-out", "auth")["password"] == "p" * 32
    back = section(text, "room_sip", "auth")
    assert (back["username"], back["password"]) == ("room_sip", "q" * 32)
    assert "endpoint_identifier_order = ip,username,auth_username\n" in text
    assert all(section(text, "private")[key] == "no" for key in PRIVATE)


def test_the_service_of_rooms_may_call_where_only_known_addresses_may(tmp_path: Path) -> None:
    known = SwitchPlan(trunks=(Trunk("carrier", "192.0.2.1", identify=("192.0.2.1",)),))
    assert allowed_sources(known) == ("192.0.2.1",)
    assert allowed_sources(known, ROOM_SIP) == ("192.0.2.1", "192.0.2.7")
    assert allowed_sources(demo_plan(PASSWORDS), ROOM_SIP) == ()


@pytest.mark.parametrize("evil", ["x\n[evil]", "a;b", "${SHELL(x)}"])
def test_nothing_odd_gets_in_by_the_service_of_rooms(tmp_path: Path, evil: str) -> None:
    for wrong in (
        replace(ROOM_SIP, host=evil),
        replace(ROOM_SIP, user=evil),
        replace(ROOM_SIP, password=Secret(evil)),
        replace(ROOM_SIP, back_password=Secret(evil)),
    ):
        with pytest.raises(UnsafeValue):
            render(replace(config(tmp_path), room_sip=wrong))


def test_an_ipv6_address_is_in_brackets() -> None:
    assert replace(ROOM_SIP, host="2001:db8::7").place == "[2001:db8::7]:5070"
