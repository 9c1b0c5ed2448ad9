"""The Python of helper processes, and what they get of the environment."""

import sys
import types
from pathlib import Path

import pytest

from stepwell_wire.interpreter import (
    PYTHON_VARIABLE,
    NoPythonError,
    daemon_environment,
    helper_command,
    helper_environment,
    python,
)

EXECUTABLE = sys.executable


def test_an_interpreter_is_known_by_its_name_or_by_that_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "tool"
    (tmp_path / "python3.13t").write_text("")
    link.symlink_to(tmp_path / "python3.13t")
    for path in (EXECUTABLE, str(link), "/opt/pypy3", "/usr/bin/python3-dbg"):
        monkeypatch.setattr(sys, "executable", path)
        assert helper_command("m") == [path, "-P", "-m", "m"]


@pytest.mark.parametrize(
    "path", ["/opt/trainer", "/opt/python-trainer", "/usr/bin/uwsgi", "", None]
)
def test_a_program_that_embeds_python_is_none(
    path: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "executable", path)
    with pytest.raises(NoPythonError, match=PYTHON_VARIABLE):
        python()
    monkeypatch.setenv(PYTHON_VARIABLE, EXECUTABLE)
    assert python() == EXECUTABLE


def test_a_frozen_or_compiled_application_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "frozen", True, raising=False)
        with pytest.raises(NoPythonError):
            python()
    main = types.ModuleType("__main__")
    main.__compiled__ = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(NoPythonError):
        python()


def test_a_helper_gets_no_switches_of_the_script(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / "stepwell_daemon").mkdir(parents=True)
    theirs.mkdir()
    given = {
        "HOME": "/h",
        "PYTHONPATH": f"{theirs}:{ours}:",
        "PYTHONHOME": "/p",
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error",
        "GRPC_ENABLE_FORK_SUPPORT": "1",
        "GRPC_TRACE": "all",
        "LD_PRELOAD": "x.so",
        "CUDA_VISIBLE_DEVICES": "0",
        "STEPWELLD_SINK": "embedded",
    }
    found = helper_environment(given)
    folders = found.pop("PYTHONPATH").split(":")
    assert str(ours) in folders
    assert str(theirs) not in folders
    assert found == {"HOME": "/h", "PYTHONHOME": "/p", "STEPWELLD_SINK": "embedded"}


def test_a_daemon_gets_no_credentials_of_the_script() -> None:
    kept = {
        "HOME": "/h",
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": "/scratch",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "LD_LIBRARY_PATH": "/cuda",
        "HTTPS_PROXY": "http://proxy:1",
        "no_proxy": "localhost",
        "PYTHONHOME": "/p",
        "STEPWELL_DATA": "/d",
        "STEPWELLD_SINK": "embedded",
        "STEPWELLHUB_CATALOG": "/c",
    }
    left = ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "WANDB_API_KEY", "PGPASSWORD")
    given = kept | dict.fromkeys((*left, "LD_PRELOAD", "PYTHONINSPECT", "GRPC_TRACE"), "x")
    found = daemon_environment(given)
    found.pop("PYTHONPATH", None)
    assert found == kept
