"""Classes whose objects raise when they are looked at, each in its own way."""

import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("repr")


class BadEqual:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise ValueError("equal")


class BadFloat:
    def __float__(self) -> float:
        raise ZeroDivisionError


class BadList(list[int]):
    def __len__(self) -> int:
        raise ValueError("length")

    def __iter__(self) -> Iterator[int]:
        raise ValueError("items")


class BadAttributes:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"attribute {name}")


class BadText(str):
    def __str__(self) -> str:
        raise ValueError("text")

    def __len__(self) -> int:
        raise ValueError("length")

    def encode(self, *how: Any) -> bytes:
        raise ValueError("encoding")


class BadInteger(int):
    def __ge__(self, other: object) -> bool:
        raise ValueError("order")

    __le__ = __lt__ = __gt__ = __ge__

    def __int__(self) -> int:
        raise ValueError("int")


class BadArray:
    ndim = 1

    def tolist(self) -> list[Any]:
        raise ValueError("tolist")


class BadProperties:
    @property
    def tolist(self) -> Any:
        raise RuntimeError("tolist")

    @property
    def ndim(self) -> int:
        raise RuntimeError("ndim")


class BadMoment(datetime.datetime):
    def isoformat(self, *how: Any) -> str:
        raise ValueError("isoformat")


class BadSet(set[int]):
    def __iter__(self) -> Iterator[int]:
        raise ValueError("items")


class BadClass:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("class")

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class HalfReadable(Mapping[str, int]):
    """As a configuration with a value that is still to be given."""

    def __getitem__(self, key: str) -> int:
        if key == "there":
            return 1
        raise RuntimeError("missing value")

    def __iter__(self) -> Iterator[str]:
        return iter(["path", "there"])

    def __len__(self) -> int:
        return 2


class Nameless(Mapping[str, int]):
    """As a whole configuration that is still to be given."""

    def __getitem__(self, key: str) -> int:
        raise RuntimeError("missing")

    __iter__ = __len__ = None  # type: ignore[assignment]


_MAKERS: tuple[Callable[[], Any], ...] = (
    BadRepr,
    BadEqual,
    BadFloat,
    lambda: BadList([1]),
    BadAttributes,
    lambda: BadText("abc"),
    lambda: BadInteger(5),
    BadArray,
    BadProperties,
    lambda: BadMoment(2024, 1, 1),
    lambda: BadSet([1]),
    BadClass,
    HalfReadable,
    Nameless,
)

ODD = {type(make()).__name__: make for make in _MAKERS}
"""Makes each of them, by the name of its class; test runners trip over the objects themselves."""
