"""One training process of the walk and what it does to the model."""

import random
import signal
from dataclasses import dataclass, field
from typing import Any

from tests.system.walk.model import ModelRun, ModelWriter, now
from tests.system.walk.trainer import BURST_METRIC, Trainer, burst_value

METRICS = ("loss", "acc", "val/loss", "val/acc", "other")
_OPERATIONS = ("min", "max", "mean", "first", "last", "best", "none")


@dataclass
class OpenBurst:
    """Rows of a process that was killed while it logged them: ``returned`` of them at least."""

    run: ModelRun
    label: str
    number: int
    step: int
    began: int
    returned: int


@dataclass
class Actor:
    """A process, and the run that it logs into now, if any."""

    trainer: Trainer
    chance: random.Random
    rank: int = -1
    run: ModelRun | None = None
    writer: ModelWriter | None = None
    journal: str = ""
    step: int = 0
    defined: dict[str, dict[str, Any]] = field(default_factory=dict)
    own_config: set[str] = field(default_factory=set)
    is_removed: bool = False
    """Its run was deleted by force: nothing that it does counts."""

    @property
    def is_primary(self) -> bool:
        return self.rank <= 0

    def ask(self, what: str, **facts: Any) -> dict[str, Any]:
        """Ask the process for something that must work."""
        answer = self.trainer.ask(what, **facts)
        assert "error" not in answer, f"{what}: {answer}"
        return answer

    # ------------------------------------------------------------------ what a script does

    def log(self) -> str:
        """Log a few rows."""
        assert self.run is not None
        assert self.writer is not None
        rows = [self._row() for _ in range(self.chance.randint(1, 6))]
        answer = self.ask("log", rows=rows)
        for row in rows:
            at = self.step if row["step"] is None else row["step"]
            closes = row["step"] is None if row["commit"] is None else row["commit"]
            self.run.add(self.writer.label, at, row["data"])
            if row["data"]:
                self.run.last_step = max(self.run.last_step, at)
            self.step = max(self.step, at + closes)  # A late row moves nothing back.
        assert answer["step"] == self.step, f"{rows}: {answer} is not {self.step}"
        self._note_step()
        return f"log {len(rows)} rows to step {self.step}"

    def image(self, number: int) -> str:
        """Log a picture."""
        assert self.run is not None
        assert self.writer is not None
        self.ask("image", metric="shown", number=number, step=self.step)
        self.run.images = [
            each
            for each in self.run.images
            if each[:3] != ("shown", self.writer.label, self.step)  # The later one is shown.
        ]
        self.run.images.append(("shown", self.writer.label, self.step, number))
        self.run.last_step = max(self.run.last_step, self.step)
        self._note_step()
        return f"image {number}"

    def define(self) -> str:
        """Define how a metric is summed up."""
        assert self.run is not None
        name = self.chance.choice((*METRICS, "val/*"))
        operations = self.chance.sample(_OPERATIONS, self.chance.randint(1, 3))
        goal = self.chance.choice((None, "minimize", "maximize"))
        self.ask("define", name=name, summary=",".join(operations), goal=goal)
        before = self.defined.get(name, {})
        self.defined[name] = {"summary": operations, "goal": goal or before.get("goal")}
        self.run.defined[name] = self.defined[name]
        return f"define {name} {operations} {goal}"

    def set_summary(self) -> str:
        """Set a value of the summary by hand."""
        assert self.run is not None
        name = self.chance.choice((*METRICS, "best"))
        value: Any = self.chance.choice((self._number(), "by hand", 7))
        self.ask("set_summary", values={name: value})
        self.run.by_hand[name] = (now(), value)
        return f"summary {name} = {value!r}"

    def config(self) -> str:
        """Change the config."""
        assert self.run is not None
        if self.own_config and self.chance.random() < 0.2:
            name = self.chance.choice(sorted(self.own_config))
            self.ask("forget", name=name)
            self.own_config.remove(name)
            self.run.config.pop(name, None)
            return f"del config {name}"
        values = made_config(self.chance)
        self.ask("config", values=values)
        self.own_config |= values.keys()
        self.run.config.update(values)
        return f"config {values}"

    def about(self) -> str:
        """Change what the script says of the run."""
        assert self.run is not None
        name = self.chance.choice(("name", "tags", "notes"))
        value = made_about(self.chance)[name]
        self.ask("about", name=name, value=value)
        setattr(self.run, name, value)
        return f"{name} = {value!r}"

    def print(self) -> str:
        """Print some lines."""
        assert self.writer is not None
        moment = now()
        lines = [f"walk {moment} {place}" for place in range(self.chance.randint(1, 5))]
        self.ask("print", lines=lines)
        self.writer.may_print += lines
        return f"print {len(lines)} lines"

    def flush(self) -> str:
        """Wait until all is acknowledged."""
        answer = self.ask("flush")
        assert answer["flushed"], f"flush of trainer {self.trainer.number} did not end"
        self._print_is_safe()
        return "flush"

    # ------------------------------------------------------------------ ends

    def finish(self) -> tuple[str, bool]:
        """Finish the run; return also whether all of it was handed over."""
        code = self.chance.choice((0, 0, 0, 3, 255))
        answer = self.ask("finish", code=code)
        self._ended("failed" if code else "finished")
        return f"finish({code})", answer["handed_over"]

    def leave(self) -> str:
        """End the process, in one way of many."""
        how = self.chance.choice(("exit", "fail", "interrupt", "kill", "kill", "term"))
        if how in ("kill", "term"):
            self.trainer.end(signal.SIGKILL if how == "kill" else signal.SIGTERM)
            self._ended("crashed" if how == "kill" else "killed", is_safe=False)
        elif how == "interrupt":
            self.trainer.end(signal.SIGINT)
            self._ended("killed")
        else:
            self.trainer.tell(how)
            self.trainer.end()
            self._ended("finished" if how == "exit" else "failed")
        return how

    def burst(self, number: int, pause_seconds: float) -> OpenBurst:
        """Kill the process while it logs many rows."""
        assert self.run is not None
        assert self.writer is not None
        self.trainer.tell("burst", number=number, rows=100_000, step=self.step)
        wait = self.trainer.process.wait
        try:
            wait(pause_seconds)
        except Exception:  # It did not end: as it should.
            pass
        self.trainer.end(signal.SIGKILL)
        began, returned = self.trainer.counts()
        left = OpenBurst(self.run, self.writer.label, number, self.step, began, returned)
        self.step += began
        self._note_step()
        self._ended("crashed", is_safe=False)
        return left

    # ------------------------------------------------------------------ inside

    def _ended(self, state: str, *, is_safe: bool = True) -> None:
        if self.writer is not None:
            self.writer.state, self.writer.ended = state, now()
            if is_safe:
                self._print_is_safe()
        self.run = self.writer = None
        self.is_removed = False

    def _print_is_safe(self) -> None:
        if self.writer is not None:
            self.writer.must_print += self.writer.may_print
            self.writer.may_print = []

    def _note_step(self) -> None:
        assert self.run is not None
        if self.is_primary:
            self.run.next_step = self.step

    def _row(self) -> dict[str, Any]:
        metrics = self.chance.sample(METRICS, self.chance.randint(0, 4))
        data: dict[str, Any] = {metric: self._value() for metric in metrics}
        if self.chance.random() < 0.2:
            data["note"] = self.chance.choice(("fine", "ünï ✓", [1, "a"], ""))
        step = None
        if self.chance.random() < 0.3:
            step = max(0, self.step + self.chance.randint(-4, 4))
        commit = self.chance.choice((None, None, None, True, False))
        return {"data": data, "step": step, "commit": commit}

    def _value(self) -> Any:
        if self.chance.random() < 0.05:
            return self.chance.choice((float("nan"), float("inf"), float("-inf")))
        if self.chance.random() < 0.03:
            return "diverged"
        return self._number()

    def _number(self) -> float:
        return self.chance.randint(-800, 800) / 8.0


def resolve(burst: OpenBurst, stored: list[tuple[int, float]]) -> None:
    """Add to the model what is stored of a burst that was cut short.

    Args:
        stored: every point of its series.

    Raises:
        AssertionError: Less than `log` returned for, or more than was begun.
    """
    series = (BURST_METRIC, burst.label)
    known = len(burst.run.values.get(series, []))
    count = len(stored) - known
    where = f"{burst.run.ref} {series}"
    assert burst.returned <= count <= burst.began, f"{where}: {count} rows of {burst}"
    for place in range(count):
        value = burst_value(burst.number, place)
        burst.run.add(burst.label, burst.step + place, {BURST_METRIC: value})


def made_config(chance: random.Random) -> dict[str, Any]:
    """Return some config."""
    whole: dict[str, Any] = {
        "lr": chance.randint(1, 9) / 8.0,
        "batch": chance.randint(1, 512),
        "opt": {"name": chance.choice(("adam", "sgd")), "betas": [0.5, chance.randint(1, 9)]},
        "flag": chance.random() < 0.5,
        "none": None,
    }
    return {name: whole[name] for name in chance.sample(sorted(whole), chance.randint(1, 3))}


def made_about(chance: random.Random) -> dict[str, Any]:
    """Return a name, tags and notes."""
    return {
        "name": f"name {chance.randint(0, 5)}",
        "tags": chance.sample(("a", "b", "c d", "é"), chance.randint(1, 3)),
        "notes": f"notes {chance.randint(0, 5)}",
    }
