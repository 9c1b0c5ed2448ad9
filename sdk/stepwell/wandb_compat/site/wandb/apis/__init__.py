"""Reading runs from Python, as far as names go."""

import os
from typing import Any

from stepwell import Api
from wandb.apis import public

__all__ = ["Api", "InternalApi", "PublicApi", "api", "public"]

PublicApi = Api


class InternalApi:
    """Answers to questions about an account, which stepwell does not need."""

    @property
    def api_key(self) -> str:
        return os.environ.get("WANDB_API_KEY") or "local"

    @property
    def default_entity(self) -> str:
        return os.environ.get("WANDB_ENTITY") or "local"

    def settings(self, key: str | None = None, section: str | None = None) -> Any:
        known = {
            "project": os.environ.get("WANDB_PROJECT"),
            "entity": os.environ.get("WANDB_ENTITY"),
            "base_url": os.environ.get("WANDB_BASE_URL"),
        }
        return known if key is None else known.get(key)


api = InternalApi()
