"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write a file: it takes its name once it is whole, and is thrown away if writing it fails.

    Args:
        path: The file; its folder has to be there.

    Yields:
        The place to write it to, beside its own.

    Raises:
        OSError: The file cannot be given its name.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
