from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_UNSPECIFIED: _ClassVar[RefusalCode]
    MALFORMED: _ClassVar[RefusalCode]
    UNSUPPORTED_VERSION: _ClassVar[RefusalCode]
    LIMIT: _ClassVar[RefusalCode]
    GAP: _ClassVar[RefusalCode]
    BUSY: _ClassVar[RefusalCode]
REFUSAL_UNSPECIFIED: RefusalCode
MALFORMED: RefusalCode
UNSUPPORTED_VERSION: RefusalCode
LIMIT: RefusalCode
GAP: RefusalCode
BUSY: RefusalCode

class Schema(_message.Message):
    __slots__ = ("id", "keys")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    id: int
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol_major", "protocol_minor", "client", "project", "run_id", "writer_id", "label", "scope", "host", "pid", "journal_dir", "position", "schemas", "recovered", "end_state", "exit_code", "sweep_id")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_DIR_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    END_STATE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    SWEEP_ID_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    protocol_minor: int
    client: str
    project: str
    run_id: str
    writer_id: str
    label: str
    scope: str
    host: str
    pid: int
    journal_dir: str
    position: int
    schemas: _containers.RepeatedCompositeFieldContainer[Schema]
    recovered: bool
    end_state: str
    exit_code: int
    sweep_id: str
    def __init__(self, protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., client: _Optional[str] = ..., project: _Optional[str] = ..., run_id: _Optional[str] = ..., writer_id: _Optional[str] = ..., label: _Optional[str] = ..., scope: _Optional[str] = ..., host: _Optional[str] = ..., pid: _Optional[int] = ..., journal_dir: _Optional[str] = ..., position: _Optional[int] = ..., schemas: _Optional[_Iterable[_Union[Schema, _Mapping]]] = ..., recovered: bool = ..., end_state: _Optional[str] = ..., exit_code: _Optional[int] = ..., sweep_id: _Optional[str] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("position", "records", "crc32")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    position: int
    records: bytes
    crc32: int
    def __init__(self, position: _Optional[int] = ..., records: _Optional[bytes] = ..., crc32: _Optional[int] = ...) -> None: ...

class ClientMessage(_message.Message):
    __slots__ = ("hello", "frame")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    frame: Frame
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol_major", "protocol_minor", "server", "daemon_id", "position", "frame_bytes_max", "page_url", "notice", "hub_folder")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    DAEMON_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    PAGE_URL_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    HUB_FOLDER_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    protocol_minor: int
    server: str
    daemon_id: str
    position: int
    frame_bytes_max: int
    page_url: str
    notice: str
    hub_folder: str
    def __init__(self, protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., server: _Optional[str] = ..., daemon_id: _Optional[str] = ..., position: _Optional[int] = ..., frame_bytes_max: _Optional[int] = ..., page_url: _Optional[str] = ..., notice: _Optional[str] = ..., hub_folder: _Optional[str] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: int
    def __init__(self, position: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("code", "detail", "position")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    code: RefusalCode
    detail: str
    position: int
    def __init__(self, code: _Optional[_Union[RefusalCode, str]] = ..., detail: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("kind", "reason", "sweep_id", "number", "fencing")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SWEEP_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FENCING_FIELD_NUMBER: _ClassVar[int]
    kind: str
    reason: str
    sweep_id: str
    number: int
    fencing: int
    def __init__(self, kind: _Optional[str] = ..., reason: _Optional[str] = ..., sweep_id: _Optional[str] = ..., number: _Optional[int] = ..., fencing: _Optional[int] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("welcome", "ack", "refusal", "command")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    refusal: Refusal
    command: Command
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ...) -> None: ...

class RelayHello(_message.Message):
    __slots__ = ("protocol_major", "protocol_minor", "client", "daemon_id", "host")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    DAEMON_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    protocol_minor: int
    client: str
    daemon_id: str
    host: str
    def __init__(self, protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., client: _Optional[str] = ..., daemon_id: _Optional[str] = ..., host: _Optional[str] = ...) -> None: ...

class RelayWriter(_message.Message):
    __slots__ = ("index", "writer")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WRITER_FIELD_NUMBER: _ClassVar[int]
    index: int
    writer: Hello
    def __init__(self, index: _Optional[int] = ..., writer: _Optional[_Union[Hello, _Mapping]] = ...) -> None: ...

class RelayFrame(_message.Message):
    __slots__ = ("writer", "position", "records", "crc32", "synthetic", "may_jump")
    WRITER_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    SYNTHETIC_FIELD_NUMBER: _ClassVar[int]
    MAY_JUMP_FIELD_NUMBER: _ClassVar[int]
    writer: int
    position: int
    records: bytes
    crc32: int
    synthetic: bool
    may_jump: bool
    def __init__(self, writer: _Optional[int] = ..., position: _Optional[int] = ..., records: _Optional[bytes] = ..., crc32: _Optional[int] = ..., synthetic: bool = ..., may_jump: bool = ...) -> None: ...

class RelayBatch(_message.Message):
    __slots__ = ("writers", "frames")
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    writers: _containers.RepeatedCompositeFieldContainer[RelayWriter]
    frames: _containers.RepeatedCompositeFieldContainer[RelayFrame]
    def __init__(self, writers: _Optional[_Iterable[_Union[RelayWriter, _Mapping]]] = ..., frames: _Optional[_Iterable[_Union[RelayFrame, _Mapping]]] = ...) -> None: ...

class PackedBatch(_message.Message):
    __slots__ = ("number", "raw_bytes", "payload")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RAW_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    number: int
    raw_bytes: int
    payload: bytes
    def __init__(self, number: _Optional[int] = ..., raw_bytes: _Optional[int] = ..., payload: _Optional[bytes] = ...) -> None: ...

class RelayRequest(_message.Message):
    __slots__ = ("hello", "batch")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    hello: RelayHello
    batch: PackedBatch
    def __init__(self, hello: _Optional[_Union[RelayHello, _Mapping]] = ..., batch: _Optional[_Union[PackedBatch, _Mapping]] = ...) -> None: ...

class RelayWelcome(_message.Message):
    __slots__ = ("protocol_major", "protocol_minor", "server", "daemon_id")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MINOR_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    DAEMON_ID_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    protocol_minor: int
    server: str
    daemon_id: str
    def __init__(self, protocol_major: _Optional[int] = ..., protocol_minor: _Optional[int] = ..., server: _Optional[str] = ..., daemon_id: _Optional[str] = ...) -> None: ...

class RefusedFrame(_message.Message):
    __slots__ = ("frame", "code", "detail")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    frame: int
    code: RefusalCode
    detail: str
    def __init__(self, frame: _Optional[int] = ..., code: _Optional[_Union[RefusalCode, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class BatchAck(_message.Message):
    __slots__ = ("number", "refused")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    number: int
    refused: _containers.RepeatedCompositeFieldContainer[RefusedFrame]
    def __init__(self, number: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[RefusedFrame, _Mapping]]] = ...) -> None: ...

class RelayReply(_message.Message):
    __slots__ = ("welcome", "ack", "refusal")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    welcome: RelayWelcome
    ack: BatchAck
    refusal: Refusal
    def __init__(self, welcome: _Optional[_Union[RelayWelcome, _Mapping]] = ..., ack: _Optional[_Union[BatchAck, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...
