"""The flow versions that an embedded Lume knows: the files FLOW/vN.yaml of one folder."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from lume_dagster.engine import FLOW_VERSION, FlowError, FlowVersion, load_flow, parse_flow
from lume_dagster.engine.yaml_document import parse_yaml, read_text
from lume_dagster.service.errors import (
    FlowExistsError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)


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

    def newest(self, name: str) -> str:
        """The newest version of a flow, NAME:vN.

        Raises:
            NotFoundError: There is no such flow.
        """
        found = self.versions().get(name)
        if not found:
            raise NotFoundError(self._missing(name, "v1"))
        return f"{name}:{found[-1]}"

    def promote(self, name: str, file: Path) -> FlowVersion:
        """Makes a file the next version of a flow; of a flow that is not there yet its first.

        The file is copied as it is, comments included. The files of its lookups have to lie beside the other
        versions. No version that is there is touched.

        Args:
            name: The flow.
            file: A draft, or an older version that is to be the newest again.

        Raises:
            FlowExistsError: The next version was made at the same time.
            InvalidRequestError: The file is no valid flow version, or says what the newest version says already.
            UnavailableError: The folder cannot be written to.
        """
        known = self.versions().get(name, [])
        version = f"v{int(known[-1][1:]) + 1 if known else 1}"
        folder = self.folder / name
        try:
            text = read_text(file)
            flow = parse_flow(
                parse_yaml(text, str(file)), name=name, version=version, path=str(file), folder=folder
            )
        except FlowError as error:
            raise InvalidRequestError(str(error)) from error
        if known and self.load(f"{name}:{known[-1]}").fingerprint == flow.fingerprint:
            raise InvalidRequestError(
                f"{file} says what {name}:{known[-1]} says, the newest version: there is nothing to promote"
            )
        _write_once(folder / f"{version}.yaml", text)
        return flow

    def create(self, flow_version: str, text: str) -> FlowVersion:
        """Writes the file of a flow version that is not there yet, in one step.

        Args:
            flow_version: Its name, NAME:vN.
            text: What the file says.

        Raises:
            FlowExistsError: There is one of this name.
            InvalidRequestError: The name is not of the form NAME:vN, or the text is no valid flow version.
            UnavailableError: The folder cannot be written to.
        """
        self.check_free(flow_version)
        name, _, version = flow_version.partition(":")
        path = self.folder / name / f"{version}.yaml"
        try:
            flow = parse_flow(
                parse_yaml(text, str(path)), name=name, version=version, path=str(path), folder=path.parent
            )
        except FlowError as error:
            raise InvalidRequestError(str(error)) from error
        _write_once(path, text)
        return flow

    def keep_draft(self, name: str, file: str, text: str) -> Path:
        """Writes a file beside the versions of a flow, for people to edit.

        Raises:
            InvalidRequestError: There is a file of this name.
            UnavailableError: The folder cannot be written to.
        """
        path = self.folder / name / file
        if path.exists():
            raise InvalidRequestError(f"{path} is there already; promote it, move it or remove it")
        _write_once(path, text)
        return path

    def check_free(self, flow_version: str) -> None:
        """Whether a flow version may still be made.

        Raises:
            FlowExistsError: There is one of this name.
            InvalidRequestError: The name is not of the form NAME:vN.
        """
        try:
            path = self.path(flow_version)
        except NotFoundError:
            return
        raise FlowExistsError(
            f"{flow_version} is there already ({path}); a version is immutable: make the next one, or another flow"
        )

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


def _write_once(path: Path, text: str) -> None:
    """Writes a file that is not there yet, in one step."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8", newline="")
            os.link(partial, path)  # unlike a rename, it replaces nothing
        finally:
            partial.unlink(missing_ok=True)
    except FileExistsError as error:
        raise FlowExistsError(f"{path} was made at the same time; it is left as it is") from error
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written: {error.strerror}") from error
