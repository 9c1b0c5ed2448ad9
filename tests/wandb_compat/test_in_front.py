"""Who finds our module `wandb`: every Python that the command starts, and nobody else."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import stepwell
from stepwell import wandb_compat
from tests.wandb_compat.conftest import Desk

pytestmark = pytest.mark.processes

WHICH = "import wandb, json; print(json.dumps([wandb.__version__, hasattr(wandb, '__stepwell__')]))"
OURS = [wandb_compat.VERSION, True]


def said(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("stepwell:")]


def test_packages_find_module_and_metadata(desk: Desk) -> None:
    found = desk.answer(
        """
        import importlib.metadata, importlib.util, json, sys
        spec = importlib.util.find_spec("wandb")
        early = "wandb" in sys.modules
        import wandb
        print(json.dumps([
            early, spec.origin == wandb.__file__, importlib.metadata.version("wandb"),
            importlib.metadata.metadata("wandb")["Name"], hasattr(wandb, "run"), wandb.run,
        ]))
        """
    )
    assert found == [False, True, wandb_compat.VERSION, "wandb", True, None]


def test_the_packages_of_a_run_have_only_an_installed_wandb(
    desk: Desk, fake_wandb: Callable[[], Path]
) -> None:
    script = """
        import importlib.metadata, json
        from stepwell._metadata import collect_metadata
        found = collect_metadata(git=False)["packages"]
        print(json.dumps([importlib.metadata.version("wandb"), found.get("wandb")]))
        """
    ours = os.environ.get("PYTHONPATH", "")
    assert desk.answer(script, PYTHONPATH=ours) == [wandb_compat.VERSION, None]
    both = f"{ours}{os.pathsep}{fake_wandb()}"
    assert desk.answer(script, PYTHONPATH=both) == [wandb_compat.VERSION, "0.19.0"]


def test_the_import_loads_nothing_heavy(desk: Desk) -> None:
    found = desk.answer(
        """
        import json, sys
        before = set(sys.modules)
        import wandb
        print(json.dumps(sorted(set(sys.modules) - before)))
        """
    )
    heavy = {"grpc", "google", "numpy", "msgpack", "asyncio", "typing", "pathlib", "subprocess"}
    assert not heavy & set(found)
    assert [name for name in found if name.startswith("wandb")] == ["wandb"]


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, 'child.py'], check=True)",
        "subprocess.run([sys.executable, '-m', 'child'], check=True)",
        "subprocess.run(['sh', '-c', 'cd / && exec ' + sys.executable + ' ' + here], check=True)",
        "os.execv(sys.executable, [sys.executable, 'child.py'])",
    ],
)
def test_every_child_finds_it(desk: Desk, start: str) -> None:
    (desk.folder / "child.py").write_text(WHICH)
    script = f"import os, subprocess, sys\nhere = os.path.abspath('child.py')\n{start}\n"
    assert desk.answer(script) == OURS


def test_a_spawned_process_of_multiprocessing_finds_it(desk: Desk) -> None:
    found = desk.answer(
        """
        import json, multiprocessing

        def which(queue):
            import wandb
            queue.put([wandb.__version__, hasattr(wandb, "__stepwell__")])

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            queue = context.Queue()
            process = context.Process(target=which, args=(queue,))
            process.start()
            print(json.dumps(queue.get()))
            process.join()
        """
    )
    assert found == OURS


def test_a_folder_of_runs_or_a_changed_path_does_not_hide_it(desk: Desk) -> None:
    (desk.folder / "wandb" / "run-1").mkdir(parents=True)
    (desk.folder / "more").mkdir()
    found = desk.answer(
        "import sys\nsys.path.insert(0, 'more')\nsys.path.append('/nowhere')\n" + WHICH
    )
    assert found == OURS


def test_what_pythonpath_and_path_had_stays(desk: Desk) -> None:
    script = "import os, json; print(json.dumps([os.environ['PYTHONPATH'], os.environ['PATH']]))"
    python_path, path = desk.answer(script, PYTHONPATH="/a:/b")
    assert python_path == f"{wandb_compat.SITE}:/a:/b"
    assert path == f"{wandb_compat.BIN}:{os.environ['PATH']}"
    nested = desk.run(
        script,
        words=(sys.executable, "-m", "stepwell", "run", "--no-daemon", sys.executable, "script.py"),
        PYTHONPATH="/a",
    )
    assert json.loads(nested.stdout)[0] == f"{wandb_compat.SITE}:/a"
    kept = desk.run(
        "import os; print('PYTHONPATH' in os.environ)",
        words=(
            *(sys.executable, "-m", "stepwell", "run", "--no-daemon", "--keep-wandb"),
            *(sys.executable, "script.py"),
        ),
    )
    assert kept.stdout == "False\n"


def test_a_real_wandb_is_shadowed_for_the_command_only_and_a_line_says_so(
    desk: Desk, fake_wandb: Callable[[], Path]
) -> None:
    site = fake_wandb()
    before = sorted(path.name for path in site.rglob("*"))
    done = desk.run(WHICH, PYTHONPATH=str(site))
    assert json.loads(done.stdout) == OURS
    assert said(done.stderr) == [
        f"stepwell: wandb 0.19.0 in {site} is hidden by stepwell for this command; "
        "--keep-wandb keeps it"
    ]
    kept = desk.run(WHICH, options=("--keep-wandb",), PYTHONPATH=str(site))
    assert json.loads(kept.stdout) == ["0.19.0", False]
    assert said(kept.stderr) == []
    alone = desk.command(sys.executable, "script.py", PYTHONPATH=str(site))
    assert json.loads(alone.stdout) == ["0.19.0", False]
    assert sorted(path.name for path in site.rglob("*") if "__pycache__" not in str(path)) == before
    (site / "wandb-0.19.0.dist-info").rename(site / "gone")
    done = desk.run(WHICH, PYTHONPATH=str(site))
    assert f"stepwell: wandb in {site} is hidden" in done.stderr


def test_a_real_wandb_of_another_environment_is_found_as_well(
    desk: Desk, fake_wandb: Callable[[], Path]
) -> None:
    site = fake_wandb()
    program = site.parents[2] / "bin" / "train"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert f"wandb 0.19.0 in {site}" in desk.run(None, words=(str(program),)).stderr


@pytest.mark.parametrize(
    ("words", "switch"),
    [
        (("-I", "script.py"), "-I"),
        (("-E", "-m", "script"), "-E"),
        (("-u", "-W", "ignore", "-IB", "script.py"), "-IB"),
        (("-u", "script.py", "-I"), None),
        (("-W", "ignore", "script.py", "-E"), None),
        (("-c", "pass", "-I"), None),
        (("-X", "importtime", "-c", "pass"), None),
    ],
)
def test_a_python_that_ignores_us_is_named(
    desk: Desk, words: tuple[str, ...], switch: str | None
) -> None:
    (desk.folder / "script.py").write_text("pass\n")
    done = desk.run(None, words=(sys.executable, *words))
    assert done.returncode == 0
    lines = said(done.stderr)
    assert len(lines) == (switch is not None)
    if switch is not None:
        assert f"{sys.executable} {switch} ignores PYTHONPATH" in lines[0]
        assert "stepwell.install_as_wandb()" in lines[0]


def test_a_script_whose_first_line_switches_us_off_is_named(desk: Desk) -> None:
    script = desk.folder / "tool"
    script.write_text(f"#!{sys.executable} -E\nprint('ran')\n")
    script.chmod(0o755)
    done = desk.run(None, words=(str(script),))
    assert done.stdout == "ran\n"
    assert f"{sys.executable} -E of {script} ignores PYTHONPATH" in done.stderr


def test_a_python_without_stepwell_says_what_to_do(desk: Desk) -> None:
    done = desk.command(
        sys.executable, "-S", "-c", "import wandb", PYTHONPATH=str(wandb_compat.SITE)
    )
    assert "install it there, or use `stepwell run --keep-wandb`" in done.stderr.splitlines()[-1]


# ---------------------------------------------------------------------------- in code


def test_install_as_wandb_does_the_same_in_code(desk: Desk) -> None:
    (desk.folder / "script.py").write_text(
        "import stepwell\nstepwell.install_as_wandb()\nstepwell.install_as_wandb()\n"
        "import importlib.metadata\n" + WHICH + "\nstepwell.install_as_wandb()\n"
        "assert importlib.metadata.version('wandb') == wandb.__version__\n"
    )
    done = desk.command(sys.executable, "script.py")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == OURS


def test_install_as_wandb_refuses_after_a_real_wandb_was_imported(
    desk: Desk, fake_wandb: Callable[[], Path]
) -> None:
    done = desk.command(
        sys.executable,
        "-c",
        "import wandb, stepwell\nstepwell.install_as_wandb()",
        PYTHONPATH=str(fake_wandb()),
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("stepwell.errors.UsageError: wandb was imported before, from ")
    assert "before the first import" in last


def test_the_folder_for_downloads_is_the_one_that_was_named_for_wandb() -> None:
    environ = {"WANDB_ARTIFACT_DIR": "/scratch/a"}
    wandb_compat.put_in_front(environ)
    assert environ["STEPWELL_ARTIFACT_DIR"] == "/scratch/a"
    environ = {"WANDB_ARTIFACT_DIR": "/scratch/a", "STEPWELL_ARTIFACT_DIR": "/mine"}
    wandb_compat.put_in_front(environ)
    assert environ["STEPWELL_ARTIFACT_DIR"] == "/mine"


def test_nothing_of_it_is_importable_without_being_asked_for(desk: Desk) -> None:
    done = desk.command(
        sys.executable, "-c", "import stepwell, importlib.util as u; print(u.find_spec('wandb'))"
    )
    assert done.stdout == "None\n"


def test_stepwell_under_the_name_wandb_has_the_same_surface() -> None:
    face = Path(wandb_compat.SITE) / "wandb" / "__init__.py"
    names: dict[str, object] = {"__name__": "face", "__file__": str(face)}
    exec(compile(face.read_text(), str(face), "exec"), names)
    missing = [
        name
        for name in names["__all__"]  # type: ignore[attr-defined]
        if not hasattr(stepwell, name)
    ]
    # What makes sense under the other name only.
    assert missing == ["ArtifactTTL"]
    for name in ["ArtifactTTL", *names["_MODULES"]]:  # type: ignore[misc]
        if not hasattr(stepwell, name):
            with pytest.raises(AttributeError, match=rf"wandb\.{name} exists for scripts that say"):
                getattr(stepwell, name)


def test_helpers_and_errors_of_wandb_are_in_stepwell() -> None:
    assert len(stepwell.util.generate_id()) == 8
    assert len(stepwell.util.generate_id(20)) == 20
    assert stepwell.CommError is stepwell.errors.CommError is stepwell.errors.HubError
    assert issubclass(stepwell.errors.NotFoundError, stepwell.errors.CommError)
    with pytest.raises(AttributeError, match=r"no attribute 'utils'$"):
        _ = stepwell.utils


# ---------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("login",), 0, "no login is needed"),
        (("login", "0123456789abcdef", "--relogin"), 0, "accepted"),
        (("--version",), 0, f"wandb, version {wandb_compat.VERSION} (stepwell"),
        (("launch", "job"), 2, "only in a later release"),
        (("artifact", "ls"), 3, "no hub found"),
        (("sweep", "sweep.yaml"), 2, "sweep: sweep.yaml: No such file or directory"),
        (("agent", "abc"), 2, "expected ID, PROJECT/ID or ENTITY/PROJECT/ID"),
        (("nothing-such",), 2, "is not a command"),
        (("status",), 0, "project = from-env  (WANDB_PROJECT)"),
        (("status",), 0, "a daemon answers on "),
        (("sync",), 0, ""),
        ((), 0, "login"),
        (("sync", "--help"), 0, "--dry-run"),
        (("offline", "-h"), 0, "usage: wandb offline"),
        (("disabled", "--help"), 0, "usage: wandb disabled"),
        (("offline", "now"), 2, "unrecognized arguments: now"),
        (("sync", "--id", "other"), 2, "--id is not available"),
        (("sync", "--no-such"), 2, "unrecognized arguments: --no-such"),
        (("sync", "wandb/offline-run-*"), 2, "without a path sends all journals"),
        (("sync", "--clean", "--sync-all", "--clean-old-hours", "24", "--skip-console"), 0, ""),
        (("sync", "--include-globs", "a*"), 2, "name the folders of the runs instead"),
        (("init", "-p", "mine", "-m", "often"), 2, "invalid choice"),
    ],
)
def test_the_command_wandb_is_ours(
    desk: Desk, words: tuple[str, ...], code: int, says: str
) -> None:
    done = desk.run(None, words=("wandb", *words), WANDB_PROJECT="from-env")
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr


def test_wandb_offline_and_online_are_remembered_in_the_folder(desk: Desk) -> None:
    script = "import wandb, json; print(json.dumps(wandb.init(project='p').mode))"
    found = []
    for command in ("offline", "online", "disabled", "enabled"):
        assert desk.run(None, words=("wandb", command)).returncode == 0
        found.append(desk.answer(script))
    assert found == ["offline", "online", "disabled", "online"]
    assert desk.run(None, words=("wandb", "disabled", "--help")).returncode == 0
    assert desk.answer(script) == "online"


def test_wandb_init_names_project_and_mode_for_the_folder(desk: Desk) -> None:
    script = "import wandb, json; r = wandb.init(); print(json.dumps([r.project, r.mode]))"
    init = ("wandb", "init")
    assert desk.run(None, words=(*init, "-p", "mine", "-m", "offline", "-e", "us")).returncode == 0
    assert desk.answer(script) == ["mine", "offline"]
    assert desk.run(None, words=(*init, "-m", "online")).returncode == 0
    assert desk.answer(script) == ["mine", "online"]
    assert desk.run(None, words=(*init, "--reset", "-p", "other")).returncode == 0
    assert desk.answer(script) == ["other", "online"]


@pytest.mark.parametrize("named", ["run", "files", "wandb"])
def test_wandb_sync_sends_the_run_whose_folder_is_named(desk: Desk, named: str) -> None:
    script = """
import json, os, wandb
with wandb.init(project="p", id="a-b", mode="offline") as run:
    run.log({"x": 1.0})
    print(json.dumps(run.dir))
"""
    files = Path(desk.answer(script))
    folder = {"run": files.parent, "files": files, "wandb": files.parent.parent}[named]
    seen = desk.run(None, words=("wandb", "sync", "--dry-run", str(folder)))
    assert "a-b-" in seen.stdout
    done = desk.run(None, words=("wandb", "sync", "--include-offline", str(folder)))
    assert done.returncode == 0, done.stderr
    assert "of 1 run: p/a-b" in done.stdout
    inside = f"cd {folder} && wandb sync ."  # Its name is not in the path.
    again = desk.run(None, words=("sh", "-c", inside))
    assert again.returncode == 0
    assert "no journal of run a-b is here: it was sent before" in again.stderr


OFFLINE = """
import sys, wandb
for run_id in sys.argv[1:]:
    with wandb.init(project="p", id=run_id, mode="offline") as run:
        run.log({"x": 1.0})
        if run_id == "dir":
            print(run.dir)
"""


def test_wandb_sync_of_one_folder_names_the_journals_that_still_wait(desk: Desk) -> None:
    # Runs that never read run.dir have no folder in ./wandb.
    done = desk.run(OFFLINE, "one", "dir", "two")
    folder = Path(done.stdout.strip()).parent
    sync = f"{sys.executable} -m wandb sync"
    more = f"2 more journals wait in {desk.folder}/data/journals: `wandb sync` without a path sends"
    for sent in ("of 1 run: p/dir", "no journal of run dir is here: it was sent before"):
        done = desk.run(None, words=("sh", "-c", f"{sync} {folder.parent}/offline-run-*"))
        assert done.returncode == 0, done.stderr
        assert sent in done.stdout + done.stderr
        assert f"{more} them" in done.stderr
    done = desk.run(None, words=("sh", "-c", sync))
    assert "of 2 runs: p/" in done.stdout
    done = desk.run(None, words=("sh", "-c", f"{sync} {folder}"))
    assert "more journal" not in done.stderr


@pytest.mark.parametrize("state", ["other runs", "settings", "missing", "."])
def test_wandb_sync_of_the_folder_wandb_sends_all_runs(desk: Desk, state: str) -> None:
    desk.run(OFFLINE, "one", "two", *(["dir"] if state in ("other runs", ".") else []))
    if state == "settings":
        desk.run(None, words=("wandb", "offline"))
    assert (desk.folder / "wandb").exists() == (state != "missing")
    words = ("wandb", "sync", "wandb")
    if state == ".":
        words = ("sh", "-c", "cd wandb && wandb sync .")
    seen = desk.run(None, words=("wandb", "sync", "--dry-run", "wandb"))
    assert "/one-" in seen.stdout
    assert "/two-" in seen.stdout
    done = desk.run(None, words=words)
    assert done.returncode == 0, done.stderr
    for name in ("p/one", "p/two"):
        assert name in done.stdout
    assert "more journal" not in done.stderr
    again = desk.run(None, words=words)
    assert again.returncode == 0, again.stderr
    assert "nothing to send in " in again.stdout


def test_a_folder_wandb_of_the_other_client_is_an_error(desk: Desk) -> None:
    desk.run(OFFLINE, "one")
    (desk.folder / "wandb").mkdir()
    (desk.folder / "wandb" / "run-x.wandb").touch()
    done = desk.run(None, words=("wandb", "sync", "wandb"))
    assert done.returncode == 2
    assert "stepwell cannot read the files of Weights & Biases" in done.stderr
