"""The columns of a batch's own Parquet file in DuckDB: typed values as canonical texts, and without the detour.

Both give what `parquet_source` and the table of cast rules say, so that a verdict does not depend on how a value came
in: `as_value` is the short way of `parse_text(as_text(column))`.
"""

from __future__ import annotations

from lume_dagster.engine.values import ValueType

_TIME_TEXT = "'%Y-%m-%dT%H:%M:%S.%f'"
_WHOLE = "{0} = trunc({0}) AND abs({0}) < 9223372036854775808"
_MOMENTS = "BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"

_TEXTS: dict[ValueType, str] = {
    ValueType.TEXT: "{0}",
    ValueType.INTEGER: "CAST({0} AS VARCHAR)",
    ValueType.NUMBER: (
        f"CASE WHEN {_WHOLE} THEN CAST(TRY_CAST({{0}} AS BIGINT) AS VARCHAR)"
        " WHEN isnan({0}) THEN 'nan' ELSE CAST({0} AS VARCHAR) END"
    ),
    ValueType.BOOLEAN: "CAST({0} AS VARCHAR)",
    ValueType.DATE: "CAST({0} AS VARCHAR)",
    ValueType.TIMESTAMP: f"regexp_replace(strftime({{0}}, {_TIME_TEXT}), '\\.0+$', '')",
    ValueType.INSTANT: (
        f"regexp_replace(strftime(make_timestamp(epoch_us({{0}})), {_TIME_TEXT}), '\\.0+$', '') || 'Z'"
    ),
}
_VALUES: dict[tuple[ValueType, ValueType], str] = {
    (ValueType.INTEGER, ValueType.INTEGER): "TRY_CAST({0} AS BIGINT)",
    (ValueType.INTEGER, ValueType.NUMBER): "CAST({0} AS DOUBLE)",
    # The text of -0.0 is that of 0, and so is its value.
    (ValueType.NUMBER, ValueType.NUMBER): "CASE WHEN {0} = 0 THEN CAST(0 AS DOUBLE) ELSE {0} END",
    (ValueType.NUMBER, ValueType.INTEGER): f"CASE WHEN {_WHOLE} THEN TRY_CAST({{0}} AS BIGINT) END",
    (ValueType.BOOLEAN, ValueType.BOOLEAN): "{0}",
    (
        ValueType.DATE,
        ValueType.DATE,
    ): "CASE WHEN {0} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {0} END",
    (ValueType.TIMESTAMP, ValueType.TIMESTAMP): f"CASE WHEN {{0}} {_MOMENTS} THEN {{0}} END",
    (ValueType.INSTANT, ValueType.INSTANT): (
        f"CASE WHEN make_timestamp(epoch_us({{0}})) {_MOMENTS} THEN {{0}} END"
    ),
}


def as_text(column: str, column_type: ValueType) -> str:
    """The expression of a column's canonical texts.

    Args:
        column: Its name.
        column_type: One of those that `parquet_types` knows.
    """
    return _TEXTS[column_type].format(column)


def as_value(column: str, column_type: ValueType, wanted: ValueType) -> str | None:
    """The expression that casts a column by the table of cast rules; None where that has to go by its text."""
    expression = _VALUES.get((column_type, wanted))
    return expression.format(column) if expression else None
