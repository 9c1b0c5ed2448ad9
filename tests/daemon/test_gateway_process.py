"""A node and a gateway as processes of their own: settings, TLS, tokens, status, rotation."""

import urllib.request
from collections.abc import Iterator

import pytest

from tests.certificates import make_authority, make_certificate
from tests.daemon.client import Client, flush, status_of
from tests.daemon.conftest import Process, made_process
from tests.daemon.gateways import TOKEN, write_secret
from tests.daemon.made import row, schema_event
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
OTHER = "another-token-of-enough-characters"


@pytest.fixture
def node() -> Iterator[Process]:
    """The gateway is ``process``."""
    with made_process() as made:
        yield made


def test_a_node_relays_with_tls_and_a_token_that_is_changed_while_both_run(
    process: Process, node: Process
) -> None:
    authority = make_authority(process.folder / "ca")
    cert, key = make_certificate(authority, "server")
    tokens = write_secret(process.folder / "tokens", f"rack {TOKEN}\n")
    mine = write_secret(process.folder / "mine", f"{TOKEN}\n")
    process.start(
        *("--gateway-listen", "127.0.0.1:0", "--gateway-tokens-file", str(tokens)),
        *("--gateway-listen-cert-file", str(cert), "--gateway-listen-key-file", str(key)),
    )
    port = status_of(process.socket)["gateway"]["port"]
    node.start(
        *("--sink", "gateway", "--gateway-address", f"localhost:{port}"),
        *("--gateway-ca-file", str(authority), "--gateway-token-file", str(mine)),
    )
    client = Client(node.socket)
    try:
        first = schema_event() + row(1)
        assert client.next().WhichOneof("body") == "welcome"
        client.send(0, first)
        client.wait_acked(len(first))
        assert flush(node.socket).stored
        found, node_status = status_of(process.socket), status_of(node.socket)
        assert found["totals"]["points_received"] == 2
        assert found["gateway"]["daemons"] == [node_status["daemon_id"]]
        (writer,) = found["writers"]
        assert (writer["connected"], writer["relayed"]) == (False, True)
        assert node_status["writers"][0]["relayed"] is False
        with urllib.request.urlopen(found["metrics_url"], timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        assert "stepwell_writers_connected 0.0" in lines
        assert "stepwell_writers_relayed 1.0" in lines
        assert node_status["sink"]["kind"] == f"gateway localhost:{port}"
        assert node_status["sink"]["healthy"]

        write_secret(tokens, f"rack {OTHER}\n")
        client.send(len(first), row(2))
        wait_until(
            lambda: not status_of(node.socket)["sink"]["healthy"], "the gateway to be missed"
        )
        assert status_of(process.socket)["totals"]["points_received"] == 2
        write_secret(mine, f"{OTHER}\n")
        wait_until(lambda: status_of(node.socket)["sink"]["healthy"], "the gateway to be back")
        assert flush(node.socket).stored
        assert status_of(process.socket)["totals"]["points_received"] == 4
    finally:
        client.close()
    assert node.stop() == 0
    assert process.stop() == 0
    for log in (process.log, node.log):
        assert TOKEN not in log.read_text()
        assert OTHER not in log.read_text()
