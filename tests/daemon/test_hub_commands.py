"""Commands of the hub reach the sessions of their runs, and nobody is asked without a reason."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from stepwell_daemon.hub_commands import (
    ControlPlace,
    HubCommands,
    HubSilentError,
    ask_hub,
)
from stepwell_daemon.session import Session, open_session
from stepwell_daemon.writers import Registry
from tests.daemon.made import hello
from tests.waiting import until

PLACE = ControlPlace("127.0.0.1", 1, "here", "key", tls=False, is_own=True)


def stop(run_id: str, *, number: int = 1) -> dict[str, Any]:
    return {
        "project": "demo",
        "run_id": run_id,
        "command": "stop",
        "reason": "early_terminate",
        "sweep": "abcd1234",
        "number": number,
        "fencing": 1,
    }


class Desk:
    """A registry, commands, and a hub that answers what is put into `answers`."""

    def __init__(self) -> None:
        self.registry = Registry({})
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.cursors: list[str] = []
        self.now = 0.0
        self.slept: list[float] = []
        self.commands = HubCommands(
            lambda: PLACE,
            self.registry.connected,
            ask=self.ask,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def ask(self, place: ControlPlace, cursor: str) -> Mapping[str, Any]:
        self.cursors.append(cursor)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        found: Mapping[str, Any] = answer
        return found

    def connect(self, name: str, sweep_id: str = "abcd1234") -> Session:
        session = open_session(hello(name, sweep_id=sweep_id), self.registry, writers_max=9)
        if sweep_id:
            self.commands.welcome(session)
        return session


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_hub_is_asked_only_while_a_run_of_a_sweep_is_connected() -> None:
    async def scenario() -> None:
        desk = Desk()
        asking = asyncio.create_task(desk.commands.run())
        desk.connect("plain", sweep_id="")
        await settle()
        assert desk.cursors == []
        session = desk.connect("w1")
        await settle()
        assert desk.cursors == [""]
        session.state.session = None
        desk.answers.put_nowait({"cursor": "7", "commands": []})
        await settle()
        assert desk.cursors == [""]
        desk.connect("w2")
        await settle()
        assert desk.cursors == ["", "7"]
        asking.cancel()

    asyncio.run(scenario())


def test_a_command_reaches_its_run_once_and_a_writer_that_comes_later() -> None:
    async def scenario() -> None:
        desk = Desk()
        asking = asyncio.create_task(desk.commands.run())
        first, other = desk.connect("w1"), desk.connect("w2")
        desk.answers.put_nowait({"cursor": "1", "commands": [stop("run-w1"), stop("run-w3")]})
        desk.answers.put_nowait({"cursor": "2", "commands": [stop("run-w1")]})
        await settle()
        assert [(each.kind, each.reason) for each in first.commands] == [
            ("stop", "early_terminate")
        ]
        assert first.changed.is_set()
        assert other.commands == []
        later = desk.connect("w3")
        assert [each.sweep_id for each in later.commands] == ["abcd1234"]
        asking.cancel()

    asyncio.run(scenario())


def test_commands_are_kept_for_ten_minutes() -> None:
    async def scenario() -> None:
        desk = Desk()
        asking = asyncio.create_task(desk.commands.run())
        desk.connect("w1")
        desk.answers.put_nowait({"cursor": "1", "commands": [stop("run-w3")]})
        await settle()
        desk.now = 601.0
        desk.answers.put_nowait({"cursor": "2", "commands": []})
        await settle()
        assert desk.connect("w3").commands == []
        asking.cancel()

    asyncio.run(scenario())


def test_a_hub_that_is_silent_is_told_once_and_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        desk = Desk()
        asking = asyncio.create_task(desk.commands.run())
        session = desk.connect("w1")
        for answer in (
            HubSilentError("here: gone"),
            HubSilentError("here: HTTP 404", status=404),
            {"cursor": "1"},
            {"cursor": "1", "commands": [stop("run-w1")]},
        ):
            desk.answers.put_nowait(answer)
        await until(lambda: session.commands, "the command")
        assert desk.slept[1] == 60.0
        assert len(desk.slept) == 3
        asking.cancel()

    asyncio.run(scenario())
    told = [record.message for record in caplog.records if "commands for trials" in record.message]
    assert told[0].startswith(
        "reading commands for trials from the hub failed, trying again later: here: gone"
    )
    assert len(told) <= 2


def test_the_question_is_one_that_a_hub_understands() -> None:
    asked: list[bytes] = []

    async def scenario() -> tuple[Mapping[str, Any], str]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            body = json.dumps({"cursor": "5", "commands": []}).encode()
            status = b"200 OK" if len(asked) == 1 else b"503 Away"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        place = PLACE._replace(port=port)
        async with server:
            found = await ask_hub(place, "4")
            with pytest.raises(HubSilentError, match="here: HTTP 503"):
                await ask_hub(place, "")
        with pytest.raises(HubSilentError, match="Connect call failed"):
            await ask_hub(place, "")
        return found, asked[0].decode()

    found, question = asyncio.run(scenario())
    assert found == {"cursor": "5", "commands": []}
    assert question.startswith("GET /api/v1/control?wait=20&cursor=4 HTTP/1.1\r\nHost: here\r\n")
    assert "Authorization: Bearer key\r\n" in question
