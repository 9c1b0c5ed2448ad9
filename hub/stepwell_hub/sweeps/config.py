"""A sweep's configuration: checked, defaults filled in, frozen.

Fields and meanings are those of wandb's sweep configuration; `seed` is ours.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from stepwell_hub.errors import SweepInvalidError
from stepwell_hub.sweeps.checks import integer, known_only, mapping, number, one_of, text
from stepwell_hub.sweeps.distributions import Distribution
from stepwell_hub.sweeps.hyperband import Hyperband
from stepwell_hub.sweeps.parameters import Path, grid_of, parse_parameters

Method = Literal["grid", "random", "bayes"]
Goal = Literal["minimize", "maximize"]
Impute = Literal["latest", "best", "worst"]

_METHODS: Final = ("grid", "random", "bayes")
_IMPUTE: Final = ("latest", "best", "worst")
_FIELDS: Final = (
    "method",
    "parameters",
    "metric",
    "metrics",
    "program",
    "command",
    "name",
    "description",
    "project",
    "entity",
    "run_cap",
    "early_terminate",
    "controller",
    "seed",
    "apiVersion",
    "kind",
)
_LAUNCH: Final = ("scheduler", "job", "image_uri")
CONFIG_CHARACTERS_MAX: Final = 1 << 20
NAME_CHARACTERS_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Metric:
    """What is optimised.

    Attributes:
        target: a trial that reaches it ends the search.
        impute: the value of a trial that failed or crashed, for the search by model.
        impute_while_running: the value of a running one; None: the model's prediction.
    """

    name: str
    goal: Goal = "minimize"
    target: float | None = None
    impute: Impute = "worst"
    impute_while_running: Impute | None = None

    @property
    def sign(self) -> int:
        """Factor that makes smaller values better."""
        return -1 if self.goal == "maximize" else 1

    def reaches_target(self, value: float) -> bool:
        return self.target is not None and self.sign * value <= self.sign * self.target


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """A valid configuration.

    Attributes:
        grid: of a grid all values of each parameter, empty otherwise.
        seed: None if the sweep gets a random one.
        as_given: the configuration with defaults filled in, as JSON has it.
    """

    method: Method
    parameters: Mapping[Path, Distribution]
    grid: dict[Path, list[Any]]
    metric: Metric | None
    early_terminate: Hyperband | None
    run_cap: int | None
    name: str
    description: str
    seed: int | None
    as_given: Mapping[str, Any]


def parse_config(value: Any) -> SweepConfig:
    """Return ``value`` as a configuration.

    Raises:
        SweepInvalidError: It is wrong; ``field`` is the path of the wrong field.
    """
    given = mapping(value, "config")
    for name in _LAUNCH:
        if name in given:
            raise SweepInvalidError(
                name, "belongs to wandb's Launch, which stepwell does not support; remove it"
            )
    known_only(given, _FIELDS, "")
    filled: dict[str, Any] = dict(given)
    method = _method(given)
    if "parameters" not in given:
        raise SweepInvalidError("parameters", "missing; a sweep needs at least one")
    parameters, filled["parameters"] = parse_parameters(given["parameters"], "parameters")
    grid = grid_of(parameters, filled["parameters"]) if method == "grid" else {}
    metric = _metric(given, filled)
    early = _early_terminate(given, filled)
    for needs, what in ((method == "bayes", "method bayes"), (early, "early_terminate")):
        if needs and metric is None:
            raise SweepInvalidError("metric", f"missing; {what} needs a metric")
    _check_texts(given)
    cap = given.get("run_cap")
    seed = given.get("seed")
    found = SweepConfig(
        method=method,
        parameters=parameters,
        grid=grid,
        metric=metric,
        early_terminate=early,
        run_cap=None if cap is None else integer(cap, "run_cap", low=1),
        name=given.get("name") or "",
        description=given.get("description") or "",
        seed=None if seed is None else integer(seed, "seed", low=0),
        as_given=filled,
    )
    if len(json.dumps(filled)) > CONFIG_CHARACTERS_MAX:
        raise SweepInvalidError(
            "config", f"longer than {CONFIG_CHARACTERS_MAX:,} characters of JSON"
        )
    return found


def _method(given: Mapping[str, Any]) -> Method:
    if "method" not in given:
        raise SweepInvalidError("method", f"missing; expected one of {', '.join(_METHODS)}")
    if given["method"] == "custom":
        raise SweepInvalidError(
            "method",
            "custom needs your own controller, which stepwell does not support; expected "
            "one of grid, random, bayes",
        )
    controller = given.get("controller")
    if controller is not None:
        known_only(mapping(controller, "controller"), ("type",), "controller")
        kind = controller.get("type", "cloud")
        if kind != "cloud":
            raise SweepInvalidError(
                "controller.type", f"expected cloud, because the hub searches; found {kind!r}"
            )
    return one_of(given["method"], _METHODS, "method")  # type: ignore[return-value]


def _metric(given: Mapping[str, Any], filled: dict[str, Any]) -> Metric | None:
    value, where = given.get("metric"), "metric"
    if "metrics" in given:
        several = given["metrics"]
        if "metric" in given or not isinstance(several, list) or len(several) != 1:
            raise SweepInvalidError(
                "metrics", "stepwell optimises one metric: use `metric` instead"
            )
        value, where = several[0], "metrics[0]"
        del filled["metrics"]
    if value is None:
        return None
    fields = mapping(value, where)
    known_only(fields, ("name", "goal", "target", "impute", "impute_while_running"), where)
    name = text(fields.get("name"), f"{where}.name")
    if not name or len(name) > NAME_CHARACTERS_MAX:
        raise SweepInvalidError(f"{where}.name", f"expected 1 to {NAME_CHARACTERS_MAX} characters")
    target = fields.get("target")
    running = fields.get("impute_while_running")
    if running in (False, "false"):
        running = None
    found = Metric(
        name,
        goal=one_of(fields.get("goal", "minimize"), ("minimize", "maximize"), f"{where}.goal"),  # type: ignore[arg-type]
        target=None if target is None else float(number(target, f"{where}.target")),
        impute=one_of(fields.get("impute", "worst"), _IMPUTE, f"{where}.impute"),  # type: ignore[arg-type]
        impute_while_running=None
        if running is None
        else one_of(running, _IMPUTE, f"{where}.impute_while_running"),  # type: ignore[arg-type]
    )
    filled["metric"] = {"name": name, "goal": found.goal, "impute": found.impute}
    if found.target is not None:
        filled["metric"]["target"] = target
    if found.impute_while_running:
        filled["metric"]["impute_while_running"] = found.impute_while_running
    return found


def _early_terminate(given: Mapping[str, Any], filled: dict[str, Any]) -> Hyperband | None:
    value, where = given.get("early_terminate"), "early_terminate"
    if value is None:
        return None
    fields = mapping(value, where)
    known_only(fields, ("type", "min_iter", "max_iter", "s", "eta", "strict"), where)
    if "type" not in fields:
        raise SweepInvalidError(f"{where}.type", "missing; expected hyperband")
    one_of(fields["type"], ("hyperband",), f"{where}.type")
    eta = number(fields.get("eta", 3), f"{where}.eta")
    if eta <= 1:
        raise SweepInvalidError(f"{where}.eta", f"expected a number above 1, found {eta}")
    strict = fields.get("strict", True)
    if not isinstance(strict, bool):
        raise SweepInvalidError(f"{where}.strict", f"expected true or false, found {strict!r}")
    bounds: dict[str, Any] = {}
    if "max_iter" in fields:
        if "min_iter" in fields:
            raise SweepInvalidError(
                f"{where}.min_iter", "expected min_iter, or max_iter with s; found both"
            )
        bounds["max_iter"] = integer(fields["max_iter"], f"{where}.max_iter", low=1)
        if "s" not in fields:
            raise SweepInvalidError(f"{where}.s", "missing; max_iter needs it")
        bounds["s"] = integer(fields["s"], f"{where}.s", low=1)
    elif "min_iter" in fields:
        if "s" in fields:
            raise SweepInvalidError(f"{where}.s", "only valid with max_iter")
        bounds["min_iter"] = integer(fields["min_iter"], f"{where}.min_iter", low=1)
    else:
        raise SweepInvalidError(f"{where}.min_iter", "missing; set it, or set max_iter with s")
    found = Hyperband(eta=float(eta), is_strict=strict, **bounds)
    if not found.bands():
        raise SweepInvalidError(
            f"{where}.max_iter",
            f"max_iter {bounds['max_iter']} divided by eta {eta} is below 1, so there is no band",
        )
    filled["early_terminate"] = {"type": "hyperband", "eta": eta, "strict": strict, **bounds}
    return found


def _check_texts(given: Mapping[str, Any]) -> None:
    for name in ("name", "description", "project", "entity", "program", "apiVersion", "kind"):
        if given.get(name) is not None:
            text(given[name], name)
    if len(given.get("name") or "") > NAME_CHARACTERS_MAX:
        raise SweepInvalidError("name", f"expected at most {NAME_CHARACTERS_MAX} characters")
    command = given.get("command")
    if command is None:
        return
    if not isinstance(command, list) or not command:
        raise SweepInvalidError("command", "expected a list of arguments")
    for index, each in enumerate(command):
        if isinstance(each, bool) or not isinstance(each, str | int | float):
            raise SweepInvalidError(f"command[{index}]", f"expected text, found {each!r}")


def changed_config(value: Mapping[str, Any], change: Mapping[str, Any]) -> SweepConfig:
    """Return the configuration ``value`` with ``change``, of run_cap and early_terminate only.

    Raises:
        SweepInvalidError: The change has another field, or the result is invalid.
    """
    known_only(change, ("run_cap", "early_terminate"), "config")
    merged = {**value, **change}
    return parse_config({name: each for name, each in merged.items() if each is not None})
