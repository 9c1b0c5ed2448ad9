"""Who may relay: certificates, tokens, their rotation, and the files that hold them."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import grpc
import pytest

from stepwell_daemon.config import DaemonConfig, build_parser
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.gateway.listener import Listener
from stepwell_daemon.gateway.secrets import read_secret
from stepwell_daemon.gateway.settings import ListenSettings, split_address
from stepwell_daemon.gateway.tokens import HEADER, Tokens, parse_tokens, read_token
from stepwell_daemon.part_settings import load_config
from stepwell_daemon.spool.spool import Spool
from stepwell_wire.hub_address import is_loopback
from stepwell_wire.ingest_pb2 import RelayReply
from stepwell_wire.service import RELAY, STATUS, STREAM
from tests.certificates import make_authority, make_certificate
from tests.daemon.gateways import (
    TOKEN,
    gateway_running,
    relay_all,
    relaying,
    write_secret,
)
from tests.daemon.made import append, new_writer, row, schema_event, spool_running
from tests.waiting import until

OTHER = "another-token-of-enough-characters"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server_files(authority: Path) -> dict[str, Path]:
    cert, key = make_certificate(authority, "server")
    return {"cert_file": cert, "key_file": key}


async def append_one(spool: Spool) -> None:
    append(spool, new_writer(spool), schema_event() + row(1))
    await spool.settled()


async def refused(tmp_path: Path, port: int, **settings: Any) -> str:
    """Relay with ``settings`` and return why it does not work."""
    async with spool_running(tmp_path / "node") as spool:
        await append_one(spool)
        async with relaying(spool, port, **settings) as forwarder:
            await until(lambda: spool.counters.insert_failures >= 2, "two failures")
            assert not spool.is_forwarded
            return forwarder.health.last_error


async def taken(tmp_path: Path, port: int, **settings: Any) -> None:
    async with spool_running(tmp_path / "node") as spool:
        await append_one(spool)
        await relay_all(spool, port, **settings)


# ---------------------------------------------------------------------------- TLS


def test_a_gateway_whose_certificate_is_trusted_is_used(
    tmp_path: Path, authority: Path, server_files: dict[str, Path]
) -> None:
    async def run() -> None:
        async with gateway_running(tmp_path / "up", **server_files) as (gateway, port):
            await taken(tmp_path, port, ca_file=authority)
            assert gateway.counters.points_received == 2

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["another authority", "expired", "no TLS"])
def test_a_gateway_that_is_not_trusted_gets_nothing(
    tmp_path: Path, authority: Path, server_files: dict[str, Path], kind: str
) -> None:
    async def run() -> None:
        files, trusted = dict(server_files), authority
        if kind == "another authority":
            trusted = make_authority(tmp_path / "ca2")
        elif kind == "expired":
            cert, key = make_certificate(authority, "expired", days=-1)
            files = {"cert_file": cert, "key_file": key}
        else:
            files = {}
        async with gateway_running(tmp_path / "up", **files) as (gateway, port):
            error = await refused(tmp_path, port, ca_file=trusted)
            assert "cannot be reached" in error
            assert gateway.counters.points_received == 0

    asyncio.run(run())


def test_mutual_tls_takes_only_daemons_with_a_certificate(
    tmp_path: Path, authority: Path, server_files: dict[str, Path]
) -> None:
    async def run() -> None:
        client_authority = make_authority(tmp_path / "ca2")
        files = {**server_files, "client_ca_file": client_authority}
        cert, key = make_certificate(client_authority, "node")
        strange, strange_key = make_certificate(make_authority(tmp_path / "ca3"), "node")
        async with gateway_running(tmp_path / "up", **files) as (gateway, port):
            await refused(tmp_path / "a", port, ca_file=authority)
            await refused(
                tmp_path / "b", port, ca_file=authority, cert_file=strange, key_file=strange_key
            )
            assert gateway.counters.points_received == 0
            await taken(tmp_path / "c", port, ca_file=authority, cert_file=cert, key_file=key)
            assert gateway.counters.points_received == 2

    for name in "abc":
        (tmp_path / name).mkdir()
    asyncio.run(run())


def test_a_new_certificate_counts_from_the_next_connection_on(
    tmp_path: Path, authority: Path, server_files: dict[str, Path]
) -> None:
    async def run() -> None:
        folder = tmp_path / "live"
        folder.mkdir()
        files = {name: folder / path.name for name, path in server_files.items()}

        def install(source: dict[str, Path]) -> None:
            for name in ("key_file", "cert_file"):
                staged = folder / "staged"
                write_secret(staged, source[name].read_text())
                os.replace(staged, files[name])

        second = make_authority(tmp_path / "ca2")
        cert, key = make_certificate(second, "server")
        install(server_files)
        async with gateway_running(tmp_path / "up", **files) as (gateway, port):
            await taken(tmp_path / "a", port, ca_file=authority)
            install({"cert_file": cert, "key_file": key})
            await taken(tmp_path / "b", port, ca_file=second)
            await refused(tmp_path / "c", port, ca_file=authority)
            write_secret(files["cert_file"], "no certificate\n")
            await taken(tmp_path / "d", port, ca_file=second)
            assert gateway.counters.points_received == 2

    for name in "abcd":
        (tmp_path / name).mkdir()
    asyncio.run(run())


# ---------------------------------------------------------------------------- tokens


def test_a_token_opens_and_its_name_alone_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        tokens = write_secret(tmp_path / "tokens", f"# ours\nrack-7 {TOKEN}  # a node\n\n")
        mine = write_secret(tmp_path / "mine", f"{TOKEN}\n")
        async with gateway_running(tmp_path / "up", tokens_file=tokens) as (gateway, port):
            await taken(tmp_path, port, token_file=mine)
            assert gateway.counters.points_received == 2

    with caplog.at_level(logging.DEBUG):
        asyncio.run(run())
    assert "token=rack-7" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("presented", [None, OTHER])
def test_a_missing_or_wrong_token_is_refused_and_not_logged(
    tmp_path: Path, presented: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        tokens = write_secret(tmp_path / "tokens", f"{TOKEN}\n")
        settings = {}
        if presented is not None:
            settings = {"token_file": write_secret(tmp_path / "mine", presented)}
        async with gateway_running(tmp_path / "up", tokens_file=tokens) as (gateway, port):
            error = await refused(tmp_path, port, **settings)
            assert "token is not known" in error
            assert gateway.counters.refused["unauthenticated"] >= 2
            assert gateway.counters.points_received == 0

    asyncio.run(run())
    assert TOKEN not in caplog.text
    assert OTHER not in caplog.text


@pytest.mark.slow
def test_a_token_that_is_taken_away_ends_its_streams_and_a_new_one_opens(tmp_path: Path) -> None:
    async def run() -> None:
        tokens = write_secret(tmp_path / "tokens", f"{TOKEN}\n")
        mine = write_secret(tmp_path / "mine", f"{TOKEN}\n")
        async with (
            gateway_running(tmp_path / "up", tokens_file=tokens) as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            await append_one(spool)
            async with relaying(spool, port, token_file=mine) as forwarder:
                await until(lambda: spool.is_forwarded, "the gateway to have all")
                write_secret(tokens, f"{OTHER}\n")
                append(spool, new_writer(spool), row(2))
                await until(
                    lambda: "token is not known" in forwarder.health.last_error, "the refusal"
                )
                assert gateway.counters.points_received == 2
                write_secret(mine, f"{OTHER}\n")
                await until(lambda: gateway.counters.points_received == 4, "the second row")
                await until(lambda: forwarder.health.healthy, "the gateway to take rows")
                write_secret(tokens, "short\n")  # A slip while rotating: the former ones stay.
                append(spool, new_writer(spool), row(3))
                await until(lambda: gateway.counters.points_received == 6, "the third row")

    asyncio.run(run())


@pytest.mark.parametrize("text", ["short", "a b c", f"name extra {TOKEN}", "päßwörterlich-lang"])
def test_a_line_that_is_no_token_is_named_by_number_only(text: str) -> None:
    with pytest.raises(DaemonConfigError, match="line 2") as caught:
        parse_tokens(f"{TOKEN}\n{text}\n", "tokens")
    assert text not in str(caught.value)


def test_every_token_is_compared_by_its_digest(tmp_path: Path) -> None:
    tokens = Tokens(write_secret(tmp_path / "tokens", f"a {TOKEN}\nb {OTHER}\n"))

    def caller(*values: str) -> str | None:
        found = tokens.caller([(HEADER, value) for value in values])
        return None if found is None else found.name

    assert caller(f"Bearer {TOKEN}") == "a"
    assert caller(f"Bearer {OTHER}") == "b"
    assert caller(TOKEN) is None
    assert caller(f"Bearer {TOKEN[:-1]}") is None
    assert caller() is None
    assert caller(f"Bearer {TOKEN}", f"Bearer {OTHER}") is None


def test_an_empty_file_of_tokens_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(DaemonConfigError, match="no token"):
        Tokens(write_secret(tmp_path / "tokens", "# none yet\n"))


# ---------------------------------------------------------------------------- files and settings


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o622, 0o620])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_secret(tmp_path / "token", TOKEN)
    path.chmod(mode)
    with pytest.raises(DaemonConfigError, match="chmod 600"):
        read_secret(path)
    with pytest.raises(DaemonConfigError, match=f"{mode:04o}"):
        read_token(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_secret_of_owner_and_group_is_read(tmp_path: Path, mode: int) -> None:
    path = write_secret(tmp_path / "token", TOKEN)
    path.chmod(mode)
    assert read_token(path) == TOKEN


def test_a_key_that_others_may_read_is_not_served(
    tmp_path: Path, server_files: dict[str, Path]
) -> None:
    key = write_secret(tmp_path / "key", server_files["key_file"].read_text())
    key.chmod(0o644)
    settings = ListenSettings(
        address="127.0.0.1:0", cert_file=server_files["cert_file"], key_file=key
    )
    with pytest.raises(DaemonConfigError, match="chmod 600"):
        Listener(settings, None)  # type: ignore[arg-type]


def config(**values: str) -> DaemonConfig:
    arguments = [word for name, text in values.items() for word in (f"--{name}", text)]
    return load_config(build_parser().parse_args(arguments), {"STEPWELL_DATA": "/d"})


@pytest.mark.holds("gateway-port-is-closed")
@pytest.mark.parametrize("address", ["0.0.0.0:1", "10.0.0.1:9470", "[::]:9470", "gateway:9470"])
def test_beyond_loopback_tls_and_a_proof_of_who_calls_are_required(address: str) -> None:
    with pytest.raises(DaemonConfigError, match="TLS is required"):
        config(**{"gateway-listen": address})
    secure = {
        "gateway-listen": address,
        "gateway-listen-cert-file": "/c",
        "gateway-listen-key-file": "/k",
    }
    with pytest.raises(DaemonConfigError, match="every host on the network could write"):
        config(**secure)
    assert config(**secure, **{"gateway-tokens-file": "/t"}).listen_settings() is not None
    assert config(**secure, **{"gateway-listen-client-ca-file": "/t"}).listen_settings()


def test_a_node_speaks_tls_beyond_loopback() -> None:
    def secure(address: str, **more: str) -> bool:
        values = {"sink": "gateway", "gateway-address": address, **more}
        return config(**values).relay_settings().secure

    assert not secure("127.0.0.1:9470")
    assert not secure("localhost:9470")
    assert secure("localhost:9470", **{"gateway-ca-file": "/ca"})
    assert secure("gateway.example:9470")
    assert secure("10.0.0.1:9470")


@pytest.mark.parametrize(
    "values",
    [
        {"sink": "gateway"},
        {"sink": "gateway", "gateway-address": "nowhere"},
        {"sink": "gateway", "gateway-address": "h:99999"},
        {"sink": "gateway", "gateway-address": "h:1", "gateway-cert-file": "/c"},
        {"sink": "gateway", "gateway-address": "localhost:1"}
        | {"gateway-cert-file": "/c", "gateway-key-file": "/k"},
        {"gateway-listen": "127.0.0.1:1", "gateway-listen-cert-file": "/c"},
        {"gateway-listen": "127.0.0.1:1", "gateway-listen-client-ca-file": "/c"},
        {"sink": "nowhere"},
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(DaemonConfigError, match=r"gateway|sink"):
        config(**values)


def test_addresses() -> None:
    assert split_address("[::1]:80", "x") == ("::1", 80)
    assert is_loopback("::1")
    assert is_loopback("127.9.9.9")
    assert not is_loopback("localhost.example")


@pytest.mark.holds("gateway-port-is-closed")
def test_what_is_printed_of_the_settings_names_files_and_holds_no_secret(tmp_path: Path) -> None:
    path = write_secret(tmp_path / "token", TOKEN)
    text = config(
        **{"sink": "gateway", "gateway-address": "h:1", "gateway-token-file": str(path)}
    ).to_json()
    assert str(path) in text
    assert TOKEN not in text


# ---------------------------------------------------------------------------- the port


@pytest.mark.holds("gateway-port-is-closed")
@pytest.mark.parametrize("method", [STREAM, STATUS])
def test_nothing_but_relays_is_served_on_the_port(tmp_path: Path, method: str) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (_, port),
            grpc.aio.insecure_channel(f"localhost:{port}") as channel,
        ):
            call = channel.stream_stream(method)(iter([]))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    asyncio.run(run())


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 9, b"\x12\x04\x08\x01\x10\x05", b"\x0a\x02\x08\x09"]
)
def test_what_is_no_hello_is_refused_with_a_reason(tmp_path: Path, data: bytes) -> None:
    async def run() -> None:
        async with gateway_running(tmp_path / "up") as (gateway, port):
            async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
                call = channel.stream_stream(RELAY)()
                await call.write(data)
                reply = RelayReply.FromString(await call.read())
                assert reply.WhichOneof("body") == "refusal"
                assert reply.refusal.detail
            assert gateway.counters.handler_errors == 0

    asyncio.run(run())
