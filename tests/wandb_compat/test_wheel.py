"""The module `wandb` is in the wheel of stepwell, and no distribution of that name is made."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stepwell.wandb_compat import VERSION

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.processes
def test_the_wheel_holds_module_metadata_and_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        # Without the page, which another test looks for.
        env={**os.environ, "HATCH_BUILD_NO_HOOKS": "true"},
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = tmp_path.iterdir()
    folder = "stepwell/wandb_compat"
    with zipfile.ZipFile(built) as wheel:
        names = set(wheel.namelist())
        mode = wheel.getinfo(f"{folder}/bin/wandb").external_attr >> 16
        metadata = wheel.read(f"{folder}/site/wandb-{VERSION}.dist-info/METADATA").decode()
    assert mode & 0o111, "the command cannot be run"
    assert f"Name: wandb\nVersion: {VERSION}\n" in metadata
    assert f"{folder}/site/wandb/sdk/lib/config_util.py" in names
    tops = {name.split("/")[0] for name in names}
    assert not any(top.startswith("wandb") for top in tops), tops
