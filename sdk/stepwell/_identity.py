"""Run ids and display names, made locally, without a server.

The random bytes come from the system, never from `random`: with the user's seed two runs would get
the same id, and drawing an id would change the user's random numbers.
"""

import os
import sys
import zlib
from typing import Final

from stepwell_wire import __version__

CLIENT: Final = f"stepwell/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"
"""The description of this process for a daemon."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
RUN_ID_DIGITS: Final = 8

_FIRST_WORDS: Final = """
amber autumn bold brave bright brisk calm clear clever cobalt cool copper coral crisp curious
dawn deep eager early ember fair fancy fast fern floral fresh frosty gentle gilded glad golden
grand green happy hazel hidden honest humble icy indigo ivory jade jolly keen kind lively lucid
lucky lunar mellow merry mild misty noble north olive pale patient pearl plain polar polite
proud quiet rapid rare red rosy royal rustic sandy scarlet serene sharp silent silver sleek
smooth snowy soft solar solid spring steady still stone summer sunny swift tidy tranquil upper
valiant vivid warm western whole wild winter wise woven young
"""
_SECOND_WORDS: Final = """
aqueduct arch bank basin bay beach birch bluff bridge brook canal canyon cape cascade cave cedar
channel cistern cliff cloud coast cove creek current dale dam delta dew dock dune eddy estuary
falls fen field fjord flood foam ford forest fountain gale geyser glacier glade gorge grove gulf
harbor haven hill island isle lagoon lake landing ledge loch marsh meadow mill mist moor moss
oasis ocean orchard pass path peak pier pine plain pond pool prairie quay rain rapids reed reef
ridge river rock sea shoal shore sluice spring steppe step stone strait stream summit surf
terrace thicket tide trail valley wadi water wave well weir wharf willow wind wood
"""


_FIRST: Final = tuple(_FIRST_WORDS.split())
_SECOND: Final = tuple(_SECOND_WORDS.split())


def new_run_id() -> str:
    """Return 8 base-36 digits at random."""
    return _base36(int.from_bytes(os.urandom(16), "little"))


def new_writer_id() -> str:
    return os.urandom(16).hex()


def run_id_from(hint: str) -> str:
    """Return the run id that every process derives from the same ``hint``."""
    import hashlib

    digest = hashlib.blake2b(hint.encode(), digest_size=16).digest()
    return _base36(int.from_bytes(digest, "little"))


def display_name(run_id: str) -> str:
    """Return ``word-word-number``, the same in every process of the run."""
    # Names only have to look different; hashlib would cost every start 2 ms.
    number = zlib.crc32(run_id.encode()) << 32 | zlib.crc32(run_id[::-1].encode())
    number, first = divmod(number, len(_FIRST))
    number, second = divmod(number, len(_SECOND))
    return f"{_FIRST[first]}-{_SECOND[second]}-{number % 999 + 1}"


def _base36(number: int) -> str:
    digits = []
    for _ in range(RUN_ID_DIGITS):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(digits)
