"""Fetching one blob into a part: resumed after a break, and verified by its digest."""

import http.client
import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stepwell._artifacts.target import StoppedError
from stepwell.errors import DownloadError, HubError, MissingPackageError, NotFoundError
from stepwell_wire.certificates import certificate_failure

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

CHUNK_BYTES: Final = 1 << 20
PATIENCE_SECONDS: Final = 60.0
"""A download fails after this time without a byte. Its part stays for the next attempt."""
_DELAY_SECONDS_MIN: Final = 0.1
_DELAY_SECONDS_MAX: Final = 5.0
_TRY_AGAIN: Final = (429, 502, 503, 504)


class _WrongBytesError(Exception):
    """The fetched bytes have another digest."""


def new_hasher() -> Any:
    """Return a hasher of BLAKE3.

    Raises:
        MissingPackageError: The package is not installed.
    """
    try:
        from blake3 import blake3
    except ImportError as error:
        raise MissingPackageError(
            "blake3", "fetch the files on a machine that has it: unverified files are not kept"
        ) from error
    return blake3()


def digest_of(number: int, size: int) -> str:
    """Return the digest of an open file, "" if it has another size.

    Raises:
        OSError: It cannot be read.
    """
    if os.fstat(number).st_size != size:
        return ""
    hasher = new_hasher()
    read = _hash_part(number, hasher, size)
    return str(hasher.hexdigest()) if read == size else ""


def fetch(
    hub: "Hub",
    digest: str,
    size: int,
    number: int,
    *,
    what: str,
    is_stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Fill the open part ``number`` with the blob; it has the right bytes afterwards.

    Args:
        what: the file's name, for messages.

    Raises:
        DownloadError: The blob is gone or damaged, the disk is full, or the hub does not answer.
        HubError: The hub refuses.
    """
    filling = _Filling(hub, digest, size, number, what, is_stopped)
    try:
        filling.fill()
    except _WrongBytesError:
        if not filling.was_begun:
            raise filling.wrong() from None
        # Earlier bytes of the part may be damaged by a loss of power.
        try:
            os.ftruncate(number, 0)
            again = _Filling(hub, digest, size, number, what, is_stopped)
            again.fill()
        except _WrongBytesError:
            raise filling.wrong() from None


class _Filling:
    """One attempt, over as many connections as it takes."""

    def __init__(
        self,
        hub: "Hub",
        digest: str,
        size: int,
        number: int,
        what: str,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._hub, self._digest, self._size = hub, digest, size
        self._number, self._what, self._is_stopped = number, what, is_stopped
        self._hasher = new_hasher()
        self._buffer = memoryview(bytearray(min(CHUNK_BYTES, max(1, size))))
        if os.fstat(number).st_size > size:
            os.ftruncate(number, 0)
        self._at = _hash_part(number, self._hasher, size)
        self.was_begun = self._at > 0

    def fill(self) -> None:
        delay = _DELAY_SECONDS_MIN
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._at < self._size:
            before = self._at
            try:
                self._take_some()
                problem: Exception = DownloadError("the hub closed the connection")
            except HubError as error:
                if isinstance(error, NotFoundError):
                    raise DownloadError(
                        f"{self._what}: the hub no longer has its bytes ({error}); the "
                        "version was deleted in the meantime, or the blob store lost them"
                    ) from error
                if error.status not in _TRY_AGAIN:
                    raise
                problem = error
            except (OSError, http.client.HTTPException) as error:
                if certificate_failure(error):
                    raise self._hub.unreachable(error) from error
                problem = error
            if self._at > before:
                delay = _DELAY_SECONDS_MIN
                deadline = time.monotonic() + PATIENCE_SECONDS
                continue
            if self._at < self._size:
                if time.monotonic() + delay > deadline:
                    raise DownloadError(
                        f"{self._what}: no data for {PATIENCE_SECONDS:.0f} s ({problem}); "
                        "download again to continue this download"
                    ) from problem
                time.sleep(delay * random.Random().uniform(0.5, 1.0))
                delay = min(_DELAY_SECONDS_MAX, delay * 2)
        if self._hasher.hexdigest() != self._digest:
            raise _WrongBytesError

    def wrong(self) -> DownloadError:
        return DownloadError(
            f"{self._what}: the received bytes do not match the digest {self._digest[:16]}… "
            "of the artifact and were discarded; the hub's blob store or the connection is "
            "damaged"
        )

    def _take_some(self) -> None:
        """Read one answer as far as it goes."""
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        with self._hub.answer("GET", f"/blobs/{self._digest}", headers=headers) as answer:
            self._check(answer)
            while self._at < self._size:
                if self._is_stopped():
                    raise StoppedError
                got = answer.readinto(self._buffer[: self._size - self._at])
                if not got:
                    return
                self._keep(self._buffer[:got])
            if answer.read(1):
                raise self._other_size(f"more than {self._size}")

    def _check(self, answer: http.client.HTTPResponse) -> None:
        """Refuse an answer with other bytes than the requested ones."""
        if answer.status == 200 and self._at:
            os.ftruncate(self._number, 0)
            self._hasher, self._at = new_hasher(), 0
        length = answer.headers.get("Content-Length")
        total = self._size
        if answer.status == 206:
            unit, _, rest = (answer.headers.get("Content-Range") or "").partition(" ")
            span, _, whole = rest.partition("/")
            if unit != "bytes" or span.partition("-")[0] != str(self._at) or not whole.isdigit():
                raise DownloadError(
                    f"{self._what}: the hub sent another range than the requested one, {rest!r}"
                )
            total = int(whole)
        elif length is not None and length.isdigit():
            total = int(length)
        if total != self._size:
            raise self._other_size(str(total))

    def _other_size(self, found: str) -> DownloadError:
        return DownloadError(
            f"{self._what}: the hub has {found} bytes of it, expected {self._size} as in the "
            "manifest; the manifest or the blob store is damaged"
        )

    def _keep(self, data: memoryview) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._number, data[written:], self._at + written)
        except OSError as error:
            raise DownloadError(f"{self._what}: {error.strerror}; free some space") from error
        self._hasher.update(data)
        self._at += len(data)


def _hash_part(number: int, hasher: Any, bytes_max: int) -> int:
    """Feed the first bytes of a file to ``hasher``; return how many there were."""
    at = 0
    while at < bytes_max and (data := os.pread(number, min(CHUNK_BYTES, bytes_max - at), at)):
        hasher.update(data)
        at += len(data)
    return at
