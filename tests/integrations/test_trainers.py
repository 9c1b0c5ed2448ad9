"""What real trainers log through the name `wandb` is in the store, under their own names."""

import pytest

from tests.integrations.conftest import Bench

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
    assert "not there yet" not in trained.done.stderr


def test_lightnings_logger_logs_metrics_and_hyperparameters(bench: Bench) -> None:
    trained = bench.train("lightning_script.txt")
    run = trained.run
    assert (run["project"], run["name"], run["state"]) == ("lightning-demo", "light", "finished")
    assert run["config"] == {"width": 4, "rate": 0.1}
    assert trained.values_of("trainer/global_step") == [4, 9, 14, 19, 24, 29]
    assert trained.steps_of("train/loss") == [0, 1, 2, 3, 4, 5]
    assert trained.values_of("epoch") == [0] * 6
    said = [line for line in trained.done.stderr.splitlines() if "not there yet" in line]
    assert len(said) == 2, said
    assert "watch() is not there yet" in said[0]
    assert "log_artifact() is not there yet" in said[1]


def test_accelerates_tracker_logs_at_the_steps_that_it_names(bench: Bench) -> None:
    trained = bench.train("accelerate_script.txt")
    run = trained.run
    assert (run["project"], run["name"], run["state"]) == ("accelerate-demo", "quick", "finished")
    assert run["config"] == {"rate": 0.1}
    assert run["tags"] == ["a"]
    assert trained.steps_of("loss") == list(range(10))
