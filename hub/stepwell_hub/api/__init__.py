"""The API's endpoints; importing the files declares them."""

from stepwell_hub.api import (
    blobs,
    histograms,
    histories,
    live,
    media,
    projects,
    runs,
    series,
    session,
    status,
    sweeps,
    tables,
    views,
)
from stepwell_hub.endpoints import ENDPOINTS

__all__ = [
    "ENDPOINTS",
    "blobs",
    "histograms",
    "histories",
    "live",
    "media",
    "projects",
    "runs",
    "series",
    "session",
    "status",
    "sweeps",
    "tables",
    "views",
]
