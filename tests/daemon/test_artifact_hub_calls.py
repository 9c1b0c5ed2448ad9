"""Calls of a worker at a hub that closes connections."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stepwell_daemon.artifacts.hub_calls import HubAwayError, HubCalls, HubPlace
from stepwell_daemon.hub_commands import ControlPlace, HubSilentError, ask_hub
from tests.certificates import make_authority, make_certificate


class _Handler(BaseHTTPRequestHandler):
    """Answers so many calls on each connection, and closes it then without a word."""

    protocol_version = "HTTP/1.1"
    calls_max = 1
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1
        self.calls = 0

    def do_GET(self) -> None:
        if self.calls >= self.calls_max:
            self.close_connection = True
            return
        self.calls += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def handler() -> type[_Handler]:
    class Own(_Handler):
        pass

    return Own


@pytest.fixture
def calls(handler: type[_Handler]) -> Iterator[HubCalls]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        made = HubCalls(
            HubPlace("127.0.0.1", server.server_port, "hub", "key", tls=False, is_own=True)
        )
        try:
            yield made
        finally:
            made.close()
            server.shutdown()
            thread.join()


def test_a_kept_connection_that_the_hub_closed_is_made_anew(
    calls: HubCalls, handler: type[_Handler]
) -> None:
    assert [calls.call("GET", "/x") for _ in range(3)] == [{}] * 3
    assert handler.connections == 3


def test_a_hub_that_never_answers_is_asked_once(calls: HubCalls, handler: type[_Handler]) -> None:
    handler.calls_max = 0
    with pytest.raises(HubAwayError):
        calls.call("GET", "/x")
    assert handler.connections == 1


def test_a_certificate_that_is_not_accepted_is_reported_with_a_remedy(
    tmp_path: Path, handler: type[_Handler]
) -> None:
    cert, key = make_certificate(make_authority(tmp_path / "ca"), "hub")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_port
        calls = HubCalls(HubPlace("127.0.0.1", port, "hub", "key", tls=True, is_own=False))
        place = ControlPlace("127.0.0.1", port, "hub", "key", tls=True, is_own=False)
        says = "set SSL_CERT_FILE in the daemon's environment to the file of the authority"
        with pytest.raises(HubAwayError, match=says):
            calls.call("GET", "/x")
        with pytest.raises(HubSilentError, match=says):
            asyncio.run(ask_hub(place, ""))
        server.shutdown()
