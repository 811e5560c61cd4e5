"""The flow versions that an embedded Lume knows: the files FLOW/vN.yaml of one folder."""

from __future__ import annotations

import difflib
from pathlib import Path

from lume_dagster.engine import FLOW_VERSION, FlowError, FlowVersion, load_flow
from lume_dagster.service.errors import InvalidRequestError, NotFoundError


class FlowCatalog:
    """The flow versions of a folder, read when they are asked for.

    Args:
        folder: The folder that holds one folder a flow, each with its v1.yaml, v2.yaml, ...
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self) -> dict[str, list[str]]:
        """The names of all flows, each with its versions in their order."""
        found: dict[str, list[int]] = {}
        for path in self.folder.glob("*/v*.yaml"):
            if FLOW_VERSION.fullmatch(f"{path.parent.name}:{path.stem}"):
                found.setdefault(path.parent.name, []).append(int(path.stem[1:]))
        return {name: [f"v{number}" for number in sorted(numbers)] for name, numbers in sorted(found.items())}

    def path(self, flow_version: str) -> Path:
        """The file of a flow version such as `flights:v1`.

        Raises:
            InvalidRequestError: The name is not of the form NAME:vN.
            NotFoundError: There is no such flow, or no such version of it.
        """
        parts = FLOW_VERSION.fullmatch(flow_version)
        if parts is None:
            raise InvalidRequestError(
                f"{flow_version!r} is not a flow version: write NAME:vN, such as flights:v1"
            )
        path = self.folder / parts["name"] / f"{parts['version']}.yaml"
        if not path.is_file():
            raise NotFoundError(self._missing(parts["name"], parts["version"]))
        return path

    def load(self, flow_version: str) -> FlowVersion:
        """Reads a flow version.

        Raises:
            InvalidRequestError: The name is not of the form NAME:vN, or the file is not a valid flow version.
            NotFoundError: There is no such flow, or no such version of it.
        """
        try:
            return load_flow(self.path(flow_version))
        except FlowError as error:
            raise InvalidRequestError(str(error)) from error

    def _missing(self, name: str, version: str) -> str:
        known = self.versions()
        if name in known:
            return f"flow {name!r} has no version {version!r}; it has {', '.join(known[name])}"
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        there = ", ".join(known) or "none"
        return f"no flow {name!r} in {self.folder}; {hint}flows there: {there}"
