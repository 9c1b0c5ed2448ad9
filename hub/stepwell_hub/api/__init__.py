"""The API's endpoints; importing the files declares them."""

from stepwell_hub.api import status, views
from stepwell_hub.endpoints import ENDPOINTS

__all__ = ["ENDPOINTS", "status", "views"]
