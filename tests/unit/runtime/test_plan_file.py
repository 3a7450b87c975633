"""The trunks file: read whole, or refused with the key that is wrong."""

from __future__ import annotations

import pytest

from gateway.config import Secret
from gateway.runtime.plan import Credentials, demo_plan, parse_plan
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

GOOD = """
[sip]
udp_port = 5080
tls_port = 5061
tls_cert = "/etc/patchbay/cert.pem"
tls_key = "/etc/patchbay/key.pem"
tls_ca = "/etc/patchbay/carriers.pem"
phones_from = ["10.0.0.0/8"]

[rtp]
port_min = 10000
port_max = 10999
timeout_s = 30

[[trunk]]
name = "carrier"
host = "sip.example.net"
transport = "tls"
identify = ["192.0.2.10", "192.0.2.0/28"]
srtp = "required"
codecs = ["alaw", "ulaw"]
max_channels = 30
prefixes = ["+44", "+4420"]
auth = { user = "house", password = "a-word" }

[[trunk]]
name = "backup"
host = "192.0.2.99"
register = { user = "house", password = "a-word" }

[[phone]]
name = "alice"
password = "a-long-password"
tenant = "tnt_1"
"""


def test_a_whole_plan_is_read() -> None:
    plan = parse_plan(GOOD)
    carrier, backup = plan.trunks
    assert (carrier.name, carrier.transport, carrier.port, carrier.srtp) == (
        "carrier",
        "tls",
        5060,
        "required",
    )
    assert carrier.codecs == ("alaw", "ulaw")
    assert carrier.prefixes == ("+44", "+4420")
    assert plan.sip.tls_ca == "/etc/patchbay/carriers.pem"
    assert carrier.auth == Credentials("house", Secret("a-word"))
    assert backup.register is not None
    assert backup.identify == ()
    assert plan.phones[0].tenant == "tnt_1"
    assert plan.sip.phones_from == ("10.0.0.0/8",)
    assert plan.rtp.port_max == 10999


def test_nothing_is_a_plan() -> None:
    assert parse_plan("").trunks == ()


TRUNK = '[[trunk]]\nname="carrier"\nhost="192.0.2.1"\nidentify=["192.0.2.1"]\n'
PHONE = '[[phone]]\nname="alice"\npassword="a-long-password"\n'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[[trunk]", "trunks_file"),
        ("[[trunk]]\nhost='h'\nidentify=['192.0.2.1']", "trunk[0].name"),
        (TRUNK.replace('"carrier"', '"Carrier"'), "trunk[0].name"),
        (TRUNK.replace('"carrier"', r'"a]\n[b"'), "trunk[0].name"),
        (TRUNK + "port = 0", "trunk[0].port"),
        (TRUNK + "port = true", "trunk[0].port"),
        (TRUNK + "port = '5060'", "trunk[0].port"),
        (TRUNK + "prot = 5060", "trunk[0].prot"),
        (TRUNK + "srtp = 'maybe'", "trunk[0].srtp"),
        (TRUNK + "srtp = ['off']", "trunk[0].srtp"),
        (TRUNK + "codecs = []", "trunk[0].codecs"),
        (TRUNK + "codecs = ['ulaw', 'ulaw']", "trunk[0].codecs"),
        (TRUNK + "codecs = ['mp3']", "trunk[0].codecs"),
        (TRUNK + "transport = 'tls'", "trunk[0].transport"),
        (TRUNK + "transport = 'tcp'\n[sip]\ntcp = false", "trunk[0].transport"),
        (TRUNK + "context = 'from-phone'", "trunk[0].context"),
        (TRUNK + "auth = { user = 'x' }", "trunk[0].auth.password"),
        (TRUNK + "auth = 'x'", "trunk[0].auth"),
        (TRUNK + "prefixes = ['44']", "trunk[0].prefixes"),
        (TRUNK + "prefixes = ['+']", "trunk[0].prefixes"),
        (TRUNK + "prefixes = '+44'", "trunk[0].prefixes"),
        (
            TRUNK
            + "prefixes = ['+44']\n"
            + TRUNK.replace("carrier", "second").replace("2.1", "2.2")
            + "prefixes = ['+1', '+44']",
            "trunk[1].prefixes",
        ),
        (TRUNK + TRUNK, "trunk[1].name"),
        (TRUNK + TRUNK.replace("carrier", "second"), "trunk[1].identify"),
        (TRUNK.replace('"192.0.2.1"]', '"0.0.0.0/0"]'), "trunk[0].identify"),
        (TRUNK.replace('identify=["192.0.2.1"]', ""), "trunk[0].identify"),
        (TRUNK.replace('host="192.0.2.1"', 'host="a b"'), "trunk[0].host"),
        (PHONE.replace("a-long-password", "short"), "phone[0].password"),
        (PHONE.replace("a-long-password", "with;comment-in-it"), "phone[0].password"),
        (PHONE.replace("a-long-password", "with space in it"), "phone[0].password"),
        (TRUNK + PHONE.replace("alice", "carrier"), "phone[0].name"),
        ("[sip]\ntls_port = 5061", "sip.tls_cert"),
        ("[sip]\ntls_cert = 'cert.pem'", "sip.tls_cert"),
        ("[sip]\ntls_ca = 'ca.pem'", "sip.tls_ca"),
        ("[rtp]\nport_min = 10000", "rtp.port_max"),
        ("[rtp]\nport_min = 10000\nport_max = 10001", "rtp.port_max"),
        ("[trunk]\nname = 'x'", "trunk"),
        ("surprise = 1", "surprise"),
    ],
)
def test_a_wrong_key_is_named(text: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_plan(text)
    assert caught.value.field == key


def test_a_password_is_not_in_the_error_nor_in_the_repr() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_plan(PHONE.replace("a-long-password", "tell;nobody"))
    assert "tell;nobody" not in str(caught.value)
    assert caught.value.value is None
    assert "a-long-password" not in repr(parse_plan(PHONE))


def test_the_demo_plan_has_a_trunk_and_two_phones_apart_by_address() -> None:
    plan = demo_plan({"alice": Secret("a" * 12), "bob": Secret("b" * 12)}, trunk_port=5099)
    assert [t.identify for t in plan.trunks] == [("127.0.0.2",)]
    assert [p.name for p in plan.phones] == ["alice", "bob"]
