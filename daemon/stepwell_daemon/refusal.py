"""Refusals: the end of a stream, as its writer or the relaying daemon receives it. Imports no
part."""

from dataclasses import dataclass

from stepwell_wire.ingest_pb2 import RefusalCode


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why no more frames are taken on this stream.

    Attributes:
        bound: the bound that was reached (``stepwell_daemon.bounds``), "" for none.
    """

    code: RefusalCode
    detail: str
    position: int = 0
    bound: str = ""

    @property
    def reason(self) -> str:
        return RefusalCode.Name(self.code).lower()


class StreamRefusedError(Exception):
    """Ends a stream."""

    def __init__(
        self, code: RefusalCode, detail: str, position: int = 0, *, bound: str = ""
    ) -> None:
        super().__init__(detail)
        self.refusal = Refusal(code, detail, position, bound)
