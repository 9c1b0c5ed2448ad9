"""The checks of `stepwell doctor`."""

from stepwell.cli.checks.finding import Finding, Level

__all__ = ["Finding", "Level"]
