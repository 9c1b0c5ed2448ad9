"""`python -m stepwell._relay FOLDER SOCKET`: sends the journal of a live process; see `Relay`."""

import sys
import time
from pathlib import Path

from stepwell._delivery import Delivery, ReaderSource
from stepwell._recording import CLIENT
from stepwell._spawn import daemon_answers
from stepwell.errors import DaemonUnreachableError, RefusedError
from stepwell_wire.journal import JournalError, JournalReader

_LOOK_SECONDS = 0.1
_RETRY_SECONDS = 1.0


def relay(folder: Path, socket: str) -> int:
    """Send what ``folder`` holds and gets, for as long as its writer lives."""
    try:
        reader = JournalReader(folder)
    except JournalError as error:
        print(error, file=sys.stderr)
        return 1
    delivery = Delivery(ReaderSource(reader), socket=socket, client=CLIENT)
    try:
        while folder.exists() and reader.writer_is_alive():
            if not delivery.connected:
                if not daemon_answers(socket):
                    time.sleep(_RETRY_SECONDS)
                    continue
                try:
                    delivery.connect()
                except (DaemonUnreachableError, RefusedError):
                    time.sleep(_RETRY_SECONDS)
                    continue
            try:
                moved = delivery.pump()
            except JournalError:
                moved = 0  # The writer freed what it knows to be acknowledged; look anew.
            if not moved:
                time.sleep(_LOOK_SECONDS)
    finally:
        delivery.disconnect()
        reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(relay(Path(sys.argv[1]), sys.argv[2]))
