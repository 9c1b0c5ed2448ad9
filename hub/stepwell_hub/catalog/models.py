"""The catalog's tables. A change here needs a migration in `versions/`."""

from sqlalchemy import (
    BigInteger,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Names that Alembic can drop and change on both databases.
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


class RunSlot(Base):
    """A run's colour: one of 20, given once."""

    __tablename__ = "run_slots"

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(String(1024))
    run_id: Mapped[str] = mapped_column(String(1024))
    slot: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        UniqueConstraint("project", "run_id", name="uq_run_slots_run"),
        Index("ix_run_slots_recent", "project", "sequence"),
    )


class View(Base):
    """A saved state of a page."""

    __tablename__ = "views"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(String(1024), index=True)
    name: Mapped[str] = mapped_column(String(1024))
    query: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double)


class UsedCode(Base):
    """A login code that was used; kept until it would have expired."""

    __tablename__ = "used_codes"

    nonce: Mapped[bytes] = mapped_column(LargeBinary(8), primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
