"""Put the built page into wheels and source distributions.

Editable installs build no page: `make page` does. A tree that holds the built page already, as a
source distribution does, needs no node.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page and adds its files to the distribution."""

    def dependencies(self) -> list[str]:
        # Front ends ask for editable installs by this hook's name; the interface does not say it.
        if sys.argv[1:2] == ["get_requires_for_build_editable"]:
            return []
        page = self._builder()
        needs_none = page.is_built(Path(self.root)) or page.find_node() is not None
        return [] if needs_none else [page.NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        folder = self._builder().build(root)
        inside = "stepwell_hub/static" if self.target_name == "wheel" else "hub/stepwell_hub/static"
        build_data["force_include"][str(folder)] = inside

    def _builder(self) -> ModuleType:
        """Load scripts/build_page.py, which is no installed module."""
        path = Path(self.root) / "scripts" / "build_page.py"
        spec = importlib.util.spec_from_file_location("stepwell_build_page", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
