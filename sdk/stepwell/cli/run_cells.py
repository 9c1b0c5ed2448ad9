"""A value of a run's column as a person reads it: moments as dates, durations with their unit."""

from stepwell.cli.text import moment_text, seconds_text, value_text


def cell_text(path: str, value: object) -> str:
    """Return ``value`` of the column ``path`` as one line."""
    from stepwell_store.queries.paths import FIELDS, Kind, ValueKind, parse_path

    parsed = parse_path(path)
    kind = FIELDS[parsed.name] if parsed.kind is Kind.RUN else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind is ValueKind.MOMENT:
            return moment_text(value)
        if kind is ValueKind.DURATION:
            return seconds_text(value)
    return value_text(value)
