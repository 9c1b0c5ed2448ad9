"""The API's endpoints; importing the files declares them."""

from stepwell_hub.api import live, projects, runs, series, status, views
from stepwell_hub.endpoints import ENDPOINTS

__all__ = ["ENDPOINTS", "live", "projects", "runs", "series", "status", "views"]
