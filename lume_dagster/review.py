"""Rejects as a file that a person can review in a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

ROW_NUMBER, REASONS = "row_number", "reasons"

_NUMBER = re.compile(r"[+-]?[0-9.,]+")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_review_csv(rejects: pa.Table, path: Path | str) -> int:
    """Writes a batch's rejects as a CSV file: row number, reasons, and the source's own columns.

    A value that a spreadsheet would take for a formula is written behind an apostrophe. The file appears whole or
    not at all.

    Args:
        rejects: The rejects as `LumeIOManager` loads them, one row a record.
        path: The file; its folder is made if need be.

    Returns:
        The number of rejects written.

    Raises:
        OSError: The file cannot be written.
    """
    rows = [_review_row(row) for row in rejects.to_pylist()]
    columns = list(dict.fromkeys([ROW_NUMBER, REASONS, *(name for row in rows for name in row)]))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return len(rows)


def _review_row(reject: Mapping[str, Any]) -> dict[str, Any]:
    record = reject["source_record"]
    source = json.loads(record) if isinstance(record, str) else record
    own = {ROW_NUMBER: reject["row_number"], REASONS: _cell(_reasons(reject["errors"]))}
    row = dict[str, Any](own)
    for name, value in source.items():
        column = _cell(name)
        while column in row:
            column = f"source {column}"
        row[column] = _cell(value)
    return row


def _reasons(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{error['field']}: {error['message']}" if error["field"] else str(error["message"])
        for error in errors
    )


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text
