"""The carriers file: read strictly, complaints name the key, secrets stay hidden."""

from __future__ import annotations

import base64

import pytest

from gateway.carriers.plan import ADAPTERS, parse_carriers
from gateway.trial.carrier_sim import SPEECHES, CarrierSim, SimSetup
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit
PUBLIC = "https://gw.example"
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
GENERIC = f'kind = "generic"\napi_key = "k"\nsigning_secret = "{SECRET}"\n'
BASE = 'api_base = "https://smsc.example"'
TWILIO = f'kind = "twilio"\naccount_sid = "AC{"0" * 32}"\nauth_token = "super-secret-token"\n'


def table(*lines: str, name: str = "main") -> str:
    return f"[carriers.{name}]\n" + "\n".join(lines)


def fault(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_carriers(text, PUBLIC)
    return caught.value


def test_an_empty_file_has_no_carriers():
    assert parse_carriers("", PUBLIC).carriers == {}


def test_a_carrier_has_what_it_was_given():
    plan = parse_carriers(table(TWILIO, "messages_per_second = 2.5"), PUBLIC)
    carrier = plan.carriers["main"]
    assert carrier.adapter is ADAPTERS["twilio"]
    assert carrier.account.api_base == "https://api.twilio.com"
    assert carrier.account.receipts_url == "https://gw.example/v1/proxy/receipts/main"
    assert carrier.account.all("auth_token") == ("super-secret-token",)
    assert (carrier.messages_per_second, carrier.account.replay_window_s) == (2.5, 300)
    assert plan.knows("main")
    assert not plan.knows("other")


def test_two_secrets_may_be_in_use_while_one_is_changed():
    text = table(TWILIO.replace('"super-secret-token"', '["new-token", "old-token"]'))
    assert parse_carriers(text, PUBLIC).carriers["main"].account.all("auth_token") == (
        "new-token",
        "old-token",
    )


@pytest.mark.parametrize("kind", sorted(SPEECHES))
def test_the_trial_carriers_own_table_is_read(kind: str):
    sim = CarrierSim(SimSetup(kind, "http://127.0.0.1:1/v1/proxy/inbound/sim"), lambda: 0.0)
    sim.port = 9180
    carrier = parse_carriers(sim.plan_text(), PUBLIC).carriers["sim"]
    assert carrier.account.api_base == "http://127.0.0.1:9180"
    assert {name: values[0] for name, values in carrier.account.values.items() if values} == sim.speech.keys


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[", "carriers_file"),
        ("other = 1", "other"),
        ("carriers = 7", "carriers"),
        (table(GENERIC, name="Main"), "carriers"),
        ("[carriers]\nmain = 3", "carriers.main"),
        (table('kind = "pigeon"'), "carriers.main.kind"),
        (table("api_key = 'k'"), "carriers.main.kind"),
        (table(TWILIO, "unheard_of = 1"), "carriers.main.unheard_of"),
        (table('kind = "twilio"', f'account_sid = "AC{"0" * 32}"'), "carriers.main.auth_token"),
        (table(TWILIO.replace('"super-secret-token"', "[]")), "carriers.main.auth_token"),
        (table(TWILIO.replace('"super-secret-token"', '["a", "b", "c", "d"]')), "carriers.main.auth_token"),
        (table(TWILIO.replace('"super-secret-token"', '"two words"')), "carriers.main.auth_token"),
        (table(TWILIO.replace("AC", "AX")), "carriers.main.account_sid"),
        (table(TWILIO, "api_key_sid = 'SK1'"), "carriers.main.api_key_secret"),
        (table(TWILIO, "messages_per_second = 0"), "carriers.main.messages_per_second"),
        (table(TWILIO, "messages_per_second = true"), "carriers.main.messages_per_second"),
        (table(TWILIO, "messages_per_second = nan"), "carriers.main.messages_per_second"),
        (table(TWILIO, "replay_window_s = 5"), "carriers.main.replay_window_s"),
        (table(TWILIO, "allow_private = 1"), "carriers.main.allow_private"),
        (table(GENERIC), "carriers.main.api_base"),
        (table(GENERIC, 'api_base = "http://10.0.0.1/sms"'), "carriers.main.api_base"),
        (table(GENERIC, 'api_base = "http://smsc.example/sms"'), "carriers.main.api_base"),
        (table(GENERIC, 'api_base = "https://127.0.0.1/"'), "carriers.main.api_base"),
        (table(GENERIC, 'api_base = "https://user:pw@smsc.example/"'), "carriers.main.api_base"),
        (table(GENERIC, 'api_base = "https://smsc.example/?a=1"'), "carriers.main.api_base"),
        (
            table(GENERIC, 'allow_private = true\napi_base = "https://169.254.169.254/"'),
            "carriers.main.api_base",
        ),
        (table(GENERIC.replace("whsec_", "whsec-"), BASE), "carriers.main.signing_secret"),
    ],
)
def test_what_is_wrong_is_named(text: str, field: str):
    assert fault(text).field == field


def test_a_carrier_on_the_own_network_needs_leave():
    text = table(GENERIC, 'allow_private = true\napi_base = "http://10.0.0.1:8080/sms/"')
    assert parse_carriers(text, PUBLIC).carriers["main"].account.api_base == "http://10.0.0.1:8080/sms"


def test_vonages_signature_method_is_one_that_there_is():
    lines = ('kind = "vonage"', "api_key = 'k'", "api_secret = 's'", "signature_secret = 'x'")
    assert fault(table(*lines, "signature_method = 'crc32'")).field == "carriers.main.signature_method"
    parse_carriers(table(*lines, "signature_method = 'md5hash'"), PUBLIC)


def test_no_secret_is_in_a_complaint_or_a_repr():
    for text in (
        table(TWILIO.replace("super-secret-token", "super secret token")),
        table(TWILIO, "x = 1"),
        table(GENERIC.replace(SECRET, "whsec_short"), BASE),
    ):
        error = fault(text)
        assert "secret token" not in f"{error} {error.value}"
        assert "short" not in f"{error} {error.value}"
    assert "super-secret-token" not in repr(parse_carriers(table(TWILIO), PUBLIC))


@pytest.mark.parametrize("name", ["phones", "sip"])
def test_no_http_carrier_can_speak_for_the_switch(name: str):
    assert fault(table(GENERIC, BASE, name=name)).field == f"carriers.{name}"
