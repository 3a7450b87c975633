"""Every trick we know to make a webhook go where it must not, refused by its text."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.webhooks.core.ssrf import Policy, check_url, refusal
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

STRICT, OPEN = Policy(), Policy(allow_private=True)

HOSTS = (Path(__file__).parent / "refused_hosts.txt").read_text().split()
LONG_LABEL = "a" * 64
URLS = [
    # other schemes
    *(
        f"{scheme}://example.com/"
        for scheme in ("http", "ftp", "file", "gopher", "dict", "ldap", "tftp", "ws")
    ),
    "file:///etc/passwd",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "jar:https://example.com!/",
    "unix:/x",
    "//example.com/",
    "/relative",
    "example.com",
    "https:",
    "https:/",
    "https://",
    "https:///path",
    "https:example.com",
    "https:/example.com",
    "https:\\\\example.com",
    "https:\\/\\/example.com",
    "hxxps://example.com",
    "",
    " ",
    # user names and other at-signs
    "https://user@example.com/",
    "https://user:pw@example.com/",
    "https://@example.com/",
    "https://:@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com:443@127.0.0.1/",
    "https://127.0.0.1@example.com/",
    "https://example.com%40127.0.0.1/",
    "https://a@b@127.0.0.1/",
    "https://example.com;@127.0.0.1/",
    # what parsers disagree about
    "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https://127.0.0.1\\.example.com/",
    "https://example.com\\.localhost/",
    "https://example.com\t.evil/",
    "https://exam\nple.com/",
    "https://\r\nexample.com/",
    "\thttps://example.com/",
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com /",
    "https:// example.com/",
    "https://example.com\x00.evil/",
    "https://example.com/\x00",
    "https://example.com/a b",
    "https://example.com/\x7f",
    "https://example.com/\r\nHost: localhost",
    "https://example.com/%0",
    "https://example.com/%zz",
    "https://example.com/%",
    "https://example.com/<x>",
    'https://example.com/"x"',
    "https://example.com/`x`",
    "https://example.com/{x}",
    "https://example.com/^",
    "https://example.com/|",
    "https://example.com/[x]",
    "https://[example.com/",
    "https://example.com]/",
    # letters that normalise to something else
    "https://１２７.０.０.１/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://127．0．0．1/",
    "https://127｡0｡0｡1/",
    "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "https://ｌｏｃａｌｈｏｓｔ/",
    "https://locaｌhost/",
    "https://lo\u00adcalhost/",
    "https://local\u200bhost/",
    "https://exampl\u0435.com/",
    "https://ⅼocalhost/",
    "https://ſocket.example.com/",
    "https://bücher.example/",
    "https://日本.jp/",
    "https://example\u2024com/",
    "https://example.com／@127.0.0.1/",
    "https://example.com﹫127.0.0.1/",
    "https://loca\u212a.example/",
    "https://xn--/..",
    "https://xn--\u00e9.example/",
    "https://example.com\u2028/",
    "https://example.com/\u202e",
    "https://\ufeffexample.com/",
    # ports
    *(
        f"https://example.com:{port}/"
        for port in (0, 1, 21, 22, 25, 53, 110, 143, 389, 445, 3306, 5038, 5060, 5432)
    ),
    *(
        f"https://example.com:{port}/"
        for port in (6379, 8088, 9200, 11211, 27017, 65535, 65536, 99999, 131515)
    ),
    "https://example.com:/",
    "https://example.com:-443/",
    "https://example.com:+443/",
    "https://example.com:4 43/",
    "https://example.com:443x/",
    "https://example.com:0x1bb/",
    "https://example.com:443:80/",
    "https://example.com:４４３/",
    "https://example.com:443.0/",
    "https://example.com:00000443/",
    "https://8.8.8.8:5038/",
    "https://[2606:4700::1]:22/",
    # sizes
    "https://example.com/" + "a" * 2048,
    f"https://{LONG_LABEL}.example.com/",
    "https://" + ".".join(["abcdefgh"] * 30) + ".com/",
]
CORPUS = [f"https://{host}/hook" for host in HOSTS] + URLS


def test_the_corpus_is_large_and_without_repeats() -> None:
    assert len(CORPUS) == len(set(CORPUS)) >= 300


@pytest.mark.parametrize("url", CORPUS, ids=lambda url: ascii(url)[:80])
def test_refused_by_text(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, STRICT, "webhook_url")
    assert refused.value.code == "INVALID_WEBHOOK_URL"
    assert refused.value.field == "webhook_url"
    assert refused.value.expected


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.COM/Path?Q=1", "https://example.com/Path?Q=1"),
        ("https://example.com./hook", "https://example.com/hook"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:8443/a/b?c=d&e=%20#secret-fragment", "https://example.com:8443/a/b?c=d&e=%20"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://a_b.example.com/", "https://a_b.example.com/"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:0000::1111]/x", "https://[2606:4700::1111]/x"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://example.com/a@b:c", "https://example.com/a@b:c"),
        ("https://example.com//127.0.0.1/", "https://example.com//127.0.0.1/"),
        ("https://example.com/?u=http://127.0.0.1/", "https://example.com/?u=http://127.0.0.1/"),
        ("https://1e100.net/", "https://1e100.net/"),
        ("https://0x7f.example/", "https://0x7f.example/"),
    ],
)
def test_public_addresses_pass_in_one_spelling(url: str, spelled: str) -> None:
    target = check_url(url, STRICT)
    assert target.url == spelled
    assert check_url(spelled, STRICT) == target
    sent = URL(target.url, encoded=True)  # the client must read the same host and port out of it
    assert (sent.scheme, sent.raw_host, sent.port) == (target.scheme, target.host, target.port)
    assert str(sent) == spelled


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/hook",
        "http://localhost:9/",
        "http://receiver:8080/",
        "https://192.168.1.4/",
        "http://[::1]:5000/",
        "https://[fd00::5]/",
        "http://100.64.0.7/",
    ],
)
def test_private_targets_pass_when_the_operator_allows_them(url: str) -> None:
    assert check_url(url, OPEN).url == url
    with pytest.raises(InvalidInput):
        check_url(url, STRICT)


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "http://metadata.google.internal/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://224.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[fe80::1]/",
        "http://8.8.8.8/",
        "http://user@127.0.0.1/",
        "http://2130706433/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:0/",
    ],
)
def test_some_targets_stay_shut_even_then(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, OPEN)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_special_ipv4_address_is_connected_to(address: IPv4Address) -> None:
    if refusal(address, STRICT, plaintext=False) is None:
        assert address.is_global
        kinds = (address.is_multicast, address.is_reserved, address.is_private, address.is_loopback)
        assert not any(kinds)
        assert refusal(address, OPEN, plaintext=True) == "a public address, which needs https"


@given(
    st.integers(0, 2**128 - 1).map(IPv6Address)
    | st.integers(0, 2**124).map(lambda n: IPv6Address(n + (2 << 124)))
)
def test_no_special_ipv6_address_is_connected_to(address: IPv6Address) -> None:
    if refusal(address, STRICT, plaintext=False) is None:
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None
        assert not any((address.is_multicast, address.is_site_local, address.is_link_local))


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.4.4", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"]
)
def test_public_addresses_are_connected_to(text: str) -> None:
    assert refusal(ip_address(text), STRICT, plaintext=False) is None


def test_refusals_name_the_kind_of_address() -> None:
    told = {
        text: refusal(ip_address(text), STRICT, plaintext=False)
        for text in (
            "127.0.0.1",
            "10.1.2.3",
            "100.64.1.1",
            "169.254.1.1",
            "224.0.0.1",
            "2002::1",
            "fe80::1%eth0",
        )
    }
    assert told == {
        "127.0.0.1": "a loopback address",
        "10.1.2.3": "a private address",
        "100.64.1.1": "a carrier-grade NAT address",
        "169.254.1.1": "a link-local or metadata address",
        "224.0.0.1": "a multicast address",
        "2002::1": "a tunnelled IPv4 address",
        "fe80::1%eth0": "not a public address",
    }
