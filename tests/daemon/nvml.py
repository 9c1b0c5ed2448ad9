"""The played NVML: builds it, writes its scripts, and says whether a real one is here too."""

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).with_name("nvml.c")
COMPILER: Final = shutil.which("cc") or shutil.which("gcc")

needs_compiler = pytest.mark.skipif(
    COMPILER is None and not os.environ.get("CI"),
    reason="no C compiler here for the played NVML; scripts/install_test_packages.sh installs one",
)

GIB: Final = 1 << 30
USUAL: Final = {
    "name": "Played H100 80GB HBM3",
    "util": "10 50 90",
    "memory_util": 25,
    "memory_total": 80 * GIB,
    "memory_used": 20 * GIB,
    "power": 350_500,
    "power_limit": 700_000,
    "temp": 61,
    "sm_clock": 1980,
    "memory_clock": 2619,
    "throttle": 0x4 | 0x1,
    "ecc_corrected": 3,
    "ecc_uncorrected": 0,
    "pcie_tx": 1024,
    "pcie_rx": 2048,
    "field_82": 70,
    "field_83": 5_000_000,
    "field_138": "1024 2048 3072",
    "field_139": "1024 3072 5120",
}
"""What each GPU says, in NVML's units."""


@lru_cache(maxsize=1)
def _built(folder: Path) -> Path:
    assert COMPILER is not None
    built = folder / "libnvidia-ml.so.1"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    words = [COMPILER, *flags, "-Wl,-soname,libnvidia-ml.so.1", "-o", str(built), str(SOURCE)]
    subprocess.run(words, check=True)
    return built


class PlayedNvml:
    """A folder with the library and a script, which may change at any time."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.script = folder / "gpus.script"
        self.library = library
        self.play(0)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that is to load it."""
        path = os.environ.get("LD_LIBRARY_PATH")
        return {
            "LD_LIBRARY_PATH": f"{self.library.parent}{':' + path if path else ''}",
            "NVML_SCRIPT": str(self.script),
        }

    def play(self, count: int, *lines: str, driver: str = "580.95.05") -> None:
        """Let there be ``count`` GPUs as usual, then what ``lines`` say; 0: no driver."""
        said = [f"driver {driver if count else 'none'}"]
        for number in range(count):
            said.append(f"gpu {number} uuid GPU-{number:08x}-1111-2222-3333-444444444444")
            said += [f"gpu {number} {key} {value}" for key, value in USUAL.items()]
        fresh = self.script.with_suffix(".fresh")
        fresh.write_text("\n".join([*said, *lines]) + "\n")
        fresh.rename(self.script)


def uuid(number: int) -> str:
    return f"GPU-{number:08x}-1111-2222-3333-444444444444"


def played_nvml(folder: Path, built_in: Path) -> PlayedNvml:
    """Return a played NVML with its script in ``folder``, built once in ``built_in``."""
    return PlayedNvml(folder, _built(built_in))


_COUNTS_GPUS: Final = """
import ctypes
library, count = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.c_uint()
failed = library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count))
print(0 if failed else count.value)
"""


def real_gpus() -> int:
    """Return how many GPUs NVIDIA's own library finds here."""
    # In a process of its own: this one may have the played library, under the same name.
    found = subprocess.run(
        [sys.executable, "-c", _COUNTS_GPUS], capture_output=True, text=True, check=False
    )
    return int(found.stdout or 0)
