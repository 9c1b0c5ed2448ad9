"""The last delivery of a run: the rest is handed over, or stays on disk, which is reported."""

import contextlib
import time
from pathlib import Path
from typing import Final

from stepwell import _exit_note
from stepwell._journal import Journal
from stepwell._run_blobs import RunBlobs
from stepwell._sender import Sender
from stepwell._settings import Settings
from stepwell._terminal import Voice
from stepwell_wire.commands import command_text
from stepwell_wire.places import is_fallback_imported, is_of_root

_PROGRESS_SECONDS: Final = 1.0
"""After such a time a line says what the run waits for."""


def deliver_rest(
    journal: Journal,
    sender: Sender,
    blobs: RunBlobs | None,
    *,
    settings: Settings,
    voice: Voice,
    has_ended: bool,
) -> bool:
    """Wait for the daemon as long as the settings allow, stop sending, and release the journal.

    Return whether the daemon has everything, with the end of the run.

    Args:
        has_ended: whether the journal says how the run ended; else its exit note will.
    """
    delivered = False
    try:
        delivered = _wait_for_daemon(journal, sender, blobs, settings=settings, voice=voice)
    except KeyboardInterrupt:
        voice.say("stopped waiting for the daemon")
    if blobs is not None:
        blobs.stop()
    sender.stop()
    all_taken = delivered and sender.online and not (blobs is not None and blobs.are_left)
    if all_taken and has_ended:
        journal.remove()
        return True
    if not has_ended:
        _exit_note.let_exit_note(journal.folder)
    journal.close(keep_lock=not has_ended)
    if all_taken:
        return False
    if blobs is not None and journal.durable:
        with contextlib.suppress(OSError):
            blobs.stager.sync()
    sync = command_text("sync", journal.folder)
    if settings.mode == "offline":
        if not settings.quiet:
            voice.say(f"kept in {journal.folder}; {sync} sends it")
        return False
    staged_bytes = blobs.stager.staged_bytes if blobs is not None else 0
    missing = _size(journal.committed - journal.acked + staged_bytes)
    if obstacle := sender.attempts.last_obstacle:
        # A daemon that cannot be reached may not see this journal either.
        why = "the reason is above" if sender.attempts.was_reported(obstacle) else obstacle
        voice.say(
            f"{missing} are not delivered to the daemon yet ({why}), but kept on disk; after "
            f"fixing this, {sync} sends them"
        )
        return False
    fetches = "a daemon on this host will fetch them, or "
    if not _is_seen(journal, settings, sender.objection):
        fetches = ""
    voice.say(
        f"{missing} are not delivered to the daemon yet, but kept on disk; {fetches}{sync} sends "
        "them"
    )
    return False


def _is_seen(journal: Journal, settings: Settings, objection: str | None) -> bool:
    """Return whether a daemon imports ``journal``.

    Args:
        objection: the daemon's reason against it; None: no daemon was asked. Then a daemon of
            another user than root may have no right to import it.
    """
    socket = Path(settings.socket)
    if objection or is_fallback_imported(socket):
        return not objection
    is_usual = journal.folder.parent == settings.journals_dir
    return is_usual and (objection is not None or is_of_root(socket))


def _wait_for_daemon(
    journal: Journal, sender: Sender, blobs: RunBlobs | None, *, settings: Settings, voice: Voice
) -> bool:
    """Return whether the daemon has taken everything in time."""
    position = journal.committed
    sender.personal.hurry()
    deadline = time.monotonic() + settings.finish_timeout
    delivered = sender.wait_acked(position, min(_PROGRESS_SECONDS, settings.finish_timeout))
    if not delivered and sender.can_deliver and time.monotonic() < deadline:
        if left := position - journal.acked:  # It may have come this moment.
            voice.say(
                f"sending {_size(left)} to the daemon, {settings.finish_timeout:.0f} s at "
                "most; Ctrl-C keeps them on disk for later"
            )
        delivered = sender.wait_acked(position, deadline - time.monotonic())
    if not delivered or blobs is None:
        return delivered
    return _wait_for_blobs(sender, blobs, deadline, voice)


def _wait_for_blobs(sender: Sender, blobs: RunBlobs, deadline: float, voice: Voice) -> bool:
    """Wait for the daemon to take all staged blobs; a line says so if that takes long."""
    if blobs.wait_taken(min(_PROGRESS_SECONDS, deadline - time.monotonic())):
        return True
    left = deadline - time.monotonic()
    if not sender.can_deliver or left <= 0:
        return False
    voice.say(
        f"sending {_size(blobs.stager.staged_bytes)} of media to the daemon, {left:.0f} s at "
        "most; Ctrl-C keeps them on disk for later"
    )
    return blobs.wait_taken(left)


def _size(byte_count: int) -> str:
    if byte_count < 10_000:
        return f"{byte_count} bytes"
    if byte_count < 10_000_000:
        return f"{byte_count / 1000:.0f} kB"
    return f"{byte_count / 1e6:.0f} MB"
