"""Names of a run in Weights & Biases' client that differ from ours."""

from typing import TYPE_CHECKING, Any

from stepwell._run_facts import RunFacts

if TYPE_CHECKING:
    from stepwell._config import Config


class RunStatus:
    """The result of `Run.status`: logged data is in the journal at once."""

    sync_items_total = 0
    sync_items_pending = 0
    sync_time = None


class OtherNames(RunFacts):
    """Properties and methods of a run; `Run` is the only subclass."""

    config: "Config"

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        raise NotImplementedError

    @property
    def config_static(self) -> dict[str, Any]:
        return self.config.as_dict()

    @property
    def project_url(self) -> str | None:
        """The project's page, None while no page is known."""
        return None if self.url is None else self.url.rpartition("/runs/")[0] or None

    def project_name(self) -> str:
        return self.project

    def get_url(self) -> str | None:
        return self.url

    def get_project_url(self) -> str | None:
        return self.project_url

    def get_sweep_url(self) -> str | None:
        return self.sweep_url

    def join(self, exit_code: int | None = None) -> None:
        self.finish(exit_code=exit_code)

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Return False: notebooks show no page yet."""
        return False

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return a link to the run's page."""
        import html

        text = html.escape(self.name)
        return f'<a href="{html.escape(self.url)}">{text}</a>' if self.url else text

    def status(self) -> "RunStatus":
        return RunStatus()

    def write_logs(self, text: str) -> None:
        """Add ``text`` to the run's console."""
        print(text)
