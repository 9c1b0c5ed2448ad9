"""Journals that dead writers left: their rest is taken as if they had sent it.

A writer is dead when nobody holds its journal's lock. The recoverer takes the lock itself, reads on
from what is durable here, and removes the journal when all of it is. A writer that never said
`finish` is then `crashed`: the daemon appends that to the writer's own stream.
"""

import asyncio
import fcntl
import logging
import os
import time
import zlib
from concurrent.futures import Executor
from pathlib import Path

from stepwell_wire.journal import JournalError, JournalReader, find_journals

from stepwell_daemon.counters import Counters
from stepwell_daemon.receiver import Receiver, RefusedError
from stepwell_daemon.spool.record import HAS_FINISH
from stepwell_daemon.spool.spool import Spool, Writer
from stepwell_wire.ingest_pb2 import Frame, Hello, Schema
from stepwell_wire.limits import FRAME_BYTES_TARGET, PROTOCOL_MAJOR
from stepwell_wire.records import FINISH, pack_event

logger = logging.getLogger("stepwell_daemon")


class Recovery:
    """Looks for what dead writers left."""

    def __init__(
        self,
        spool: Spool,
        receiver: Receiver,
        counters: Counters,
        executor: Executor,
        journals_dir: Path,
    ) -> None:
        self._spool, self._receiver, self._counters = spool, receiver, counters
        self._executor = executor
        self._journals_dir = journals_dir
        self._told: set[Path] = set()

    async def recover_forever(self, every_seconds: float) -> None:
        while True:
            await self.recover_once()
            await asyncio.sleep(every_seconds)

    async def recover_once(self) -> int:
        """Recover every journal of a dead writer; return how many were finished."""
        loop = asyncio.get_running_loop()
        folders = {self._journals_dir} | {
            Path(writer.known.journal_dir).parent
            for writer in self._spool.writers.values()
            if writer.known.journal_dir and not writer.known.finished
        }
        paths = await loop.run_in_executor(self._executor, _dead_journals, folders)
        done = 0
        for path, lock in paths:
            try:
                if await self._recover(path):
                    done += 1
            except JournalError as error:
                if path not in self._told:
                    self._told.add(path)
                    logger.error("journal cannot be recovered path=%s error=%s", path, error)
            except RefusedError as refused:
                logger.warning("journal not taken now path=%s reason=%s", path, refused.detail)
            except OSError as error:
                logger.warning("journal cannot be read path=%s error=%s", path, error)
            finally:
                os.close(lock)
        self._counters.recovered_journals += done
        return done

    async def _recover(self, path: Path) -> bool:
        loop = asyncio.get_running_loop()
        reader = await loop.run_in_executor(self._executor, JournalReader, path)
        try:
            info = reader.info
            if info.mode == "offline":
                return False
            schemas = await loop.run_in_executor(self._executor, reader.schemas)
            hello = Hello(
                protocol_major=PROTOCOL_MAJOR,
                project=info.project,
                run_id=info.run_id,
                writer_id=info.writer_id,
                label=info.label,
                scope="run",
                host=info.host,
                pid=info.pid,
                journal_dir=str(path),
                position=reader.oldest,
                schemas=[Schema(id=number, keys=keys) for number, keys in schemas.items()],
                recovered=True,
            )
            writer = self._receiver.register(hello)
            position = max(reader.oldest, writer.accepted)
            future = None
            while position < reader.committed:
                records = await loop.run_in_executor(
                    self._executor, reader.read, position, FRAME_BYTES_TARGET
                )
                if not records:
                    break
                frame = Frame(position=position, records=records, crc32=zlib.crc32(records))
                await self._spool.room()
                position, future = self._receiver.take(writer, frame)
            if future is not None:
                await future
            await self._end(writer)
            await loop.run_in_executor(self._executor, reader.mark_acked, position)
            await loop.run_in_executor(self._executor, reader.remove)
            logger.info("recovered a dead writer's journal path=%s position=%d", path, position)
            return True
        finally:
            reader.close()

    async def _end(self, writer: Writer) -> None:
        """Say that a writer crashed, unless it said how it ended."""
        if writer.known.finished:
            return
        body = {"state": "crashed", "exit_code": -1}
        record = pack_event(FINISH, body, step=0, time_us=time.time_ns() // 1000)
        await self._spool.append(writer, writer.accepted, record, flags=HAS_FINISH)


def _dead_journals(folders: set[Path]) -> list[tuple[Path, int]]:
    """Return the journals whose lock is free, each with the lock, held now."""
    found = []
    for folder in folders:
        try:
            paths = find_journals(folder)
        except OSError:
            continue
        for path in paths:
            if not (path / "writer.json").exists():
                continue  # Just being made: a writer holds its lock before it names itself.
            try:
                lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(lock)
                continue
            found.append((path, lock))
    return found
