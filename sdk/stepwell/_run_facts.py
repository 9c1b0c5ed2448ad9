"""Facts about a run: names, addresses, progress."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from stepwell._identity import display_name
from stepwell._names import text_of, warn_finished
from stepwell._setting_values import tags_of
from stepwell._settings import Settings
from stepwell._terminal import Voice
from stepwell._writer import Writer
from stepwell_wire.records import RUN

if TYPE_CHECKING:
    from stepwell._progress import Progress
    from stepwell._recording import Recording
    from stepwell._sweeps.trial import Trial
    from stepwell._user_folder import UserFolder

_TEXTS: Final = ("notes", "group", "job_type", "entity")


class RunFacts:
    """Facts for all groups of a run's calls; `Run` is the only complete class."""

    _id: str
    _name: str
    _notes: str | None
    _tags: tuple[str, ...]
    _group: str | None
    _job_type: str | None
    _entity: str | None
    _progress: "Progress"
    _rank: int
    _resumed: bool
    _started_at: float
    _starting_step: int
    _settings: Settings
    _trial: "Trial | None"
    _user_folder: "UserFolder"
    _recording: "Recording"
    _writer: Writer
    _voice: Voice

    @property
    def id(self) -> str:
        return self._id

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        name = display_name(self.id) if value is None else text_of(value)
        self._write_fact("name", name, name)

    display_name = name

    @property
    def notes(self) -> str | None:
        return self._notes

    @notes.setter
    def notes(self, value: str | None) -> None:
        notes = None if value is None else text_of(value)
        self._write_fact("notes", notes, notes)

    @property
    def tags(self) -> tuple[str, ...]:
        return self._tags

    @tags.setter
    def tags(self, value: Iterable[str] | str | None) -> None:
        tags = tags_of(value)
        self._write_fact("tags", tags, list(tags))

    def _write_fact(self, name: str, shown: Any, stored: Any) -> None:
        with self._writer.lock:
            if self.finished:
                warn_finished(self._voice.warn_once, name)
                return
            setattr(self, f"_{name}", shown)
            self._recording.write(RUN, {name: stored})
        self._progress.changed()

    def _shown(self) -> dict[str, Any]:
        """Return the facts that a resumed run or a copy in another process shows."""
        tags = list(self._tags)
        return {"tags": tags, **{name: getattr(self, f"_{name}") for name in _TEXTS}}

    def _show(self, facts: Mapping[str, Any]) -> None:
        """Show ``facts``, a result of `_shown`."""
        tags = facts.get("tags")
        self._tags = tuple(map(str, tags)) if isinstance(tags, list) else ()
        for name in _TEXTS:
            value = facts.get(name)
            setattr(self, f"_{name}", None if value is None else str(value))

    @property
    def project(self) -> str:
        return self._settings.project

    @property
    def entity(self) -> str:
        return self._entity or ""

    @property
    def group(self) -> str | None:
        return self._group

    @property
    def job_type(self) -> str | None:
        return self._job_type

    @property
    def path(self) -> str:
        return f"{self.project}/{self._id}"

    @property
    def url(self) -> str | None:
        """The run's page, None while no page is known."""
        from stepwell._page import page_address

        return page_address(self._recording.page_url, self.project, self._id)

    @property
    def sweep_id(self) -> str | None:
        """The sweep whose trial this run is, None outside of a sweep."""
        return None if self._trial is None else self._trial.sweep_id

    @property
    def sweep_url(self) -> str | None:
        """The page of that sweep, None while no page is known."""
        if self._trial is None or not self._recording.page_url:
            return None
        from stepwell._page import sweep_address

        return sweep_address(self._recording.page_url, self.project, self._trial.sweep_id)

    @property
    def dir(self) -> str:
        """A folder for files of the run; made at the first use. The files stay there."""
        self._user_folder.make()
        return str(self._user_folder.path)

    @property
    def _journal_dir(self) -> str:
        """The folder of this writer's journal; deleted with it."""
        return str(self._recording.journal_folder or self._settings.journals_dir)

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def mode(self) -> str:
        return self._settings.mode

    @property
    def label(self) -> str:
        """This process's name among the run's writers; "" for a run of one process."""
        return self._recording.label

    @property
    def rank(self) -> int:
        """This process's rank, -1 when the job is not distributed."""
        return self._rank

    @property
    def step(self) -> int:
        """The step that a ``log`` without one would get."""
        return self._writer.step

    @property
    def starting_step(self) -> int:
        return self._starting_step

    @property
    def start_time(self) -> float:
        return self._started_at

    @property
    def resumed(self) -> bool:
        return self._resumed

    @property
    def offline(self) -> bool:
        return self.mode == "offline"

    @property
    def disabled(self) -> bool:
        return self.mode == "disabled"

    @property
    def finished(self) -> bool:
        return self._recording.finished

    @property
    def dropped_points(self) -> int:
        """Points that did not fit into the journal; stored as gaps, never silent."""
        return self._writer.losses.points

    @property
    def dropped_lines(self) -> int:
        """Lines of the console that did not fit into the journal; stored as a gap, too."""
        return self._writer.losses.lines
