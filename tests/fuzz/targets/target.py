"""What a target is."""

from abc import ABC, abstractmethod


class Target(ABC):
    """One reader of foreign bytes.

    Attributes:
        allowed: what the reader may raise for bytes that it does not like.
        length_max: bytes of the longest input.
    """

    allowed: tuple[type[Exception], ...] = ()
    length_max = 4096

    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Return inputs that the real encoders make."""

    @abstractmethod
    def feed(self, data: bytes) -> int:
        """Let the reader have ``data``; return how many frames it was given.

        Raises:
            Exception: A finding.
        """

    def close(self) -> None:  # noqa: B027
        """Remove what it left on disk, where it left something."""
