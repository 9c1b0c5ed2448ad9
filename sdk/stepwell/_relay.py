"""`python -m stepwell._relay FOLDER SOCKET`: sends a live process's journal; see `RelayProcess`."""

import json
import sys
import time
from pathlib import Path

from stepwell._blob_delivery import BlobDelivery, staged_in
from stepwell._delivery import JournalDelivery, ReaderSource, is_for_good
from stepwell._identity import CLIENT
from stepwell._relay_process import REFUSED
from stepwell._spawn import daemon_answers
from stepwell.errors import DaemonUnreachableError, RefusedError
from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader

_LOOK_SECONDS = 0.1
_RETRY_SECONDS = 1.0


def relay(folder: Path, socket: str) -> int:
    """Send the present and later content of ``folder``, as long as its writer lives.

    Returns:
        The exit code: 0 at the writer's end, `REFUSED` if the daemon never accepts it.
    """
    try:
        reader = JournalReader(folder)
    except JournalError as error:
        print(error, file=sys.stderr)
        return 1
    delivery = JournalDelivery(ReaderSource(reader), socket=socket, client=CLIENT)
    blobs = BlobDelivery(socket, folder, reader.info.writer_id)
    refused: set[str] = set()
    try:
        while folder.exists() and reader.writer_is_alive():
            if not delivery.connected:
                if not daemon_answers(socket):
                    time.sleep(_RETRY_SECONDS)
                    continue
                if isinstance(delivery.failure, RefusedError) and is_for_good(
                    delivery.failure, reader.oldest
                ):
                    return _say_refusal(delivery.failure)
                try:
                    delivery.connect()
                except RefusedError as error:
                    if is_for_good(error, reader.oldest):
                        return _say_refusal(error)
                    time.sleep(_RETRY_SECONDS)
                    continue
                except DaemonUnreachableError:
                    time.sleep(_RETRY_SECONDS)
                    continue
            try:
                moved = delivery.pump()
            except JournalError:
                moved = 0  # The writer has freed acknowledged bytes; read again.
            if not moved and not _hand_over(blobs, folder, refused):
                time.sleep(_LOOK_SECONDS)
    finally:
        blobs.close()
        delivery.disconnect()
        reader.close()
    return 0


def _say_refusal(error: RefusedError) -> int:
    print(json.dumps([error.code, error.detail, error.position]), flush=True)
    return REFUSED


def _hand_over(blobs: BlobDelivery, folder: Path, refused: set[str]) -> bool:
    """Hand over staged blobs that are not in ``refused``; return whether one was taken."""
    staged = [each for each in staged_in(folder) if each not in refused]
    if not staged:
        return False
    try:
        done = blobs.hand_over(staged)
        refused.update(done.refused)
        return bool(done.taken)
    except (DaemonUnreachableError, RefusedError, OSError):
        blobs.close()
        return False  # The recovery takes the rest.


if __name__ == "__main__":
    sys.exit(relay(Path(sys.argv[1]), sys.argv[2]))
