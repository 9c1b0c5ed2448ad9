"""Requests of the command line to a daemon: status, flush and hold, over its socket."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from stepwell.cli.errors import FAILED, UNREACHABLE, CommandError
from stepwell_wire.control_channel import socket_noted_in
from stepwell_wire.service import FLUSH, HOLD, STATUS, SWEEP_REMOVED
from stepwell_wire.trusted_socket import (
    CHANNEL_OPTIONS,
    Peer,
    TrustedSocket,
    UntrustedSocketError,
)

STATUS_TIMEOUT_SECONDS: Final = 5.0
_CONNECT_TIMEOUT_SECONDS: Final = 2.0


class UnusableSocketError(CommandError):
    """The socket is another user's, or this user has no permission to use it.

    Attributes:
        owner: the number of the user who is not trusted; None where permission is missing.
        problem: the message without its remedy.
    """

    def __init__(self, message: str, *, problem: str, owner: int | None = None) -> None:
        super().__init__(message, UNREACHABLE)
        self.problem, self.owner = problem, owner


class UnansweredError(CommandError):
    """A process accepts connections on the socket, and gives no answer.

    Attributes:
        problem: the message without its remedy.
        remedy: what to do.
    """

    def __init__(self, path: Path, pid: int, *, reason: str, is_late: bool) -> None:
        """
        Args:
            pid: process id of the listener; 0 if it is not visible.
            reason: gRPC's text.
            is_late: it took too long; else the connection ended, so it may be no daemon.
        """
        named = f", pid {pid}," if pid else ""
        self.problem = f"the daemon on {path}{named} does not answer ({reason})"
        end = f"`kill {pid}`, then with `kill -9 {pid}` if it is still there"
        if not pid:
            self.remedy = "stop it in the container where it runs, and start it again"
        elif is_late:
            self.remedy = (
                f"if it still does not answer, end it with {end}, then start it again; its "
                "spool and store are kept"
            )
        else:
            self.remedy = f"another program may listen there; see `ps {pid}`, and end it with {end}"
        super().__init__(f"{self.problem}; {self.remedy}", UNREACHABLE)


def listener(path: Path) -> Peer | None:
    """Return the process that accepts connections at ``path``, None without one.

    Costs no import of grpc.

    Raises:
        UnusableSocketError: The socket is another user's, or permission is missing.
    """
    try:
        with TrustedSocket(str(path)) as held, socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(_CONNECT_TIMEOUT_SECONDS)
            return held.connect(peer)
    except UntrustedSocketError as error:
        raise UnusableSocketError(str(error), problem=error.problem, owner=error.owner) from error
    except PermissionError as error:
        from stepwell._spawn import forbidden_text

        text = forbidden_text(str(path))
        raise UnusableSocketError(text, problem=text) from error
    except OSError:
        return None


def socket_of_data(data: Path) -> Path | None:
    """Return the socket of the daemon that has the folder ``data``, None if no daemon has it.

    It may be another socket than the usual one: `stepwell open --data` starts such a daemon. A
    killed daemon leaves its note, so a caller looks at the status of the daemon that answers.
    """
    noted = socket_noted_in(data)
    try:
        return noted if noted is not None and is_answered(noted) else None
    except UnusableSocketError:
        return None


def is_answered(path: Path) -> bool:
    """Return whether a process accepts connections at ``path``.

    Raises:
        UnusableSocketError: As `listener` says.
    """
    return listener(path) is not None


def no_daemon(path: Path) -> CommandError:
    return CommandError(
        f"no daemon answers on {path}; start one with `stepwell up`, or name its socket with "
        "--socket or STEPWELL_SOCKET",
        UNREACHABLE,
    )


class DaemonClient:
    """A connection to the daemon at ``path``; a context manager.

    Raises:
        CommandError: No daemon answers there, or it stops answering.
    """

    def __init__(self, path: Path) -> None:
        found = listener(path)
        if found is None:
            raise no_daemon(path)
        # Before the first import of grpc: its log lines are not for users, and it may fork later.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
        import grpc

        from stepwell_wire import control_pb2

        self.path, self._pid = path, found.pid
        self._messages: Any = control_pb2
        self._failed: type[Exception] = grpc.RpcError
        try:
            self._held = TrustedSocket(str(path))
        except OSError as error:  # It ended just now.
            raise no_daemon(path) from error
        self._channel = grpc.insecure_channel(f"unix:{self._held.address}", options=CHANNEL_OPTIONS)

    def __enter__(self) -> "DaemonClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()
        self._held.close()

    def status(self, timeout_seconds: float = STATUS_TIMEOUT_SECONDS) -> dict[str, Any]:
        """Return the daemon's status, see docs/formats/status.md."""
        messages = self._messages
        reply = self._call(
            STATUS, messages.StatusRequest(), messages.StatusReply.FromString, timeout_seconds
        )
        found = json.loads(reply.json)
        assert isinstance(found, dict)
        return found

    def flush(self, timeout_seconds: float) -> tuple[bool, int]:
        """Wait until everything spooled before is queryable.

        Returns:
            Whether it is, and the bytes still in the spool.
        """
        messages = self._messages
        reply = self._call(
            FLUSH,
            messages.FlushRequest(timeout_seconds=timeout_seconds),
            messages.FlushReply.FromString,
            timeout_seconds + STATUS_TIMEOUT_SECONDS,
        )
        return bool(reply.stored), int(reply.pending_bytes)

    def sweep_removed(self, timeout_seconds: float) -> list[str]:
        """Have the daemon drop what writers of deleted runs still send.

        Returns:
            PROJECT/RUN of the deleted runs of which rows can still come.

        Raises:
            CommandError: It could not do so in time.
        """
        messages = self._messages
        reply = self._call(
            SWEEP_REMOVED,
            messages.SweepRemovedRequest(timeout_seconds=timeout_seconds),
            messages.SweepRemovedReply.FromString,
            timeout_seconds + STATUS_TIMEOUT_SECONDS,
        )
        if not reply.done:
            raise CommandError(reply.detail, FAILED)
        return list(reply.waiting)

    @contextmanager
    def hold(self, timeout_seconds: float) -> Iterator[tuple[int, int]]:
        """Stop the daemon's storing; yield the position in the spool before which all is stored.

        Raises:
            CommandError: The block that is being stored took longer than ``timeout_seconds``, or
                the daemon continued before the end.
        """
        messages = self._messages
        ask = self._channel.unary_stream(
            HOLD,
            request_serializer=messages.HoldRequest.SerializeToString,
            response_deserializer=messages.HoldReply.FromString,
        )
        call = ask(messages.HoldRequest(timeout_seconds=timeout_seconds))
        try:
            reply = next(call)
            if not reply.held:
                raise CommandError(f"the daemon on {self.path} cannot pause: {reply.detail}")
            yield reply.segment, reply.offset
            if not call.is_active():
                raise CommandError(
                    f"the daemon on {self.path} ended or continued before its state was copied; "
                    "try again"
                )
        except self._failed as error:
            raise self._no_answer(error) from error
        finally:
            call.cancel()

    def _call(self, method: str, request: Any, decode: Any, timeout_seconds: float) -> Any:
        ask = self._channel.unary_unary(
            method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=decode,
        )
        try:
            return ask(request, timeout=timeout_seconds)
        except self._failed as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> CommandError:
        code = getattr(error, "code", lambda: None)()
        if getattr(code, "name", "") == "UNIMPLEMENTED":
            return CommandError(
                f"the daemon on {self.path} has an older release; restart it with this release"
            )
        reason = getattr(code, "name", "unknown").lower().replace("_", " ")
        return UnansweredError(
            self.path, self._pid, reason=reason, is_late=reason == "deadline exceeded"
        )


def status_of(path: Path) -> dict[str, Any] | None:
    """Return the status of the daemon at ``path``, None when there is none."""
    if not is_answered(path):
        return None
    with DaemonClient(path) as daemon:
        return daemon.status()
