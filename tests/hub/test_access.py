"""Nobody without the key sees or changes anything, and a key travels no further than it must."""

import asyncio
import re
import subprocess
import sys
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from stepwell_hub.access import Access
from stepwell_hub.api import ENDPOINTS
from stepwell_hub.auth import Rules
from stepwell_hub.endpoints import PREFIX, Endpoint
from stepwell_hub.health import Health
from stepwell_hub.key_file import KeyFile
from stepwell_hub.pages import login_page
from stepwell_wire.hub_access import (
    CODE_SECONDS,
    cookie_name,
    ensure_key,
    make_cookie,
    make_login_code,
    read_key,
    rotate_key,
)
from stepwell_wire.hub_address import HubAddress
from tests.hub.conftest import BASE, Hub

CHANGING = [each for each in ENDPOINTS if each.method != "GET"]


def path_of(each: Endpoint) -> str:
    return PREFIX + re.sub(r"\{\w+\}", "x", each.path)


def name_of(each: Endpoint) -> str:
    return each.handler.__name__


def logged_in(hub: Hub) -> dict[str, str]:
    return {"Cookie": f"{cookie_name(hub.key)}={make_cookie(hub.key, now=time.time())}"}


# ---------------------------------------------------------------------------- the key


def test_the_api_has_endpoints_that_change_something() -> None:
    assert len(CHANGING) > 2


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("localhost:9000", "ssh -L 9000:localhost:9000 HOST"),
        ("127.0.0.1:1", "ssh -L 1:localhost:1 HOST"),
        ("[::1]", "ssh -L 80:localhost:80 HOST"),
        ("hub.example.org", None),
    ],
)
def test_the_login_page_forwards_the_port_of_the_address(host: str, told: str | None) -> None:
    body = bytes(login_page(host=host).body).decode()
    assert (told is None) == ("ssh -L" not in body)
    assert told is None or told in body


@pytest.mark.parametrize("each", ENDPOINTS, ids=name_of)
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "key_missing"),
        ({"Authorization": "Bearer wrong"}, "key_wrong"),
        ({"Authorization": "Basic YXBpOndyb25n"}, "key_missing"),
        ({"Cookie": "stepwell_00000000=9999999999.00"}, "key_missing"),
    ],
    ids=["nothing", "another key", "basic", "another cookie"],
)
def test_every_endpoint_refuses_whoever_shows_no_key(
    hub: Hub, each: Endpoint, headers: dict[str, str], code: str
) -> None:
    answer = hub.browser.request(each.method, path_of(each), headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code
    assert hub.key not in answer.text


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/v1/nothing", "/api/"])
def test_no_path_below_api_says_anything_without_the_key(hub: Hub, path: str) -> None:
    assert hub.browser.get(path).status_code == 401
    assert hub.program.get(path).status_code in (200, 404)


def test_cookie_and_bearer_are_let_in(hub: Hub) -> None:
    assert hub.program.get("/api/v1/status").status_code == 200
    assert hub.browser.get("/api/v1/status", headers=logged_in(hub)).status_code == 200


@pytest.mark.parametrize("other", ['prefs={"a":1}', "foo=a b", "x[1]=2", "path=/", "="])
def test_cookies_of_other_programs_on_this_host_keep_nobody_out(hub: Hub, other: str) -> None:
    own = logged_in(hub)["Cookie"]
    for cookies in (f"{other}; {own}", f"{own}; {other}"):
        answer = hub.browser.get("/api/v1/status", headers={"Cookie": cookies})
        assert answer.status_code == 200


def test_a_cookie_is_good_for_thirty_days(hub: Hub) -> None:
    name = cookie_name(hub.key)
    old = make_cookie(hub.key, now=time.time() - 31 * 86_400)
    answer = hub.browser.get("/api/v1/status", headers={"Cookie": f"{name}={old}"})
    assert answer.status_code == 401


def test_a_cookie_is_not_the_key_and_no_bearer(hub: Hub) -> None:
    value = make_cookie(hub.key, now=time.time())
    assert hub.key not in value
    answer = hub.browser.get("/api/v1/status", headers={"Authorization": f"Bearer {value}"})
    assert answer.status_code == 401


# ---------------------------------------------------------------------------- the end of access


def test_a_browser_that_logs_out_is_let_in_no_more(hub: Hub) -> None:
    hub.browser.get("/", params={"login": make_login_code(hub.key, now=time.time())})
    assert hub.browser.get("/api/v1/status").status_code == 200
    answer = hub.browser.post("/api/v1/logout", headers={"Origin": BASE})
    assert answer.status_code == 204
    assert cookie_name(hub.key) in answer.headers["set-cookie"]
    assert hub.browser.get("/api/v1/status").status_code == 401
    assert "stepwell open" in hub.browser.get("/").text


def test_a_rotated_key_ends_cookies_links_and_bearers_at_once(hub: Hub) -> None:
    cookie, code = logged_in(hub), make_login_code(hub.key, now=time.time())
    command = [sys.executable, "-m", "stepwell_hub", "--rotate-key", "--data", str(hub.config.data)]
    assert (
        "stepwell open"
        in subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    assert hub.program.get("/api/v1/status").json()["error"]["code"] == "key_wrong"
    assert hub.browser.get("/api/v1/status", headers=cookie).status_code == 401
    assert hub.browser.get("/", params={"login": code}).status_code == 401
    key = read_key(hub.config.folder)
    answer = hub.browser.get("/api/v1/status", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("harm", ["gone", "open to others"])
def test_while_the_key_cannot_be_read_nobody_is_let_in(
    hub: Hub, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = hub.config.folder / "key"
    if harm == "gone":
        path.unlink()
    else:
        path.chmod(0o644)
    assert hub.program.get("/api/v1/status").status_code == 401
    assert "rejecting all requests" in caplog.text
    rotate_key(hub.config.folder)
    headers = {"Authorization": f"Bearer {read_key(hub.config.folder)}"}
    assert hub.browser.get("/api/v1/status", headers=headers).status_code == 200


def test_a_live_feed_ends_when_the_key_was_rotated(tmp_path: Path) -> None:
    ensure_key(tmp_path)
    sent: list[Message] = []

    async def feed(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"before", "more_body": True})
        rotate_key(tmp_path)
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"after", "more_body": True})

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    async def note(message: Message) -> None:
        sent.append(message)

    gate = Access(feed, KeyFile(tmp_path), HubAddress(), use_code=nothing, health=Health({}))
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {read_key(tmp_path)}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/api/v1/live", "headers": headers}
    asyncio.run(gate(scope, nothing, note))
    bodies = [(each["body"], each["more_body"]) for each in sent[1:]]
    assert bodies == [(b"before", True), (b"", False)]


# ---------------------------------------------------------------------------- other sites


@pytest.mark.parametrize("each", CHANGING, ids=name_of)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", None])
def test_a_browser_changes_nothing_for_another_site(
    hub: Hub, each: Endpoint, origin: str | None
) -> None:
    headers = logged_in(hub) | ({"Origin": origin} if origin else {})
    answer = hub.browser.request(each.method, path_of(each), headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] in ("origin_foreign", "origin_missing")


def test_the_page_itself_may_change_things(hub: Hub) -> None:
    body = {"project": "p", "query": "a=1"}
    answer = hub.browser.post("/api/v1/views", json=body, headers=logged_in(hub) | {"Origin": BASE})
    assert answer.status_code == 201


def test_another_site_reads_nothing_either(hub: Hub) -> None:
    headers = logged_in(hub) | {"Origin": "https://evil.example"}
    answer = hub.browser.get("/api/v1/status", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "a@127.0.0.1", "[::2]", "127.0.0.1:x"]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/assets/x.js"])
def test_a_foreign_host_name_is_refused_everywhere(hub: Hub, host: str, path: str) -> None:
    answer = hub.program.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "host_unknown"


@pytest.mark.parametrize("listens", ["0.0.0.0", "::"])
@pytest.mark.parametrize("host", ["10.1.2.3:8470", "[fd00::2]:8470"])
def test_addresses_are_known_if_the_hub_listens_on_all(listens: str, host: str) -> None:
    rules = Rules("key", HubAddress(host=listens))
    assert rules.host_failure({"host": host}) is None
    own = {"host": host, "origin": f"https://{host}"}
    assert rules.origin_failure("POST", own) is None
    assert rules.origin_failure("POST", {**own, "origin": "https://10.9.9.9:8470"}) is not None
    refused = rules.host_failure({"host": "10.1.2.3.evil.example"})
    assert refused is not None
    assert "hub_url" in str(refused)
    assert Rules("key", HubAddress(host="10.0.0.1")).host_failure({"host": host}) is not None


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8470"])
def test_loopback_is_known_by_its_names_at_any_port(hub: Hub, host: str) -> None:
    assert hub.program.get("/api/v1/status", headers={"Host": host}).status_code == 200


# ---------------------------------------------------------------------------- logging in


def test_a_link_logs_in_once_and_leaves_a_strict_cookie(hub: Hub) -> None:
    code = make_login_code(hub.key, now=time.time())
    answer = hub.browser.get(f"/p/a%20b?x=1&login={code}&y=%26")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert "Secure" not in cookie  # http on loopback
    assert hub.key not in answer.text + cookie
    target = re.search(r'content="0;url=([^"]*)"', answer.text)
    assert target is not None
    assert unescape(target.group(1)) == "/p/a%20b?x=1&y=%26"
    assert "<script" not in answer.text
    assert hub.browser.get("/api/v1/status").status_code == 200
    other = hub.client()
    again = other.get(f"/?login={code}")
    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert "used before" in again.text


def test_whoever_is_logged_in_may_open_a_used_link(hub: Hub) -> None:
    code = make_login_code(hub.key, now=time.time())
    hub.browser.get(f"/p/a?login={code}")
    again = hub.browser.get(f"/p/a?login={code}")
    assert again.status_code == 200
    assert 'content="0;url=/p/a"' in again.text


@pytest.mark.parametrize("made_ago", [CODE_SECONDS + 1, -CODE_SECONDS])
def test_a_code_that_is_too_old_or_too_long_is_refused(hub: Hub, made_ago: float) -> None:
    code = make_login_code(hub.key, now=time.time() - made_ago)
    assert hub.browser.get(f"/?login={code}").status_code == 401


@pytest.mark.parametrize("code", ["", "x", "A" * 43, "A" * 5000, "%FF%00", "é"])
def test_nonsense_is_no_code(hub: Hub, code: str) -> None:
    answer = hub.browser.get("/", params={"login": code})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_look_at_the_headers_alone_uses_no_code_up(hub: Hub) -> None:
    code = make_login_code(hub.key, now=time.time())
    assert "set-cookie" not in hub.browser.head(f"/?login={code}").headers
    assert "set-cookie" in hub.browser.get(f"/?login={code}").headers


def test_a_login_goes_to_no_other_host(hub: Hub) -> None:
    for path in ("//evil.example/x", "/\\evil.example", "///evil.example"):
        code = make_login_code(hub.key, now=time.time())
        answer = hub.browser.get(f"{BASE}{path}", params={"login": code})
        target = re.search(r'content="0;url=([^"]*)"', answer.text)
        assert target is not None, path
        assert re.match(r"/[^/\\]", unescape(target.group(1))), target.group(1)


def test_without_a_cookie_a_page_says_how_to_get_in(hub: Hub) -> None:
    answer = hub.browser.get("/p/x/runs/y")
    assert answer.status_code == 401
    assert "stepwell open" in answer.text
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_link_on_another_site_comes_back_once_to_send_the_strict_cookie(hub: Hub) -> None:
    answer = hub.browser.get("/p/x?a=1", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'content="0;url=/p/x?a=1"' in answer.text
    assert "set-cookie" not in answer.headers
    back = hub.browser.get("/p/x?a=1", headers={"Sec-Fetch-Site": "same-origin"})
    assert back.status_code == 401


def test_a_page_takes_no_changing_method(hub: Hub) -> None:
    assert hub.browser.post("/").status_code == 405


# ---------------------------------------------------------------------------- every answer


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/api/v1/nothing", "/assets/none.js"])
def test_every_answer_carries_the_policy(hub: Hub, path: str) -> None:
    for client in (hub.browser, hub.program):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_hostile_text_in_an_address_comes_back_escaped(hub: Hub) -> None:
    code = make_login_code(hub.key, now=time.time())
    path = '/p/"><script>alert(1)</script>'
    answer = hub.browser.get(path, params={"login": code, "a": "<b>'\""})
    assert "<script" not in answer.text
    assert "<b>" not in answer.text
