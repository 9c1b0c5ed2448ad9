"""The daemon's log: its file may be renamed, and libraries do not fill it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell_daemon.log_file import configure_logging, set_level

NAMES = ("", "stepwell_daemon", "stepwell_store", "stepwell_wire")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    levels = [each.level for each in loggers]
    handlers = loggers[0].handlers[:]
    yield
    for handler in loggers[0].handlers:
        if handler not in handlers:
            handler.close()
    loggers[0].handlers[:] = handlers
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)


def test_a_renamed_file_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "daemon.log"
    configure_logging(str(path), "info")
    ours = logging.getLogger("stepwell_daemon")
    ours.info("one")
    path.rename(tmp_path / "old.log")
    ours.info("two")
    assert "one" in (tmp_path / "old.log").read_text()
    assert path.read_text().rstrip().endswith("INFO two")


def test_debug_is_of_our_own_parts_alone(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    configure_logging(str(path), "debug")
    logging.getLogger("grpc._cython.cygrpc").debug("[_cygrpc] Loaded running loop")
    logging.getLogger("asyncio").info("chatter")
    logging.getLogger("grpc").warning("a library warns")
    logging.getLogger("stepwell_daemon.spool").debug("ours")
    set_level("error")
    logging.getLogger("stepwell_daemon").warning("not any more")
    logging.getLogger("grpc").warning("nor this")
    assert [line.split(" ", 3)[3] for line in path.read_text().splitlines()] == [
        "a library warns",
        "ours",
    ]
