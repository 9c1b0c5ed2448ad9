"""What real trainers log through the name `wandb` is in the store, under their own names."""

import contextlib
import json

import pytest

from stepwell._hub import find_hub
from stepwell.errors import NotFoundError
from tests.integrations.conftest import Bench
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def test_the_trainer_of_transformers_logs_everything(bench: Bench) -> None:
    trained = bench.train("trainer_block.txt", "trainer_rest.txt")
    run = trained.run
    assert (run["project"], run["name"], run["state"]) == (
        "hf-fine-tuning",
        "distilbert-imdb",
        "finished",
    )
    config = run["config"]
    assert config["num_train_epochs"] == 3
    assert config["logging_steps"] == 50
    assert config["model_type"] == "bert"
    assert config["hidden_size"] == 16
    assert config["model/num_parameters"] > 1000
    metrics = {metric["metric"] for metric in run["metrics"]}
    assert {
        "train/loss",
        "train/learning_rate",
        "train/grad_norm",
        "train/epoch",
        "train/global_step",
        "eval/loss",
    } <= metrics
    assert trained.values_of("train/global_step") == [50, 100, 150, 150, 150]
    losses = [row for row in trained.rows if "train/loss" in row]
    assert [row["train/global_step"] for row in losses] == [50, 100, 150]
    assert [row["train/epoch"] for row in losses] == [1, 2, 3]
    assert [row["_step"] for row in losses] == [0, 1, 2]
    assert run["summary"]["train_runtime"] > 0
    assert run["summary"]["train_loss"] > 0
    assert run["defined_metrics"]["*"]["step_metric"] == "train/global_step"
    assert "not available yet" not in trained.done.stderr


def test_lightnings_logger_logs_metrics_and_hyperparameters(bench: Bench) -> None:
    trained = bench.train("lightning_script.txt")
    run = trained.run
    assert (run["project"], run["name"], run["state"]) == ("lightning-demo", "light", "finished")
    assert run["config"] == {"width": 4, "rate": 0.1}
    assert trained.values_of("trainer/global_step") == [4, 9, 14, 19, 24, 29]
    assert trained.steps_of("train/loss") == [0, 1, 2, 3, 4, 5]
    assert trained.values_of("epoch") == [0] * 6
    said = [line for line in trained.done.stderr.splitlines() if "not available yet" in line]
    assert len(said) == 1, said
    assert "watch(log_graph=True) is not available yet" in said[0]
    assert trained.values_of("gradients/layer.weight")


def test_accelerates_tracker_logs_at_the_steps_that_it_names(bench: Bench) -> None:
    launcher = ("accelerate", "launch", "--cpu", "--num_processes=1", "--num_machines=1")
    trained = bench.train("accelerate_script.txt", launcher=launcher)
    run = trained.run
    assert (run["project"], run["name"], run["state"]) == ("accelerate-demo", "quick", "finished")
    assert run["config"] == {"rate": 0.1}
    assert run["tags"] == ["a"]
    assert trained.steps_of("loss") == list(range(10))


def test_boosters_log_every_round_through_the_callbacks_of_wandb(bench: Bench) -> None:
    trained = bench.train_several("boosters_script.txt")
    rounds = trained["xgboost"]
    assert rounds.values_of("epoch") == [0, 1, 2, 3, 4]
    losses = rounds.values_of("train-logloss")
    assert rounds.run["summary"]["train-logloss"] == {"min": min(losses)}
    assert rounds.run["config"]["learner"]["objective"]["name"] == "binary:logistic"
    folds = trained["xgboost of folds"]
    assert folds.run["state"] == "finished"
    for data in ("train", "test"):
        for logged, returned in (("", "-mean"), ("-std", "-std")):
            expected = folds.run["config"]["expected"][f"{data}-logloss{returned}"]
            assert folds.values_of(f"{data}-logloss{logged}") == pytest.approx(expected)
    lines = trained["xgboost, linear"]
    assert (lines.run["state"], lines.values_of("epoch")) == ("finished", [0, 1])
    assert "'gain'): no feature importances are in the summary: gblinear only" in lines.done.stderr
    cats = trained["catboost"]
    assert (cats.run["state"], cats.values_of("iteration")) == ("finished", [1, 2, 3])
    assert len(cats.values_of("learn-Logloss")) == 3
    importances = cats.run["summary"]["Feature Importance/0"]
    assert 0 < importances < 100
    assert "no feature importances are in the summary: CatBoost computes" in cats.done.stderr
    assert cats.run["config"]["loss_function"] == "YetiRank"
    iterations = trained["lightgbm"]
    assert iterations.values_of("iteration") == [0, 1, 2, 3, 4]
    assert iterations.run["summary"]["train_auc"] == {"max": max(iterations.values_of("train_auc"))}
    assert iterations.run["config"]["metric"] == "auc"


def test_keras_logs_epochs_and_batches(bench: Bench) -> None:
    trained = bench.train("keras_script.txt")
    assert trained.run["config"] == {"units": 4}
    assert trained.values_of("epoch/epoch") == [0, 1, 2]
    assert len(trained.values_of("epoch/loss")) == 3
    assert trained.values_of("batch/batch_step") == [0, 2, 4, 6, 8, 10]
    assert trained.values_of("epoch/learning_rate") == pytest.approx([0.01] * 3)


def test_the_models_that_callbacks_save_are_versions_that_load(bench_with_hub: Bench) -> None:
    trained = bench_with_hub.train_several("models_script.txt")
    found = json.loads((bench_with_hub.node.folder / "found.json").read_text())
    whole = {"equal": True}
    assert found == {
        "x_model.json:v0": {"aliases": [], "files": ["x_model.json"], **whole},
        "x_model.json:v1": {"aliases": ["latest"], "files": ["x_model.json"], **whole},
        "model_l:v0": {
            "aliases": ["best", "latest"],
            "files": [f"model_ckpt_{trained['lightgbm'].run['summary']['best_iteration']}.txt"],
            **whole,
        },
        # Keras writes to the same file again; each version has the file of its epoch.
        "run_k_model:v0": {"aliases": ["epoch_0"], "files": ["model.keras"], **whole},
        "run_k_model:v1": {"aliases": ["epoch_1"], "files": ["model.keras"], **whole},
        "run_k_model:v2": {"aliases": ["epoch_2", "latest"], "files": ["model.keras"], **whole},
        "run_b_model:v0": {"aliases": ["epoch_0_batch_2"], "files": ["1.weights.h5"]},
        "run_b_model:v1": {"aliases": ["epoch_1_batch_1", "latest"], "files": ["2.weights.h5"]},
        "run_best_model:v0": {"aliases": ["epoch_0"], "files": ["best.keras"]},
        "run_best_model:v1": {"aliases": ["epoch_1", "latest"], "files": ["best.keras"]},
        "lost": False,
    }
    said = [line for line in trained["lost"].done.stderr.splitlines() if "was not logged" in line]
    assert len(said) == 1, said
    assert "WandbModelCheckpoint: the model was not logged as artifact" in said[0]
    assert "lost.keras: no such file" in said[0]


def test_keras_tables_and_its_old_callback_do_what_their_options_say(
    bench_with_hub: Bench,
) -> None:
    trained = bench_with_hub.train_several("keras_tables_script.txt")
    example, named, old = trained["example"], trained["named"], trained["old"]
    (truth,) = example.values_of("val_data")
    assert (truth["nrows"], truth["columns"]) == (8, ["idx", "image", "label"])
    guesses = example.values_of("eval_data")
    assert [each["nrows"] for each in guesses] == [8, 8]
    assert guesses[0]["columns"] == ["epoch", "idx", "image", "label", "pred"]
    assert example.values_of("epoch/epoch") == [0, 1]
    assert len(named.values_of("truth")) == 1
    assert len(named.values_of("guesses")) == 2
    said = named.done.stderr
    assert said.count("log_data_table(): the table is in the history of the run, name and") == 1
    assert said.count("log_pred_table(): the table is in the history of the run, type and") == 1

    assert old.values_of("epoch") == [0, 1, 2, 3]
    assert len(old.values_of("loss")) == 8  # After four epochs, and the first batch of each.
    assert len(old.values_of("parameters/out.weights")) == 4
    assert len(old.values_of("parameters/out.bias")) == 4
    assert (old.run["summary"]["best_score"], old.run["summary"]["best_epoch"]) == (1.0, 2)
    versions, parameters = json.loads((old.node.folder / "found.json").read_text())
    assert versions == {"model-old:v0": ["epoch_1"], "model-old:v1": ["epoch_2", "latest"]}
    assert parameters == 51
    options = "these options have no effect: log_gradients, validation_data, labels\n"
    assert said.count(options) == 1
    assert said.count("no model is logged, Keras reports no 'val_loss'") == 1


def test_stable_baselines_logs_what_its_learner_logs(bench_with_hub: Bench) -> None:
    trained = bench_with_hub.train("sb3_script.txt")
    assert trained.run["config"]["algo"] == "PPO"
    assert trained.values_of("global_step") == [64, 128, 192]
    assert len(trained.values_of("rollout/ep_rew_mean")) == 3
    assert len(trained.values_of("train/loss")) == 2
    assert (trained.node.folder / "models" / trained.run["run_id"] / "model.zip").exists()
    files = f"/projects/sb3-demo/artifacts/run-{trained.run['run_id']}-files/versions"
    hub = find_hub(trained.node.environment)

    def is_committed() -> bool:
        with contextlib.suppress(NotFoundError):
            return [each["file_count"] for each in hub.get(files)["versions"]] == [1]
        return False

    wait_until(is_committed, "a version with model.zip")
    assert trained.done.stderr.count("TensorBoard's files are not read") == 1
    assert "model_save_freq=…) needs model_save_path: no model is saved" in trained.done.stderr
    assert "log is 'some', of no known kind; using 'all'" in trained.done.stderr


def test_the_processes_of_a_launcher_are_one_run(bench: Bench) -> None:
    launcher = ("torchrun", "--standalone", "--nproc-per-node=2")
    trained = bench.train("ranks_script.txt", launcher=launcher)
    run = trained.run
    assert run["state"] == "finished"
    assert sorted(writer["label"] for writer in run["writers"]) == ["rank0", "rank1"]
    assert run["config"] == {"world": 2}
    series = {each["label"]: each for each in run["series"] if each["metric"] == "rank"}
    assert {label: each["last"] for label, each in series.items()} == {"rank0": 0.0, "rank1": 1.0}
    assert {each["count"] for each in run["series"]} == {5}


def test_lightnings_spawned_processes_go_on_with_the_run(bench: Bench) -> None:
    trained = bench.train("spawn_script.txt")
    run = trained.run
    assert (run["project"], run["name"], run["state"]) == ("spawned", "two", "finished")
    assert trained.values_of("trainer/global_step") == [4, 9]
    (label,) = {writer["label"] for writer in run["writers"]} - {""}
    assert label.startswith("process-")
