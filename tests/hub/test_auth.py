"""What a request's headers allow, with a proxy and a name of one's own."""

import pytest

from stepwell_hub.auth import Rules, host_name
from stepwell_wire.hub_address import HubAddress

KEY = "k" * 43
BEHIND = Rules(KEY, HubAddress(host="0.0.0.0", url="https://runs.example", proxy="10.1.0.0/16"))
ALONE = Rules(KEY, HubAddress())


def test_behind_a_proxy_only_the_proxy_and_this_machine_come_in() -> None:
    assert BEHIND.peer_failure("10.1.2.3") is None
    assert BEHIND.peer_failure("127.0.0.1") is None
    assert BEHIND.peer_failure("::ffff:10.1.2.3") is None
    for peer in ("192.0.2.7", "10.2.0.1", "", "fe80::1"):
        failure = BEHIND.peer_failure(peer)
        assert failure is not None
        assert failure.code == "proxy_needed"


def test_the_name_of_the_settings_is_ours_and_no_other() -> None:
    assert BEHIND.host_failure({"host": "runs.example"}) is None
    assert BEHIND.host_failure({"host": "RUNS.EXAMPLE:443"}) is None
    assert BEHIND.host_failure({"host": "runs.example.evil"}) is not None
    assert ALONE.host_failure({"host": "runs.example"}) is not None


def test_an_origin_is_ours_by_host_header_or_by_settings() -> None:
    own = {"host": "runs.example", "origin": "https://runs.example"}
    assert BEHIND.origin_failure("POST", own) is None
    # A proxy that names us by an inner address.
    assert BEHIND.origin_failure("POST", {**own, "host": "127.0.0.1:8470"}) is None
    assert BEHIND.origin_failure("POST", {**own, "origin": "https://evil.example"}) is not None
    alone = {"host": "localhost:1", "origin": "http://localhost:1"}
    assert ALONE.origin_failure("POST", alone) is None
    assert ALONE.origin_failure("POST", {**alone, "origin": "http://localhost:2"}) is not None


def test_programs_send_no_origin_and_need_the_bearer() -> None:
    assert ALONE.origin_failure("DELETE", {"authorization": f"Bearer {KEY}"}) is None
    assert ALONE.origin_failure("DELETE", {}) is not None
    assert ALONE.origin_failure("GET", {}) is None


def test_a_cookie_is_marked_secure_where_the_browser_speaks_tls() -> None:
    https = {"x-forwarded-proto": "https"}
    assert ALONE.is_secure("https", "127.0.0.1", {})
    assert not ALONE.is_secure("http", "127.0.0.1", https)  # No proxy is named.
    behind = Rules(KEY, HubAddress(proxy="127.0.0.1"))
    assert behind.is_secure("http", "127.0.0.1", https)
    assert not behind.is_secure("http", "127.0.0.1", {})
    assert BEHIND.is_secure("http", "10.1.0.1", {})


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost:8470", "localhost"),
        ("Runs.Example.", "runs.example"),
        ("[::1]:80", "::1"),
        ("a/b", ""),
        ("a?b", ""),
        ("a:b", ""),
        ("[", ""),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name
