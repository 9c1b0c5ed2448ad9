"""The exceptions of stepwell. All but `TrialStopped` are a `StepwellError`."""


class StepwellError(Exception):
    """The base class of stepwell's exceptions."""


Error = StepwellError  # The name in Weights & Biases' client.


class UsageError(StepwellError):
    """A call at the wrong place or with wrong arguments."""


class NoRunError(UsageError):
    """A module-level call without a run."""

    def __init__(self, name: str, module: str = "stepwell") -> None:
        super().__init__(f"{module}.{name} needs a run; call {module}.init() first")
        self.name, self._module = name, module

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.name, self._module)  # Needed if a child of a pool raises it.


class RunFinishedError(UsageError):
    """A call on a finished run."""

    def __init__(self, run_id: str, call: str) -> None:
        super().__init__(
            f"run {run_id} is finished, so {call} has no effect; log before finish(), or "
            f'continue the run with init(id="{run_id}", resume="allow")'
        )
        self.run_id = run_id


class UnavailableError(UsageError):
    """A call of a later release, without which the program cannot continue."""

    def __init__(self, call: str, instead: str) -> None:
        super().__init__(f"{call} is not available yet, only in a later release; {instead}")
        self.call = call


class UnavailableNameError(UnavailableError, AttributeError):
    """A name of a later release: `hasattr` is false, and `getattr` returns its default."""


class HubError(StepwellError):
    """The hub does not answer, or answers with an error.

    Attributes:
        code: the hub's code of the error (docs/formats/hub-api.md); "" if no hub answered.
        status: the HTTP status; 0 if no hub answered.
        field: the wrong field of the request; "" if the hub names none.
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
    """No hub answers, or no hub is known."""


class HubAccessError(HubError):
    """The hub's key is missing or wrong."""


CommError, AuthenticationError = HubError, HubAccessError  # The names in that client.


class NotFoundError(HubError, ValueError):
    """No such project, run or file."""


class ArtifactPathError(UsageError, ValueError):
    """An invalid name of a version, or a version of another type."""


class OfflineError(UsageError, TypeError):
    """A call that needs the hub, in an offline run."""


class FilterError(UsageError, ValueError):
    """An invalid filter of runs."""


class MissingPackageError(UsageError, ImportError):
    """The package for this kind of answer is not installed."""

    def __init__(self, package: str, instead: str) -> None:
        super().__init__(f"{package} is not installed; run `pip install {package}`, or {instead}")
        self.package = package


class ResumeError(UsageError):
    """``resume="never"`` for a run that exists, or ``"must"`` for one that does not."""


class ConfigError(StepwellError):
    """A changed config value without ``allow_val_change=True``."""


class SettingsError(UsageError, ValueError):
    """An invalid argument of ``init`` or an invalid ``STEPWELL_*`` variable."""


class SyncError(StepwellError):
    """A journal of an offline or dead writer could not be sent."""


class DaemonUnreachableError(StepwellError):
    """No daemon answers on the socket.

    Attributes:
        obstacle: the reason, if the user has to act first; "" if a daemon may start by itself.
    """

    def __init__(self, socket: str, detail: str, *, obstacle: str = "") -> None:
        super().__init__(
            f"{socket}: no daemon answers ({detail}); start one with `stepwell up`, or name "
            "its socket with STEPWELL_SOCKET"
        )
        self.socket, self.detail, self.obstacle = socket, detail, obstacle


class NoThreadError(DaemonUnreachableError):
    """This process cannot start a thread, so another process has to send."""


class SweepError(UsageError, ValueError):
    """An invalid configuration of a sweep; the message names the field."""


class ArtifactError(StepwellError):
    """A call that this artifact does not allow."""


class ArtifactFileError(ArtifactError, ValueError):
    """An invalid path in an artifact, or a missing file."""


class ArtifactNotLoggedError(ArtifactError, AttributeError):
    """The artifact is a draft: it was not logged, or its version is not committed yet."""


class ArtifactFinalizedError(ArtifactError):
    """The artifact was logged, so its files cannot change."""


class ArtifactFailedError(ArtifactError):
    """The version could not be made; the message gives the reason."""


class WaitTimeoutError(ArtifactError, TimeoutError):
    """The version was not committed in time. The daemon may still commit it."""


class DownloadError(ArtifactError):
    """Files of an artifact could not be downloaded, or not be written."""


class VerificationError(ArtifactError, ValueError):
    """The files of a folder differ from those of the version."""


class TrialStopped(SystemExit):
    """Raised in a trial that must end: it was stopped early, canceled, or handed out again.

    It is a SystemExit, so ``except Exception`` does not catch it, and the script ends with
    status 0. ``str()`` of it is the reason.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__()
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class RefusedError(StepwellError):
    """The daemon does not accept the frames of this writer.

    Attributes:
        code: name of the wire's refusal code.
        detail: the reason, as the daemon gives it.
        position: the daemon's high-water mark of this writer.
    """

    def __init__(self, code: str, detail: str, position: int) -> None:
        super().__init__(f"the daemon refused ({code}): {detail}")
        self.code, self.detail, self.position = code, detail, position
