"""Charts made of tables."""

from stepwell.plot import *  # noqa: F403
