"""The API's endpoints; importing the files declares them."""

from stepwell_hub.api import (
    artifact_versions,
    artifacts,
    blobs,
    figures,
    histograms,
    histories,
    live,
    media,
    projects,
    reports,
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
    "artifact_versions",
    "artifacts",
    "blobs",
    "figures",
    "histograms",
    "histories",
    "live",
    "media",
    "projects",
    "reports",
    "runs",
    "series",
    "session",
    "status",
    "sweeps",
    "tables",
    "views",
]
