"""Every exception that stepwell raises on purpose; all are a StepwellError."""


class StepwellError(Exception):
    """What a user of stepwell can catch."""


Error = StepwellError  # As Weights & Biases' client calls it.


class UsageError(StepwellError):
    """A call that makes no sense where it stands."""


class NoRunError(UsageError):
    """A module-level call without a run."""

    def __init__(self, name: str, module: str = "stepwell") -> None:
        super().__init__(f"{module}.{name} needs a run; call {module}.init() first")
        self.name = name


class RunFinishedError(UsageError):
    """A call on a run that was finished."""

    def __init__(self, run_id: str, call: str) -> None:
        super().__init__(
            f"run {run_id} is finished, so {call} has no effect; log before finish(), or go on "
            f'with init(id="{run_id}", resume="allow")'
        )
        self.run_id = run_id


class UnavailableError(UsageError):
    """A call whose answer the program needs, and that a later release brings."""

    def __init__(self, call: str, instead: str) -> None:
        super().__init__(f"{call} is not there yet, a later release brings it; {instead}")
        self.call = call


class HubError(StepwellError):
    """The hub does not answer, or answers that something is wrong.

    Attributes:
        code: the hub's word for it (docs/formats/hub-api.md); "" where no hub answered.
        status: of HTTP; 0 where no hub answered.
        field: what of the request it is about; "" for no part in particular.
    """

    def __init__(
        self,
        message: str,
        exc: Exception | None = None,
        *,
        code: str = "",
        status: int = 0,
        field: str = "",
    ) -> None:
        super().__init__(message)
        self.message, self.exc, self.code, self.status = message, exc, code, status
        self.field = field


class HubUnreachableError(HubError):
    """No hub answers, or there is none to ask."""


class HubAccessError(HubError):
    """The hub's key is missing or wrong."""


class NotFoundError(HubError, ValueError):
    """No such project, run or file."""


class ArtifactPathError(UsageError, ValueError):
    """A text that names no version of an artifact, or one of another type."""


class OfflineError(UsageError, TypeError):
    """A call that asks the hub, in a run that is offline."""


class FilterError(UsageError, ValueError):
    """A filter of runs that cannot be asked."""


class MissingPackageError(UsageError, ImportError):
    """A package that an answer is wanted in is not installed."""

    def __init__(self, package: str, instead: str) -> None:
        super().__init__(f"{package} is not installed here; `pip install {package}`, or {instead}")
        self.package = package


class ResumeError(UsageError):
    """The run that was asked for exists though it must not, or does not though it must."""


class ConfigError(StepwellError):
    """A config value would be changed without ``allow_val_change=True``."""


class SettingsError(UsageError, ValueError):
    """An argument of ``init`` or a ``STEPWELL_*`` variable that cannot be used."""


class SyncError(StepwellError):
    """What an offline or dead writer left could not be sent."""


class DaemonUnreachableError(StepwellError):
    """No daemon answers on the socket.

    Attributes:
        obstacle: what somebody has to change before one can be reached; "" where one may come.
    """

    def __init__(self, socket: str, detail: str, *, obstacle: str = "") -> None:
        super().__init__(
            f"{socket}: no daemon answers ({detail}); start one with `stepwell up` or name its "
            "socket with STEPWELL_SOCKET"
        )
        self.socket, self.detail, self.obstacle = socket, detail, obstacle


class NoThreadError(DaemonUnreachableError):
    """This process can start no thread, so another one has to send."""


class SweepError(UsageError, ValueError):
    """The configuration of a sweep that cannot be; says which field of it."""


class ArtifactError(StepwellError):
    """An artifact that cannot be what was asked of it."""


class ArtifactFileError(ArtifactError, ValueError):
    """A path that an artifact cannot have, or a file that is not there."""


class ArtifactNotLoggedError(ArtifactError, AttributeError):
    """The artifact is a draft: it was not logged, or its version is not committed yet."""


class ArtifactFinalizedError(ArtifactError):
    """The artifact was logged, so its files stay as they are."""


class ArtifactFailedError(ArtifactError):
    """The version could not be made; says why."""


class WaitTimeoutError(ArtifactError, TimeoutError):
    """The version was not committed in time; it still may be."""


class DownloadError(ArtifactError):
    """Files of an artifact that cannot be fetched, or not be put where they belong."""


class VerificationError(ArtifactError, ValueError):
    """Files in a folder that are not those of an artifact."""


class TrialStopped(SystemExit):
    """Raised in a trial that is to end now: it was stopped early, canceled, or handed out again.

    A SystemExit, so that ``except Exception`` lets it pass and a script that it leaves ends in
    order, with status 0. ``str()`` of it is the reason.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__()
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RefusedError(StepwellError):
    """The daemon does not take what this writer sends.

    Attributes:
        code: name of the wire's refusal code.
        detail: the daemon's words.
        position: the daemon's high-water mark of this writer.
    """

    def __init__(self, code: str, detail: str, position: int) -> None:
        super().__init__(f"the daemon refused ({code}): {detail}")
        self.code, self.detail, self.position = code, detail, position
