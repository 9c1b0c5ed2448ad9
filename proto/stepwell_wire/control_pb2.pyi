from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class FlushRequest(_message.Message):
    __slots__ = ("timeout_seconds", "run_id", "rows_only")
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_ONLY_FIELD_NUMBER: _ClassVar[int]
    timeout_seconds: float
    run_id: str
    rows_only: bool
    def __init__(self, timeout_seconds: _Optional[float] = ..., run_id: _Optional[str] = ..., rows_only: bool = ...) -> None: ...

class FlushReply(_message.Message):
    __slots__ = ("stored", "pending_bytes", "detail")
    STORED_FIELD_NUMBER: _ClassVar[int]
    PENDING_BYTES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    stored: bool
    pending_bytes: int
    detail: str
    def __init__(self, stored: bool = ..., pending_bytes: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class HealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HealthReply(_message.Message):
    __slots__ = ("ready", "problems")
    READY_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ready: bool = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class HoldRequest(_message.Message):
    __slots__ = ("timeout_seconds",)
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    timeout_seconds: float
    def __init__(self, timeout_seconds: _Optional[float] = ...) -> None: ...

class HoldReply(_message.Message):
    __slots__ = ("held", "segment", "offset", "detail")
    HELD_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    held: bool
    segment: int
    offset: int
    detail: str
    def __init__(self, held: bool = ..., segment: _Optional[int] = ..., offset: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class SweepRemovedRequest(_message.Message):
    __slots__ = ("timeout_seconds",)
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    timeout_seconds: float
    def __init__(self, timeout_seconds: _Optional[float] = ...) -> None: ...

class SweepRemovedReply(_message.Message):
    __slots__ = ("done", "detail", "waiting")
    DONE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    done: bool
    detail: str
    waiting: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, done: bool = ..., detail: _Optional[str] = ..., waiting: _Optional[_Iterable[str]] = ...) -> None: ...

class HoldRunsRequest(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[RunName]
    def __init__(self, runs: _Optional[_Iterable[_Union[RunName, _Mapping]]] = ...) -> None: ...

class RunName(_message.Message):
    __slots__ = ("project", "run_id")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    project: str
    run_id: str
    def __init__(self, project: _Optional[str] = ..., run_id: _Optional[str] = ...) -> None: ...

class HoldRunsReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
