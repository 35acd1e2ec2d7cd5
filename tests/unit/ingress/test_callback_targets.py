"""Which URLs and addresses callbacks may go to: SSRF in all the forms that are known."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from deployments.errors import InvalidRequest
from deployments.ingress.core.callbacks.addresses import Addresses
from deployments.ingress.core.callbacks.targets import Targets
from deployments.webhook_settings import WebhookSettings

PLAIN = Targets(WebhookSettings(hosts=["hooks.shop.example", "*.many.example", "10.1.2.3"]))
ANY = Targets(WebhookSettings(hosts=["*"], allow_http=True))
"""As much as an operator can allow by names: what is refused here is refused everywhere."""


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://hooks.shop.example", "https://hooks.shop.example/"),
        ("https://hooks.shop.example/a/b?c=d&e=%20f", None),
        ("HTTPS://Hooks.Shop.Example/Case", "https://hooks.shop.example/Case"),
        ("https://hooks.shop.example:443/x", None),
        ("https://hooks.shop.example?token=a", "https://hooks.shop.example/?token=a"),
        ("https://a.many.example/", None),
        ("https://a.b.many.example/", None),
    ],
)
def test_what_is_allowed_is_called_as_it_was_checked(url, called):
    target = PLAIN.read(url)
    assert target.url == (called or url)
    assert target.scheme == "https"
    assert target.port == 443


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://other.example/", "none that the operator"),
        ("https://many.example/", "none that the operator"),
        ("https://evilmany.example/", "none that the operator"),
        ("https://hooks.shop.example.evil.example/", "none that the operator"),
        ("https://hooks.shop.example:8443/", "none that the operator"),
        ("https://hooks.shop.example:22/", "none that the operator"),
        ("https://10.1.2.3/", "not public"),  # allowed by name alone
        ("http://hooks.shop.example/", "must begin with https://"),
        ("https://8.8.8.8/", "none that the operator"),
    ],
)
def test_what_the_operator_does_not_allow_is_refused(url, why):
    with pytest.raises(InvalidRequest, match=f"^callback_url: .*{why}"):
        PLAIN.read(url)


def test_without_hosts_nothing_is_allowed():
    with pytest.raises(InvalidRequest, match=r"^callback_url: the operator .* allows no callbacks"):
        Targets(WebhookSettings()).read("https://hooks.shop.example/")


def test_ports_and_schemes_are_those_that_are_named():
    hosts = ["hooks.shop.example:8443", "[2600::1]:8443", "1.1.1.1"]
    targets = Targets(WebhookSettings(hosts=hosts, allow_http=True))
    for url in (
        "https://hooks.shop.example:8443/", "http://hooks.shop.example:8443/",
        "https://[2600::1]:8443/", "http://1.1.1.1/", "https://1.1.1.1/",
    ):  # fmt: skip
        targets.read(url)
    for url in (
        "https://hooks.shop.example/", "https://hooks.shop.example:443/", "https://[2600::1]/",
        "http://1.1.1.1:443/", "https://1.1.1.1:80/",
    ):  # fmt: skip
        with pytest.raises(InvalidRequest, match="none that the operator"):
            targets.read(url)


INSIDE = (
    # The loopback in every writing that some program reads.
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "0x7f.1", "127.0.0.1.", "127.000.000.001", "0127.0.0.1", "127.255.255.254",
    "0.0.0.1", "0", "00000", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::1%25lo]", "[::1%lo]",
    "①②⑦.⓪.⓪.①", "[0000::1]",
    "127。0。0。1", "\uff11\uff12\uff17.0.0.1", "١٢٧.0.0.1", "%31%32%37.0.0.1",
    "127.0.0.1%00.shop.example", "127.0.0.1%2f", "4294967297", "127.0.0.1.0x0", "1.0x7f",
    # Private networks, carriers' networks, links, clouds' metadata.
    "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "100.100.100.200",
    "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "168.63.129.16",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    # The same inside IPv6, and IPv6's own.
    "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:db8::1]", "[2001:10::1]", "[3fff::1]",
    "[100::1]", "[5f00::1]", "[2001:2::1]",
)  # fmt: skip
ALL = "0.0.0.0"  # noqa: S104 - what must be refused


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", [ALL, *INSIDE])
def test_no_writing_of_an_inner_address_is_allowed(host, scheme):
    for port in ("", ":80", ":8443"):
        with pytest.raises(InvalidRequest, match=r"^callback_url: "):
            ANY.read(f"{scheme}://{host}{port}/latest/meta-data")


@pytest.mark.parametrize(
    "url",
    [
        # Two programs, two hosts.
        "https://hooks.shop.example@127.0.0.1/", "https://127.0.0.1@hooks.shop.example/",
        "https://user:password@hooks.shop.example/", "https://@hooks.shop.example/",
        "https://hooks.shop.example%40127.0.0.1/", "https://hooks.shop.example\\@127.0.0.1/",
        "https://hooks.shop.example\\127.0.0.1/", "https:\\\\127.0.0.1/", "https:/\\127.0.0.1/",
        "https:///127.0.0.1/", "https:127.0.0.1", "//127.0.0.1/", "/latest", "127.0.0.1", "",
        "https://hooks.shop.example#@127.0.0.1/", "https://hooks.shop.example/#x",
        "https://127.0.0.1#.hooks.shop.example/", "https://hooks.shop.example;127.0.0.1/",
        "https://hooks.shop.example,127.0.0.1/", "https://hooks.shop.example 127.0.0.1/",
        "https://[127.0.0.1]/", "https://[hooks.shop.example]/", "https://[::1]hooks.example/",
        "https://[::1/", "https://::1/", "https://[]/", "https:// /", "https://",
        # What parsers drop.
        "https://hooks.shop.\texample/", "https://hooks.shop.example\n/", "\thttps://a.example/",
        " https://hooks.shop.example/", "https://hooks.shop.example/ ", "ht\ntps://a.example/",
        "https://hooks.shop.example/\r\nHost: 127.0.0.1", "https://hooks.shop.example/\x00",
        "https://hooks.shop.example\u200b/", "https://hooks\u3002shop\uff0eexample/",
        "https://bücher.example/", "https://hooks.shop.example\uff0f@127.0.0.1/",
        "https://hooks.shop.example/%zz", "https://hooks.shop.example/%2", "https://a.example/é",
        "https://hooks.shop.example/[x]", "https://hooks.shop.example/a|b",
        # Names that are none, or are numbers.
        "https://hooks.shop.example./", "https://.hooks.shop.example/", "https://a..example/",
        "https://-a.example/", "https://a_b.example/", "https://a.1/", "https://a.0x1/",
        "https://a.example.127/", f"https://{'a' * 64}.example/", f"https://{'a.' * 130}example/",
        "https://*.shop.example/", "https://hooks%2eshop.example/",
        # Ports.
        "https://hooks.shop.example:/", "https://hooks.shop.example:0/",
        "https://hooks.shop.example:65536/", "https://hooks.shop.example:-1/",
        "https://hooks.shop.example:0443/", "https://hooks.shop.example:+443/",
        "https://hooks.shop.example:443:80/", "https://hooks.shop.example:\uff14\uff14\uff13/",
        "https://hooks.shop.example:6379/", "https://hooks.shop.example:25/",
        # Other schemes, and too much.
        "file:///etc/passwd", "gopher://hooks.shop.example/", "ftp://hooks.shop.example/",
        "dict://hooks.shop.example:11211/", "ldap://hooks.shop.example/", "data:,x",
        "javascript:alert(1)", "https+unix://x/", "httpss://hooks.shop.example/",
        "https://hooks.shop.example/" + "a" * 2048,
    ],
)  # fmt: skip
def test_no_url_that_may_be_read_in_two_ways_is_allowed(url):
    with pytest.raises(InvalidRequest, match=r"^callback_url: "):
        ANY.read(url)


def test_a_refusal_shows_nothing_of_the_url():
    with pytest.raises(InvalidRequest) as refused:
        ANY.read("https://user:s3cret@hooks.shop.example/")
    assert "s3cret" not in str(refused.value)


def test_no_inner_address_is_allowed_where_a_name_leads_to_it():
    plain = [host.strip("[]") for host in (ALL, *INSIDE)]
    assert sum(is_address(host) for host in plain) > 50
    assert [host for host in plain if Addresses().allow(host)] == []


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def test_networks_of_the_operators_own_are_allowed():
    addresses = Addresses(["10.20.0.0/16", "fd00:1::/32"])
    assert addresses.allow("10.20.255.1")
    assert addresses.allow("fd00:1::5")
    for other in ("10.21.0.1", "127.0.0.1", "fd00:2::5", "::ffff:10.20.0.1"):
        assert not addresses.allow(other)
    inside = WebhookSettings(hosts=["10.20.0.1"], allow_networks=["10.20.0.0/16"])
    assert Targets(inside).read("https://10.20.0.1/").host == "10.20.0.1"


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:2800:21f::1", "2a00:1450::8"]
)
def test_public_addresses_are_allowed(address):
    assert Addresses().allow(address)


@pytest.mark.parametrize(
    "address", ["", "localhost", "fe80::1%2", "2606::1%eth0", "1.1.1", "1.1.1.1 "]
)
def test_what_is_no_public_address_is_not(address):
    assert not Addresses().allow(address)
