from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BlobOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BLOB_UNSPECIFIED: _ClassVar[BlobOutcome]
    TAKEN: _ClassVar[BlobOutcome]
    SEND: _ClassVar[BlobOutcome]
    LATER: _ClassVar[BlobOutcome]
    REFUSED: _ClassVar[BlobOutcome]
BLOB_UNSPECIFIED: BlobOutcome
TAKEN: BlobOutcome
SEND: BlobOutcome
LATER: BlobOutcome
REFUSED: BlobOutcome

class BlobOffer(_message.Message):
    __slots__ = ("protocol_major", "journal_dir", "writer_id", "names", "keep")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_DIR_FIELD_NUMBER: _ClassVar[int]
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    journal_dir: str
    writer_id: str
    names: _containers.RepeatedScalarFieldContainer[str]
    keep: bool
    def __init__(self, protocol_major: _Optional[int] = ..., journal_dir: _Optional[str] = ..., writer_id: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., keep: bool = ...) -> None: ...

class BlobReply(_message.Message):
    __slots__ = ("name", "outcome", "offset", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    outcome: BlobOutcome
    offset: int
    detail: str
    def __init__(self, name: _Optional[str] = ..., outcome: _Optional[_Union[BlobOutcome, str]] = ..., offset: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class BlobReplies(_message.Message):
    __slots__ = ("blobs",)
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    blobs: _containers.RepeatedCompositeFieldContainer[BlobReply]
    def __init__(self, blobs: _Optional[_Iterable[_Union[BlobReply, _Mapping]]] = ...) -> None: ...

class BlobChunk(_message.Message):
    __slots__ = ("name", "size", "offset", "data", "crc32", "writer_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    WRITER_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: int
    offset: int
    data: bytes
    crc32: int
    writer_id: str
    def __init__(self, name: _Optional[str] = ..., size: _Optional[int] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., crc32: _Optional[int] = ..., writer_id: _Optional[str] = ...) -> None: ...

class ArtifactQuestion(_message.Message):
    __slots__ = ("protocol_major", "keys", "project", "name")
    PROTOCOL_MAJOR_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    protocol_major: int
    keys: _containers.RepeatedScalarFieldContainer[str]
    project: str
    name: str
    def __init__(self, protocol_major: _Optional[int] = ..., keys: _Optional[_Iterable[str]] = ..., project: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ArtifactState(_message.Message):
    __slots__ = ("key", "state", "name", "version", "reason")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    key: str
    state: str
    name: str
    version: str
    reason: str
    def __init__(self, key: _Optional[str] = ..., state: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ArtifactStates(_message.Message):
    __slots__ = ("artifacts",)
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[ArtifactState]
    def __init__(self, artifacts: _Optional[_Iterable[_Union[ArtifactState, _Mapping]]] = ...) -> None: ...
