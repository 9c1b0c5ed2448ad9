"""Calls that a later release brings: they say so once a run, and what can go on goes on."""

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stepwell_daemon.blobs.tables import write_table
from tests.wandb_compat.conftest import Desk

pytestmark = pytest.mark.processes

MEDIA = (Path(__file__).with_name("media_script.txt")).read_text()


def later(text: str) -> list[str]:
    return [line for line in text.splitlines() if "not available yet" in line]


def test_the_script_that_logs_images_and_tables_runs_as_it_is(desk: Desk, tmp_path: Path) -> None:
    done = desk.run(MEDIA)
    assert done.returncode == 0, done.stderr
    values = {}
    for event in desk.daemon.events("values"):
        values.update(event.body["values"])
    assert values["examples"]["_type"] == "images/separated"
    items = values["examples"]["items"]
    assert [item["caption"] for item in items] == [f"Sample {i}" for i in range(5)]
    for item in items:
        pixels = desk.daemon.blobs[item["blob"]].payload
        assert len(pixels) == 28 * 28
        assert max(pixels) > 200  # Floats in [0, 1] are scaled.
    blob = values["predictions"].pop("blob")
    assert values["predictions"] == {
        "_type": "table-file",
        "columns": ["input", "prediction", "label", "correct"],
        "nrows": 3,
        "ncols": 4,
    }
    payload = desk.daemon.blobs[blob].payload
    write_table(io.BytesIO(payload), len(payload), tmp_path / "table.parquet")
    rows = pq.read_table(tmp_path / "table.parquet").to_pylist()
    assert [row["c0"] for row in rows] == ["Hello", "Terrible", "Okay"]
    assert [row["c3"] for row in rows] == [True, True, False]
    assert later(done.stderr) == []


def test_the_other_values_of_a_row_with_media_are_kept(desk: Desk) -> None:
    desk.run(
        "import wandb\nrun = wandb.init(project='p')\n"
        "run.log({'loss': 0.5, 'image': wandb.Image('x.png'), "
        "'nested': {'v': wandb.Video('v.mp4'), 'acc': 1}})\n"
        "run.log({'plot': wandb.plot.line(None, 'x', 'y', title='t'), 'loss': 0.25})\n"
    )
    assert [(point.step, point.value) for point in desk.daemon.points("loss")] == [
        (0, 0.5),
        (1, 0.25),
    ]
    assert [point.value for point in desk.daemon.points("nested.acc")] == [1.0]


def test_each_class_of_media_that_is_not_kept_says_so(desk: Desk) -> None:
    done = desk.run(
        "import wandb\nimport numpy as np\nrun = wandb.init(project='p')\n"
        "for _ in range(2):\n"
        "    run.log({'o': wandb.Object3D(np.zeros((8, 3)))})\n"
        "    run.log({'m': wandb.Molecule.from_smiles('CO')})\n"
    )
    assert [line.split()[1] for line in later(done.stderr)] == ["Object3D()", "Molecule()"]


def test_videos_and_sounds_of_arrays_are_kept(desk: Desk) -> None:
    done = desk.run(
        "import wandb\nimport numpy as np\nrun = wandb.init(project='p')\n"
        "film = np.zeros((2, 3, 4, 4), dtype='uint8')\n"
        "run.log({'v': wandb.Video(film, fps=2, format='gif'), 'a': wandb.Audio(np.zeros(8), 8)})\n"
        "run.log({'v': [wandb.Video(film), wandb.Video(film)]})\n"
    )
    assert later(done.stderr) == []
    kinds = sorted(blob.header.kind for blob in desk.daemon.blobs.values())
    assert kinds == ["file", "frames", "frames", "frames"]


def test_what_only_records_says_so_once_and_goes_on(desk: Desk) -> None:
    done = desk.run(
        """
        import wandb
        run = wandb.init(project="p")
        for _ in range(2):
            run.link_artifact(wandb.Artifact("model", type="model"), "registry/m")
            run.log_code()
            run.mark_preempting()
            run._label(code="mine")
            wandb.alert("title", "text", level=wandb.AlertLevel.WARN)
            run.log({"x": 1})
        """
    )
    assert done.returncode == 0, done.stderr
    calls = [line.split()[1] for line in later(done.stderr)]
    assert calls == ["link_artifact()", "log_code()", "alert()"]
    assert done.stderr.count("stepwell: alert (WARN): title: text") == 2
    assert len(desk.daemon.points("x")) == 2


def test_artifacts_are_handed_over_as_wandb_does_it(desk: Desk) -> None:
    done = desk.run(
        """
        import wandb
        run = wandb.init(project="p", id="r")
        artifact = wandb.Artifact("model", type="model", metadata={"a": 1})
        artifact.add_file("script.py")
        import os, shutil
        os.mkdir("f"); shutil.copy("script.py", "f")
        artifact.add_dir("f", name="all")
        artifact.add_reference("s3://bucket/x")
        with artifact.new_file("a.txt", mode="wb") as file:
            file.write(b"x")
        assert run.log_artifact(artifact, aliases=["best"]).wait() is artifact
        assert (artifact.name, artifact.version) == ("model:v0", "v0")
        assert run.log_artifact("script.py", type="code").wait().name == "run-r-script.py:v0"
        run.log_model("script.py", name="m")
        assert wandb.save("script.*")[0].endswith("script.py")
        assert wandb.save("*.pt") == []
        """
    )
    assert done.returncode == 0, done.stderr
    made = desk.daemon.artifacts
    names = [each.draft.name for each in made]
    assert names == ["model", "run-r-script.py", "m", "run-r-files"]
    assert {"script.py", "all/script.py", "a.txt"} <= set(made[0].files)
    assert made[0].files["a.txt"] == b"x"
    assert made[0].references == {"x": "s3://bucket/x"}
    assert made[0].draft.aliases == ("best",)
    assert not later(done.stderr)


@pytest.mark.parametrize(
    "call",
    [
        "wandb.restore('model.pt')",
    ],
)
def test_a_call_whose_answer_is_needed_raises_with_what_to_do(desk: Desk, call: str) -> None:
    done = desk.run(f"import wandb\nrun = wandb.init(project='p')\n{call}\n")
    assert done.returncode == 1
    (line,) = [line for line in later(done.stderr) if "Error" in line]
    assert line.startswith("stepwell.errors.UnavailableError: ")
    assert "only in a later release; " in line
    assert ".get_entry('model.pt').download()" in line


def test_a_table_can_be_built_and_read(desk: Desk) -> None:
    found = desk.answer(
        """
        import json, wandb
        table = wandb.Table(columns=["a", "b"], data=[[1, 2]])
        table.add_data(3, 4)
        table.add_column("c", [5, 6])
        table.add_computed_columns(lambda index, row: {"d": row["a"] + index})
        try:
            table.add_data(1)
        except ValueError as error:
            said = str(error)
        print(json.dumps([table.columns, table.data, table.get_column("c"), said]))
        """
    )
    columns, data, column, said = found
    assert columns == ["a", "b", "c", "d"]
    assert data == [[1, 2, 5, 1], [3, 4, 6, 4]]
    assert column == [5, 6]
    assert "a row has 1 value, but the table has 4 columns" in said


def test_the_folder_for_files_is_made_where_scripts_look(desk: Desk) -> None:
    done = desk.run(
        """
        import json, os, wandb
        run = wandb.init(project="p", id="abc", dir="out")
        with open(os.path.join(run.dir, "model.pt"), "w") as file:
            file.write("x")
        print(json.dumps(run.dir))
        run.finish()
        assert os.path.exists(os.path.join(run.dir, "model.pt"))
        """
    )
    assert done.returncode == 0, done.stderr
    parts = Path(json.loads(done.stdout)).parts[-4:]
    assert (parts[0], parts[1], parts[3]) == ("out", "wandb", "files")
    assert parts[2].startswith("run-")
    assert parts[2].endswith("-abc")
    (line,) = later(done.stderr)
    assert "files in run.dir stay on this machine" in line


def test_a_run_goes_to_another_process_by_pickle_and_by_its_attach_id(desk: Desk) -> None:
    done = desk.run(
        """
        import multiprocessing, os, wandb

        def child(run, attach_id):
            run.log({"pickled": 1})
            wandb._attach(attach_id).log({"attached": 1})
            assert isinstance(run, wandb.Run) and run.dir.endswith("files")
            wandb.finish()

        if __name__ == "__main__":
            run = wandb.init(project="p", id="together", config={"a": 1})
            assert wandb._attach(run._attach_id) is run
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=child, args=(run, run._attach_id))
            process.start()
            process.join()
            assert process.exitcode == 0
            run.log({"own": 1})
        """
    )
    assert done.returncode == 0, done.stderr
    assert {point.metric for point in desk.daemon.points()} == {"own", "pickled", "attached"}
    assert desk.daemon.run_ids == ["together"]


def test_frameworks_callbacks_and_charts_are_importable(desk: Desk) -> None:
    done = desk.run(
        """
        from types import SimpleNamespace
        import wandb
        from wandb.integration.catboost import WandbCallback
        assert not hasattr(wandb, "keras")
        wandb.init(project="p")
        callback = WandbCallback(metric_period=2)
        for iteration in range(4):
            metrics = {"learn": {"Logloss": [1.0 / (iteration + 1)]}}
            assert callback.after_iteration(SimpleNamespace(iteration=iteration, metrics=metrics))
        for _ in range(2):
            wandb.sklearn.plot_learning_curve([1], [1])
            wandb.sklearn.plot_roc([0, 1], [1, 0])
        wandb.sklearn.plot_precision_recall([0, 1], [[0.9, 0.1], [0.2, 0.8]], ["a", "b"])
        wandb.sklearn.plot_confusion_matrix([["cat"], ["dog"]], ["dog", "dog"])
        wandb.tensorboard.patch(root_logdir="logs")
        """
    )
    assert done.returncode == 0, done.stderr
    assert [point.value for point in desk.daemon.points("iteration")] == [0.0, 2.0]
    assert [point.value for point in desk.daemon.points("learn-Logloss")] == [1.0, 1 / 3]
    assert done.stderr.count("wandb.sklearn.plot_learning_curve() is not available yet") == 1
    assert done.stderr.count("wandb.sklearn.plot_roc(): nothing is logged: y_probas has") == 1
    values = {}
    for event in desk.daemon.events("values"):
        values.update(event.body["values"])
    assert values.keys() == {"precision_recall", "confusion_matrix"}
    assert (values["precision_recall"]["nrows"], values["confusion_matrix"]["nrows"]) == (42, 4)
    assert done.stderr.count("TensorBoard's files are not read") == 1


def test_log_summary_logs_the_model_of_catboost_and_lightgbm(desk: Desk) -> None:
    done = desk.run(
        """
        import pathlib, wandb
        from wandb.integration import catboost, lightgbm

        class Model:
            best_iteration = 4
            best_score = {"valid": {"auc": 0.5}}
            feature_names_ = ["a"]
            feature_importances_ = [1.0]
            def __init__(self, **parameters):
                self.parameters = parameters
            def get_all_params(self):
                return self.parameters
            def get_params(self):
                return {}
            def get_best_iteration(self):
                return 4
            def get_best_score(self):
                return self.best_score
            def save_model(self, path, num_iteration=None):
                if self.parameters.get("disk") == "full":
                    raise OSError(28, "No space left on device")
                pathlib.Path(path).write_text(f"{num_iteration} trees")

        with wandb.init(project="p", id="r"):
            options = {"save_model_checkpoint": True}
            catboost.log_summary(Model(use_best_model=True), **options)
            catboost.log_summary(Model(use_best_model=False), log_all_params=False, **options)
            lightgbm.log_summary(Model(), feature_importance=False, **options)
            for _ in range(2):
                catboost.log_summary(Model(disk="full"), **options)
        with wandb.init(project="p", id="off", mode="disabled"):
            catboost.log_summary(Model(disk="full"), **options)
        """
    )
    assert done.returncode == 0, done.stderr
    made = desk.daemon.artifacts
    assert {(each.draft.name, each.draft.type) for each in made} == {("model_r", "model")}
    assert [each.draft.aliases for each in made] == [("best",), ("last",), ("best",)]
    assert [each.files for each in made] == [
        {"model": b"None trees"},
        {"model": b"None trees"},
        {"model_ckpt_4.txt": b"4 trees"},
    ]
    (line,) = [line for line in done.stderr.splitlines() if "was not logged" in line]
    assert "log_summary(save_model_checkpoint=True): the model was not logged as artifact" in line
    assert "No space left on device" in line


def test_names_that_other_packages_import_are_there(desk: Desk) -> None:
    done = desk.run(
        """
        from wandb import join
        from wandb.apis.public import Run as Read, Sweep
        from stepwell.api import Sweep as ReadSweep
        assert Sweep is ReadSweep
        from wandb.errors.errors import CommError
        from wandb.sdk.artifacts.artifact import Artifact
        from wandb.sdk.data_types.base_types.wb_value import WBValue
        from wandb.sdk.data_types.helper_types.bounding_boxes_2d import BoundingBoxes2D
        from wandb.sdk.data_types.helper_types.classes import Classes
        from wandb.sdk.data_types.helper_types.image_mask import ImageMask
        from wandb.sdk.data_types.image import Image
        from wandb.sdk.data_types.video import Video
        from wandb.sdk.lib.disabled import RunDisabled
        from wandb.sdk.lib.runid import generate_id
        from wandb.sdk.wandb_settings import Settings
        from wandb.util import json_dumps_safer, make_artifact_name_safe
        import wandb
        assert isinstance(Image("x.png"), WBValue) and issubclass(CommError, wandb.Error)
        assert wandb.data_types.ImageMask is ImageMask and wandb.Classes is Classes
        assert wandb.data_types.BoundingBoxes2D is BoundingBoxes2D
        assert json_dumps_safer({"a": {1}, "b": float}).startswith('{"a": [1]')
        assert make_artifact_name_safe("a b/c") == "a_b_c"
        assert wandb.api.api_key and wandb.wandb_sdk.wandb_run.Run is wandb.Run
        run = wandb.init(project="p", settings=wandb.Settings(_service_wait=300))
        wandb.run.name = "other"
        assert wandb.run.save() is True
        join()
        """,
        STEPWELL_QUIET="1",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_notebook_may_run_its_cells_again(desk: Desk) -> None:
    found = desk.answer(
        """
        import json, sys
        sys.modules["ipykernel"] = sys
        import wandb
        first = wandb.init(project="p", config={"a": 1})
        wandb.config.a = 2
        second = wandb.init(project="p")
        print(json.dumps([first.config.a, first.finished, second is first]))
        """
    )
    assert found == [2, True, False]


def test_one_process_of_a_job_says_what_holds_for_all(desk: Desk) -> None:
    script = """
        import wandb
        run = wandb.init(project="p", save_code=True)
        run.save("*.pt")
        run.log({"x": wandb.Molecule.from_smiles("CO")})
    """
    lines = []
    for rank in "01":
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "STEPWELL_RUN_ID": "job"}
        done = desk.run(script, **place)
        assert done.returncode == 0, done.stderr
        lines.append([line for line in done.stderr.splitlines() if "stepwell: " in line])
    assert [len(said) for said in lines] == [4, 1], lines  # One of them is that of init.
    # Each process has its own files.
    assert all("stepwell: save('*.pt'): no file matched" in said for said in lines)
