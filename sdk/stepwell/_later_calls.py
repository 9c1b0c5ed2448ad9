"""Calls of a run that come with a later release. Each prints a line once.

A call whose answer the program needs raises `UnavailableError` instead: to continue with an
invented answer would be worse.
"""

from collections.abc import Iterable
from typing import Any

from stepwell._later import warn_unavailable
from stepwell._names import text_of
from stepwell._run_facts import RunFacts
from stepwell.errors import UnavailableError


class AlertLevel:
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


def _word_of(level: Any) -> str:
    return str(getattr(level, "value", level))


class LaterCalls(RunFacts):
    """The methods of a run that come with a later release; `Run` is the only subclass."""

    def restore(
        self, name: str, run_path: str | None = None, replace: bool = False, root: Any = None
    ) -> Any:
        # A path of a run is ENTITY/PROJECT/ID; names of artifacts can begin so, too.
        *place, run_id = (run_path or self.id).split("/")
        files = "/".join([*place, f"run-{run_id}-files:latest"])
        raise UnavailableError(
            f"restore({name!r})",
            f"read a file that save() kept with run.use_artifact({files!r})"
            f".get_entry({name!r}).download()",
        )

    def alert(
        self,
        title: str,
        text: str = "",
        level: str | None = None,
        wait_duration: Any = None,
    ) -> None:
        self._warn_unavailable("alert", "alert()")
        # Converted to text first: an alert must not end the training that it warns of.
        word = AlertLevel.INFO if level is None else text_of(level, _word_of)
        shown = ": ".join(filter(None, map(text_of, (title, text))))
        self._voice.say(f"alert ({word or AlertLevel.INFO}): {shown}")

    def link_artifact(self, artifact: Any, target_path: str, aliases: Any = None) -> Any:
        self._warn_unavailable("artifact", "link_artifact()")
        return artifact

    def log_code(
        self,
        root: Any = ".",
        name: str | None = None,
        include_fn: Any = None,
        exclude_fn: Any = None,
    ) -> None:
        self._warn_unavailable("log_code", "log_code()")

    def mark_preempting(self) -> None:
        """No effect: a run whose process was killed continues with ``resume``."""

    def pin_config_keys(self, keys: Iterable[str]) -> None:
        """No effect: the runs table shows the columns that its reader chooses."""

    def _warn_unavailable(self, kind: str, call: str) -> None:
        warn_unavailable(kind, call, self._voice.warn_once)
