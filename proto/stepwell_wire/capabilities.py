"""Linux capabilities: a child of the daemon gives up those that it inherited.

A daemon that is a service may hold CAP_DAC_OVERRIDE for the journals of other users. Its engine and
its hub need their own files only.
"""

import ctypes
import os
import struct
import sys
from typing import Final

_VERSION_3: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3 of capset(2)
_NONE: Final = bytes(24)  # Effective, permitted and inheritable, twice 32 bits each.


def drop_capabilities() -> bool:
    """Give up all capabilities of this thread and of its later children; root keeps its own.

    Call it before other threads start. Returns whether the thread has none now.
    """
    if sys.platform != "linux" or os.geteuid() == 0:
        return False
    try:
        capset = ctypes.CDLL(None, use_errno=True).capset
    except (OSError, AttributeError):
        return False
    # Ambient capabilities are dropped with the permitted ones: capabilities(7).
    done: int = capset(struct.pack("Ii", _VERSION_3, 0), _NONE)
    return done == 0
