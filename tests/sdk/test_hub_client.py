"""The client of a hub: connections that are kept, repeated calls, answers that break off."""

import gc
import json
import multiprocessing
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stepwell._hub_client import Hub
from stepwell.errors import HubError, HubUnreachableError, NotFoundError
from tests.certificates import make_authority, make_certificate


class Server(ThreadingHTTPServer):
    """Answers from a list: a status and a body; None closes the connection without an answer."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any] | None] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.connections = 0
        self.closes_after_answer = False
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, json.loads(body or b"null")))
        answer = self.server.answers.pop(0) if self.server.answers else (200, {"ok": True})
        if answer is None:
            self.close_connection = True
            return
        status, said = answer
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        if self.server.closes_after_answer:  # Without a word, as a hub that is started anew.
            self.close_connection = True

    do_GET = do_POST = do_DELETE = any  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join(10)


@pytest.fixture
def hub(server: Server) -> Hub:
    return Hub(server.url + "/base/", "k" * 43, patience_seconds=20.0)


def test_calls_share_a_connection(server: Server, hub: Hub) -> None:
    for _ in range(3):
        assert hub.get("/x", a="ä b", b=None) == {"ok": True}
    assert server.asked == [("GET", "/base/api/v1/x?a=%C3%A4+b", None)] * 3
    assert server.connections == 1


def test_no_connection_outlives_its_hub(server: Server) -> None:
    """Python reports sockets that were not closed."""
    hub = Hub(server.url, "k")
    hub.get("/a")
    (connection,) = hub._idle
    assert connection.sock is not None
    del hub
    gc.collect()
    assert connection.sock is None


def test_a_connection_that_the_hub_closed_is_replaced_at_once(server: Server) -> None:
    hub = Hub(server.url, "k" * 43, patience_seconds=0.0)
    server.closes_after_answer = True
    assert [hub.get("/x") for _ in range(3)] == [{"ok": True}] * 3
    assert server.connections == 3


def test_a_forked_child_has_connections_of_its_own(server: Server, hub: Hub) -> None:
    hub.get("/x")

    def child() -> None:
        hub.get("/child")

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    hub.get("/x")
    assert server.connections == 2


def test_a_call_without_an_answer_is_sent_again(server: Server, hub: Hub) -> None:
    busy = {"error": {"code": "busy", "message": "later"}}
    server.answers = [None, (503, busy), (200, {"n": {"$int": "9"}})]
    assert hub.post("/x", {"key": "1"}) == {"n": 9}
    assert server.asked == [("POST", "/base/api/v1/x", {"key": "1"})] * 3


def test_what_the_hub_says_is_raised(server: Server, hub: Hub) -> None:
    said = {"error": {"code": "name_invalid", "message": "no name", "field": "name"}}
    server.answers = [(400, said), (404, {"error": {"code": "not_found", "message": "none"}})]
    with pytest.raises(HubError, match="no name") as caught:
        hub.ask("GET", "a/b", query={"n": 1})
    assert (caught.value.code, caught.value.field, caught.value.status) == (
        "name_invalid",
        "name",
        400,
    )
    assert server.asked[0][1] == "/base/api/v1/a%2Fb?n=1"
    with pytest.raises(NotFoundError):
        hub.get("/x")
    server.answers = [(302, b"")]
    with pytest.raises(HubError, match="answered 302"):
        hub.get("/x")
    server.answers = [(200, b"<html>")]
    with pytest.raises(HubError, match="the answer is not one of a hub"):
        hub.get("/x")


def test_an_answer_that_is_not_read_to_its_end_costs_its_connection(
    server: Server, hub: Hub
) -> None:
    server.answers = [(200, b"x" * 100)]
    with hub.answer("GET", "/x") as answer:
        assert answer.read(10) == b"x" * 10
    assert hub.get("/y") == {"ok": True}
    assert server.connections == 2


def test_no_hub_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(HubUnreachableError, match=r"does not answer.*STEPWELL_HUB"):
        Hub("http://127.0.0.1:9", "k", patience_seconds=0.0).get("/x")
    with pytest.raises(HubUnreachableError, match="not a valid address of a hub"):
        Hub("http://127.0.0.1:x", "k").get("/x")


@pytest.mark.parametrize(
    ("names", "days", "says"),
    [
        ("IP:127.0.0.1", 2, "set SSL_CERT_FILE to the file of the authority that signed it"),
        ("DNS:runs.example", 2, "use an address that the certificate names; hub_url"),
        ("IP:127.0.0.1", -1, "renew the certificate"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_reported_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str, days: int, says: str
) -> None:
    authority = make_authority(tmp_path / "ca")
    cert, key = make_certificate(authority, "hub", names=names, days=days)
    with Server() as made:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        made.socket = context.wrap_socket(made.socket, server_side=True)
        made.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        hub = Hub(made.url.replace("http:", "https:"), "k", patience_seconds=0.0)
        if "SSL_CERT_FILE" not in says:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        for call in (lambda: hub.get("/x"), lambda: hub.opened("GET", "x")):
            with pytest.raises(HubUnreachableError, match=says) as refused:
                call()
            assert "its certificate is not accepted (" in str(refused.value)
        if "SSL_CERT_FILE" in says:
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
            assert hub.get("/x") == {"ok": True}
        made.shutdown()
