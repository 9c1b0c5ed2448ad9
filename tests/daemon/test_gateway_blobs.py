"""Blobs between daemons: by digest, in chunks that go on where they ended, checked at the end."""

import asyncio
import os
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from blake3 import blake3

from stepwell_daemon.blobs.pipeline import StoreKeeper
from stepwell_daemon.blobs.queue import BlobQueue
from stepwell_daemon.blobs.worker_process import Result
from stepwell_daemon.counters import Counters
from stepwell_daemon.errors import BlobRefusedError
from stepwell_daemon.gateway.blob_keeper import GatewayKeeper
from stepwell_daemon.gateway.connection import GatewayError
from stepwell_daemon.gateway.relayed_blobs import RelayedBlobs, RelayedBlobService
from stepwell_daemon.gateway.settings import RelaySettings
from stepwell_daemon.gateway.tokens import Tokens
from stepwell_store.blob_store import FolderBlobStore
from stepwell_wire.blobs_pb2 import LATER, BlobChunk, BlobReply
from stepwell_wire.limits import BLOB_CHUNK_BYTES
from stepwell_wire.service import PUT
from tests.daemon.gateways import TOKEN, write_secret

CONTENT = os.urandom(3 * BLOB_CHUNK_BYTES + 123)


def blob(folder: Path, content: bytes = CONTENT) -> tuple[Result, Path]:
    path = folder / "made"
    path.write_bytes(content)
    return Result(digest=blake3(content).hexdigest(), size=len(content)), path


@asynccontextmanager
async def gateway(
    folder: Path,
    *,
    tokens_file: Path | None = None,
    free_bytes_min: int = 0,
    bytes_max: int = 1 << 30,
) -> AsyncIterator[tuple[FolderBlobStore, BlobQueue, int]]:
    """A gateway's port that takes blobs."""
    store = FolderBlobStore(folder / "store")
    queue = BlobQueue(folder / "blobs", bytes_max=bytes_max, free_bytes_min=free_bytes_min)
    queue.open()
    with ThreadPoolExecutor(1) as executor:
        desk = RelayedBlobs(queue, StoreKeeper(store, executor), executor=executor)
        service = RelayedBlobService(desk, tokens=Tokens(tokens_file), counters=Counters())
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((service.handlers(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield store, queue, port
        finally:
            await server.stop(0.2)


def run(
    tmp_path: Path,
    work: Callable[[FolderBlobStore, BlobQueue, int, GatewayKeeper], Awaitable[Any]],
    *,
    token: Path | None = None,
    **named: Any,
) -> Any:
    async def within() -> Any:
        async with gateway(tmp_path / "gateway", **named) as (store, queue, port):
            settings = RelaySettings(
                address=f"127.0.0.1:{port}", token_file=token, timeout_seconds=10.0
            )
            keeper = GatewayKeeper(settings)
            try:
                return await work(store, queue, port, keeper)
            finally:
                await keeper.close()

    return asyncio.run(within())


def test_a_blob_arrives_whole_and_is_sent_once(tmp_path: Path) -> None:
    async def work(store: FolderBlobStore, queue: BlobQueue, _: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        assert not await keeper.has(result.digest)
        assert await keeper.keep(result, path)
        assert not path.exists()
        assert store.open(result.digest).read() == CONTENT
        assert await keeper.has(result.digest)
        again, path = blob(tmp_path)
        assert not await keeper.keep(again, path)
        assert queue.arrived_bytes(result.digest) == 0

    run(tmp_path, work)


@pytest.mark.slow
def test_a_blob_that_takes_long_to_be_kept_is_kept_and_not_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node gives up after its time limit; the gateway goes on."""
    may_go_on, begun = threading.Event(), []
    real = FolderBlobStore.put

    def put(store: FolderBlobStore, digest: str, path: Path) -> bool:
        begun.append(digest)
        assert may_go_on.wait(30)
        return real(store, digest, path)

    monkeypatch.setattr(FolderBlobStore, "put", put)

    async def work(_: FolderBlobStore, __: BlobQueue, port: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        hasty = GatewayKeeper(RelaySettings(address=f"127.0.0.1:{port}", timeout_seconds=0.5))
        try:
            with pytest.raises(GatewayError, match="did not answer about a blob"):
                await hasty.keep(result, path)
        finally:
            await hasty.close()
        with pytest.raises(GatewayError, match="is storing it"):
            await keeper.keep(result, path)
        may_go_on.set()
        async with asyncio.timeout(30):
            while not await keeper.has(result.digest):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert begun == [result.digest]
        assert not await keeper.keep(result, path)

    try:
        run(tmp_path, work)
    finally:
        may_go_on.set()


def test_the_last_answer_may_take_longer_for_a_larger_blob(tmp_path: Path) -> None:
    keeper = GatewayKeeper(RelaySettings(address="127.0.0.1:1", timeout_seconds=30.0))
    assert keeper._seconds_of_accepting(0) == 30.0
    assert keeper._seconds_of_accepting(4 << 30) == 30.0 + 512.0


def test_an_empty_blob_arrives(tmp_path: Path) -> None:
    async def work(store: FolderBlobStore, _: BlobQueue, __: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path, b"")
        assert await keeper.keep(result, path)
        assert store.open(result.digest).read() == b""

    run(tmp_path, work)


def test_what_was_cut_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    async def work(store: FolderBlobStore, queue: BlobQueue, _: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        half = CONTENT[:BLOB_CHUNK_BYTES]
        queue.receive(result.digest, result.size, 0, half, zlib.crc32(half))
        offsets = []
        real = queue.receive

        def receive(name: str, size: int, offset: int, data: bytes, crc32: int) -> None:
            offsets.append(offset)
            real(name, size, offset, data, crc32)

        queue.receive = receive  # type: ignore[method-assign]
        assert await keeper.keep(result, path)
        assert offsets == [BLOB_CHUNK_BYTES, 2 * BLOB_CHUNK_BYTES, 3 * BLOB_CHUNK_BYTES]
        assert store.open(result.digest).read() == CONTENT

    run(tmp_path, work)


def test_bytes_that_are_not_the_digest_s_are_never_kept_and_begun_anew(tmp_path: Path) -> None:
    async def work(store: FolderBlobStore, queue: BlobQueue, _: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        wrong = bytes(BLOB_CHUNK_BYTES)
        queue.receive(result.digest, result.size, 0, wrong, zlib.crc32(wrong))
        with pytest.raises(GatewayError, match="do not match their digest"):
            await keeper.keep(result, path)
        assert store.stat(result.digest) is None
        assert await keeper.keep(result, path)
        assert store.open(result.digest).read() == CONTENT

    run(tmp_path, work)


def test_a_gateway_without_room_takes_none_and_nothing_is_lost(tmp_path: Path) -> None:
    async def work(_: FolderBlobStore, __: BlobQueue, ___: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        with pytest.raises(GatewayError, match="space for rows"):
            await keeper.keep(result, path)
        assert path.read_bytes() == CONTENT

    run(tmp_path, work, free_bytes_min=1 << 60)


def test_a_blob_that_no_queue_of_the_gateway_can_hold_is_refused(tmp_path: Path) -> None:
    async def work(_: FolderBlobStore, __: BlobQueue, ___: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        for _ in range(10):  # Its answer comes while chunks are written.
            with pytest.raises(BlobRefusedError, match="blob_queue_bytes_max"):
                await keeper.keep(result, path)
        assert path.read_bytes() == CONTENT

    run(tmp_path, work, bytes_max=1000)


def test_something_longer_under_its_digest_keeps_no_blob_away(tmp_path: Path) -> None:
    async def work(store: FolderBlobStore, queue: BlobQueue, _: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path, b"short")
        queue.receive(result.digest, 6, 0, b"longer", zlib.crc32(b"longer"))
        with pytest.raises(GatewayError, match="send it again"):
            await keeper.keep(result, path)
        assert await keeper.keep(result, path)
        assert store.open(result.digest).read() == b"short"

    run(tmp_path, work)


@pytest.mark.holds("gateway-port-is-closed")
def test_a_token_is_asked_for(tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", f"node {TOKEN}\n")
    good = write_secret(tmp_path / "good", TOKEN)
    bad = write_secret(tmp_path / "bad", "another-token-of-enough-characters")

    async def refused(_: Any, __: Any, ___: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        with pytest.raises(GatewayError, match="refuses the token"):
            await keeper.keep(result, path)

    async def taken(store: FolderBlobStore, _: Any, __: int, keeper: GatewayKeeper) -> None:
        result, path = blob(tmp_path)
        assert await keeper.keep(result, path)

    run(tmp_path, refused, token=bad, tokens_file=tokens)
    run(tmp_path, refused, tokens_file=tokens)
    run(tmp_path, taken, token=good, tokens_file=tokens)


def test_a_gateway_that_is_away_or_older_is_named(tmp_path: Path) -> None:
    async def work() -> None:
        result, path = blob(tmp_path)
        server = grpc.aio.server()  # It knows no blobs.
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        keeper = GatewayKeeper(RelaySettings(address=f"127.0.0.1:{port}", timeout_seconds=10.0))
        with pytest.raises(GatewayError, match="upgrade the gateway"):
            await keeper.keep(result, path)
        await server.stop(0)
        with pytest.raises(GatewayError, match="cannot be reached"):
            await keeper.keep(result, path)
        await keeper.close()
        assert path.read_bytes() == CONTENT

    asyncio.run(work())


@pytest.mark.parametrize(
    "chunk",
    [
        {"name": "../../x", "size": 1, "data": b"x"},
        {"name": "a" * 64, "size": 1, "data": b"too much"},
        {"name": "a" * 64, "size": 1 << 60, "data": b"x"},
        {"name": "a" * 64, "size": 9, "offset": 5, "data": b"x"},
        {"name": "a" * 64, "size": 1, "data": b"x", "crc32": 1},
        {"name": "a" * 64, "size": 1, "data": b"x"},
    ],
)
def test_hostile_chunks_leave_nothing_in_the_store(tmp_path: Path, chunk: dict[str, Any]) -> None:
    async def work(store: FolderBlobStore, queue: BlobQueue, port: int, _: Any) -> None:
        message = BlobChunk(**{"crc32": zlib.crc32(chunk["data"]), **chunk})
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.stream_unary(PUT)(iter([message.SerializeToString()]))
            reply = BlobReply.FromString(await call)
        assert reply.outcome != 1
        assert list(store.walk()) == []
        assert not (tmp_path / "x").exists()
        if reply.outcome == LATER:
            assert reply.detail

    run(tmp_path, work)
