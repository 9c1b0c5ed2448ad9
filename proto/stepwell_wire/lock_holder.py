"""Which process holds a lock of flock, as far as the kernel shows it."""

import os


def holder_pids(descriptor: int) -> frozenset[int]:
    """Return the process ids of the process that locked the open file.

    They are several if it is in a namespace of processes below ours: one for each namespace.
    The set is empty if the holder is unknown: it has ended and left the lock to a child, it is in
    another namespace, or the kernel or the file system does not show it.
    """
    found = os.fstat(descriptor)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii") as file:
            for line in file:
                words = line.split()  # "1: FLOCK ADVISORY WRITE 812 fe:00:2154535 0 EOF"
                if words[1] == "FLOCK" and words[5] == place:
                    return _all_pids(int(words[4]))
    except (OSError, ValueError, IndexError):
        pass
    return frozenset()


def _all_pids(pid: int) -> frozenset[int]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("NSpid:"):
                return frozenset(map(int, line.split()[1:]))
    return frozenset()
