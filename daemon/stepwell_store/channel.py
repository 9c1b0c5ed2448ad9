"""The messages between a store's user and its engine over a unix socket.

    message := header bytes u32 | body bytes u32 | header (JSON) | body     little-endian

Requests and answers alternate. Rows and large results are not in the message: they are in a memfd
whose descriptor comes with the first byte (SCM_RIGHTS), so they are not copied through the socket.
Paths longer than a socket's address allows are reached through their folder's descriptor.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_SIZES: Final = struct.Struct("<II")
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
INLINE_BYTES_MAX: Final = 64 * 1024
DESCRIPTORS_MAX: Final = 1
_IOV_MAX: Final = 1024
_SUN_PATH_BYTES_MAX: Final = 107


class ChannelError(ConnectionError):
    """The other side closed the connection early or sent an invalid message."""


@dataclass(frozen=True, slots=True)
class Message:
    fields: dict[str, Any]
    body: bytes
    descriptors: list[int]

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()


def send_message(
    peer: socket.socket,
    fields: Mapping[str, Any],
    *,
    body: bytes | memoryview = b"",
    descriptors: Sequence[int] = (),
) -> None:
    """Send one message. ``descriptors`` stay open here."""
    header = json.dumps(fields, separators=(",", ":")).encode()
    if len(header) + len(body) > MESSAGE_BYTES_MAX:
        raise ValueError(
            f"a message of {len(header) + len(body)} bytes; the maximum is "
            f"{MESSAGE_BYTES_MAX}: request less data at once"
        )
    data = _SIZES.pack(len(header), len(body)) + header + bytes(body)
    sent = socket.send_fds(peer, [data], list(descriptors)) if descriptors else peer.send(data)
    if sent < len(data):
        peer.sendall(memoryview(data)[sent:])


def receive_message(peer: socket.socket) -> Message | None:
    """Return the next message, None at an orderly end.

    Raises:
        ChannelError: The peer closed the connection inside a message, or sent an invalid one.
    """
    data, descriptors, _, _ = socket.recv_fds(peer, INLINE_BYTES_MAX, DESCRIPTORS_MAX)
    if not data:
        return None
    held = bytearray(data)
    try:
        _fill(peer, held, _SIZES.size)
        header_bytes, body_bytes = _SIZES.unpack_from(held)
        if header_bytes + body_bytes > MESSAGE_BYTES_MAX:
            raise ChannelError(
                f"the header announces a message of {header_bytes + body_bytes} bytes; the "
                f"maximum is {MESSAGE_BYTES_MAX}"
            )
        end = _SIZES.size + header_bytes
        _fill(peer, held, end + body_bytes)
        fields = json.loads(held[_SIZES.size : end])
        if not isinstance(fields, dict) or len(held) != end + body_bytes:
            raise ChannelError("received more than one message at once")
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return Message(fields, bytes(held[end:]), descriptors)


def _fill(peer: socket.socket, held: bytearray, size: int) -> None:
    while len(held) < size:
        data = peer.recv(min(size - len(held), 1 << 20))
        if not data:
            raise ChannelError(f"the connection ended after {len(held)} of {size} bytes")
        held += data


def write_memory_file(name: str, pieces: Sequence[bytes | memoryview]) -> int:
    """Return the descriptor of a new memory file with the content ``pieces``."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        for first in range(0, len(pieces), _IOV_MAX):
            group = pieces[first : first + _IOV_MAX]
            written = os.writev(descriptor, group)
            if written < sum(map(len, group)):
                rest = memoryview(b"".join(group))[written:]
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_memory_file(descriptor: int) -> bytes:
    """Return the whole content of the memory file."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size, 0)
    if len(data) == size:
        return data
    held = bytearray(data)  # One read returns 2 GiB at most.
    while len(held) < size:
        held += os.pread(descriptor, size - len(held), len(held))
    return bytes(held)


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address for the socket at ``path`` that fits, for any depth of the folder."""
    if len(os.fsencode(path)) <= _SUN_PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
