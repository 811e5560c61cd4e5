"""The flights flow, written by hand for other tools: the same verdicts, with all reasons.

Each job reads a batch and writes `mapped.parquet` (the target schema's columns) and `rejects.parquet` (`row_number`,
`errors` such as `tail_number:pattern`, `source_record`) into a folder. They are written as their own experts would:
what they lack is only what the flights do not need.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

FLOW = yaml.safe_load((Path(__file__).parents[1] / "flows/flights/v1.yaml").read_text())
SCHEMA = FLOW["target_schema"]
FIELDS = list(SCHEMA["properties"])
CARRIERS = FLOW["mapper"]["carrier_name"]["lookup"]["table"]
ORIGINS = SCHEMA["properties"]["origin"]["enum"]
PATTERNS = {name: rule["pattern"] for name, rule in SCHEMA["properties"].items() if "pattern" in rule}
INTEGERS = {
    "flight_number": "flight",
    "departure_delay": "dep_delay",
    "arrival_delay": "arr_delay",
    "air_time": "air_time",
}
MOMENTS = (
    ("scheduled_departure", "sched_dep_time", None, 0),
    ("scheduled_arrival", "sched_arr_time", "scheduled_departure", 0),
    ("departure", "dep_time", "scheduled_departure", 60),
    ("arrival", "arr_time", "departure", 0),
)
NULLS = ["", "NA"]
DAY = 1440
JUDGED = frozenset({"required", "pattern", "enum", "range"})
"""The kinds of errors that a schema can find in the mapped values; the others are the mapping's own."""


def raw_copy(source: Path, folder: Path) -> None:
    """What DuckDB needs to read and write the batch, and nothing else: the limit."""
    import duckdb

    reader = "read_csv" if source.suffix == ".csv" else "read_parquet"
    duckdb.connect().execute(
        f"COPY (FROM {reader}('{source}')) TO '{folder / 'mapped.parquet'}' (FORMAT parquet)"
    )


def polars(source: Path, folder: Path) -> None:
    """Polars' lazy expressions, collected once by its streaming engine."""
    _polars(source, folder, None)


def pandera_polars(source: Path, folder: Path) -> None:
    """Polars maps, and a schema of pandera judges what came out."""
    import pandera.polars as pa
    from pandera.errors import SchemaErrors

    schema = _pandera_schema(pa, str, int, float)

    def judge(target: Any) -> Any:
        try:
            schema.validate(target, lazy=True)
        except SchemaErrors as problem:
            return problem.failure_cases.select("column", "check", "index")
        return None

    _polars(source, folder, judge)


def _pandera_schema(pa: Any, *types: Any) -> Any:
    """The target schema as pandera writes it; `types` of texts, integers and numbers if it needs any."""
    names = ("string", "integer", "number")
    columns = {}
    for name, rule in SCHEMA["properties"].items():
        checks = []
        if "pattern" in rule:
            checks.append(pa.Check.str_matches(rule["pattern"]))
        if "enum" in rule:
            checks.append(pa.Check.isin(rule["enum"]))
        if "minimum" in rule:
            checks.append(pa.Check.in_range(rule["minimum"], rule["maximum"]))
        if "exclusiveMinimum" in rule:
            checks.append(pa.Check.in_range(rule["exclusiveMinimum"], rule["maximum"], include_min=False))
        if "maxLength" in rule:
            checks.append(pa.Check.str_length(rule["minLength"], rule["maxLength"]))
        kind = None if not types or "format" in rule else types[names.index(rule["type"])]
        key = rule.get("isPrimaryKey", False)
        columns[name] = pa.Column(kind, checks, unique=key, report_duplicates="exclude_first")
    return pa.DataFrameSchema(columns)


def _kind_of(check: str) -> str:
    """The kind of error that a failed check of pandera stands for."""
    kinds = {"not_nullable": "required", "field_uniqueness": "duplicate", "str_matches": "pattern",
             "isin": "enum", "in_range": "range", "str_length": "length"}  # fmt: skip
    return kinds[check.partition("(")[0]]


def _polars(source: Path, folder: Path, judge: Callable[[Any], Any] | None) -> None:
    import polars as pl

    if source.suffix == ".csv":
        raw = pl.scan_csv(source, infer_schema=False, null_values=NULLS)
    else:
        raw = pl.scan_parquet(source).with_columns(pl.col(pl.String).replace(dict.fromkeys(NULLS)))
    columns = raw.collect_schema().names()
    texts = pl.col(columns).cast(pl.String)

    def integer(name: str) -> Any:
        return (
            pl.col(name)
            .cast(pl.String)
            .str.extract(r"^\s*([+-]?[0-9]+)(?:\.0*)?\s*$", 1)
            .cast(pl.Int64, strict=False)
        )

    codes: dict[str, Any] = {}

    def code(field: str, *cases: tuple[Any, str]) -> None:
        chain: Any = pl
        for condition, kind in cases:
            if judge is None or kind not in JUDGED:
                chain = chain.when(condition).then(pl.lit(f"{field}:{kind}"))
        found = pl.lit(None, pl.String) if chain is pl else chain.otherwise(None)
        codes[field] = found.alias(f"!{field}")

    parts = ("year", "month", "day")
    numbers = {
        name: integer(name)
        for name in (*parts, "distance", *INTEGERS.values(), *(hhmm for _, hhmm, _, _ in MOMENTS))
    }
    frame = raw.with_columns(**{f"#{name}": number for name, number in numbers.items()}).with_row_index(
        "row_number", 1
    )
    frame = frame.with_columns(
        pl.format(
            "{}-{}-{}",
            *(pl.col(f"#{p}").cast(pl.String).str.zfill(w) for p, w in zip(parts, (4, 2, 2), strict=True)),
        )
        .str.to_date("%Y-%m-%d", strict=False)
        .alias("flight_date")
    )
    not_a_part = pl.any_horizontal(pl.col(p).is_not_null() & pl.col(f"#{p}").is_null() for p in parts)
    given = pl.all_horizontal(pl.col(f"#{p}").is_not_null() for p in parts)
    no_day = pl.col("flight_date").is_null()
    date_cases = ((not_a_part, "type"), (given & no_day, "format"), (no_day, "required"))
    frame = frame.with_columns(
        pl.concat_str(
            pl.col("flight_date").cast(pl.String),
            "carrier",
            pl.col("flight").cast(pl.String),
            "origin",
            separator="-",
        ).alias("flight_id"),
        pl.col("carrier").replace_strict(CARRIERS, default=None).alias("carrier_name"),
        (pl.col("#distance") * 1.609344).alias("distance_km"),
        *(pl.col(f"#{column}").alias(field) for field, column in INTEGERS.items() if field != column),
    )
    code("flight_date", *date_cases)
    flight_id = pl.col("flight_id")
    code(
        "flight_id",
        (no_day, ""),
        (flight_id.is_null(), "required"),
        (~flight_id.str.contains(PATTERNS["flight_id"]), "pattern"),
    )
    code(
        "carrier",
        (pl.col("carrier").is_null(), "required"),
        (~pl.col("carrier").is_in(list(CARRIERS)), "enum"),
    )
    code(
        "carrier_name",
        (pl.col("carrier").is_null(), "required"),
        (pl.col("carrier").is_not_null() & pl.col("carrier_name").is_null(), "lookup"),
    )
    for field, column in (("tail_number", "tailnum"), ("destination", "dest")):
        code(
            field,
            (pl.col(column).is_null(), "required"),
            (~pl.col(column).str.contains(PATTERNS[field]), "pattern"),
        )
    code("origin", (pl.col("origin").is_null(), "required"), (~pl.col("origin").is_in(ORIGINS), "enum"))
    for field, column in INTEGERS.items():
        rule, value = SCHEMA["properties"][field], pl.col(f"#{column}")
        code(
            field,
            (pl.col(column).is_null(), "required"),
            (pl.col(column).is_not_null() & value.is_null(), "type"),
            (~value.is_between(rule["minimum"], rule["maximum"]), "range"),
        )
    km = pl.col("distance_km")
    code(
        "distance_km",
        (pl.col("distance").is_null(), "required"),
        (pl.col("distance").is_not_null() & km.is_null(), "type"),
        ((km <= 0) | (km > 20040), "range"),
    )
    for field, hhmm, start, tolerance in MOMENTS:
        reading = pl.col(f"#{hhmm}")
        valid = reading.is_between(0, 2400) & (reading % 100 < 60)
        minutes = pl.when(valid).then(reading // 100 * 60 + reading % 100)
        moment = pl.col("flight_date").cast(pl.Datetime("us")) + pl.duration(minutes=minutes)
        if start:
            begin = pl.col(start) - timedelta(minutes=tolerance)
            moment = begin + pl.duration(
                microseconds=(moment - begin).dt.total_microseconds() % 86_400_000_000
            )
        frame = frame.with_columns(moment.alias(field))
        blocked = ((pl.col(start).is_null(), ""),) if start else ()
        code(
            field,
            *blocked,
            *date_cases[:2],
            (pl.col(hhmm).is_not_null() & reading.is_null(), "type"),
            (reading.is_not_null() & ~valid, "format"),
            (pl.col(field).is_null(), "required"),
        )
    again = ~flight_id.is_first_distinct() & flight_id.is_not_null()
    if judge is not None:
        again = pl.lit(False)
    codes["flight_id "] = (
        pl.when(again).then(pl.lit("flight_id:duplicate")).otherwise(None).alias("!duplicate")
    )
    names = {
        "tail_number": "tailnum",
        "destination": "dest",
        **{field: f"#{column}" for field, column in INTEGERS.items()},
    }
    target = [pl.col(names.get(field, field)).alias(field) for field in FIELDS]
    marks = [f"!{field}" for field in FIELDS] + ["!duplicate"]
    every = frame.with_columns(*codes.values())
    bad = pl.any_horizontal(pl.col(mark).is_not_null() & ~pl.col(mark).str.ends_with(":") for mark in marks)
    if judge is None:
        done = every.with_columns(bad.alias("!bad")).collect(engine="streaming")
    else:
        done = every.collect(engine="streaming")
        done = _with_failures(done, judge(done.select(target)), again=flight_id)
        done = done.with_columns(bad.alias("!bad"))
    done.lazy().filter(~pl.col("!bad")).select(target).collect().write_parquet(folder / "mapped.parquet")
    done.lazy().filter("!bad").select(
        "row_number",
        pl.concat_list(marks).list.drop_nulls().alias("errors"),
        pl.struct(texts).struct.json_encode().alias("source_record"),
    ).with_columns(
        pl.col("errors").list.eval(pl.element().filter(~pl.element().str.ends_with(":")))
    ).collect().write_parquet(folder / "rejects.parquet")


def _with_failures(done: Any, failures: Any, *, again: Any) -> Any:
    """The marks of the mapping with those of a schema where there was none."""
    import polars as pl

    if failures is None:
        return done
    done = done.with_columns((pl.col("row_number") - 1).cast(pl.Int32).alias("!index"))
    for (field, check), rows in failures.group_by("column", "check"):
        kind = _kind_of(check)
        mark = "!duplicate" if kind == "duplicate" else f"!{field}"
        failed = pl.col("!index").is_in(rows["index"].implode())
        if kind == "duplicate":  # pandera on Polars tells every row of a key
            failed &= ~again.is_first_distinct() & again.is_not_null()
        found = pl.when(pl.col(mark).is_null() & failed).then(pl.lit(f"{field}:{kind}"))
        done = done.with_columns(found.otherwise(pl.col(mark)).alias(mark))
    return done


def pandas(source: Path, folder: Path) -> None:
    """Pandas' vectorised operations on whole columns."""
    _pandas(source, folder, None)


def pandera_pandas(source: Path, folder: Path) -> None:
    """Pandas maps, and a schema of pandera judges what came out."""
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors

    schema = _pandera_schema(pa)

    def judge(target: Any) -> Any:
        try:
            schema.validate(target, lazy=True)
        except SchemaErrors as problem:
            return problem.failure_cases[["column", "check", "index"]]
        return None

    _pandas(source, folder, judge)


def _pandas(source: Path, folder: Path, judge: Callable[[Any], Any] | None) -> None:
    import pandas as pd

    if source.suffix == ".csv":
        raw = pd.read_csv(source, dtype=str, keep_default_na=False, na_values=NULLS)
    else:
        raw = pd.read_parquet(source).replace(dict.fromkeys(NULLS))
    marks: dict[str, Any] = {}

    def code(field: str, *cases: tuple[Any, str]) -> None:
        mark = pd.Series(None, index=raw.index, dtype="str")
        for condition, kind in reversed(cases):
            if judge is None or kind not in JUDGED:
                applies = condition() if callable(condition) else condition
                mark[applies.fillna(False).astype(bool)] = f"{field}:{kind}"
        marks[field] = mark

    def integer(name: str) -> Any:
        number = pd.to_numeric(raw[name], errors="coerce").astype("Float64")
        return number.where(number == number.round()).astype("Int64")

    parts = ("year", "month", "day")
    columns = (*parts, "distance", *INTEGERS.values(), *(hhmm for _, hhmm, _, _ in MOMENTS))
    numbers = {name: integer(name) for name in columns}
    frame = {
        "carrier": raw["carrier"],
        "origin": raw["origin"],
        "tail_number": raw["tailnum"],
        "destination": raw["dest"],
    }
    day = pd.to_datetime(pd.DataFrame({part: numbers[part] for part in parts}), errors="coerce").astype(
        "datetime64[us]"
    )
    no_day = day.isna()
    not_a_part = sum((raw[p].notna() & numbers[p].isna()).astype(int) for p in parts) > 0
    given = sum(numbers[p].isna().astype(int) for p in parts) == 0
    date_cases = ((not_a_part, "type"), (given & no_day, "format"), (no_day, "required"))
    code("flight_date", *date_cases)
    text = day.dt.strftime("%Y-%m-%d")
    frame["flight_id"] = (
        text
        + "-"
        + raw["carrier"]
        + "-"
        + raw["flight"].astype(str).where(raw["flight"].notna())
        + "-"
        + raw["origin"]
    )
    frame["flight_date"] = day
    frame["carrier_name"] = raw["carrier"].map(CARRIERS)
    frame["distance_km"] = numbers["distance"] * 1.609344
    code(
        "flight_id",
        (no_day, ""),
        (frame["flight_id"].isna(), "required"),
        (lambda: ~frame["flight_id"].str.contains(PATTERNS["flight_id"], na=True), "pattern"),
    )
    code(
        "carrier", (raw["carrier"].isna(), "required"), (lambda: ~raw["carrier"].isin(list(CARRIERS)), "enum")
    )
    code(
        "carrier_name",
        (raw["carrier"].isna(), "required"),
        (raw["carrier"].notna() & frame["carrier_name"].isna(), "lookup"),
    )
    for field in ("tail_number", "destination"):
        code(
            field,
            (frame[field].isna(), "required"),
            (lambda field=field: ~frame[field].str.contains(PATTERNS[field], na=True), "pattern"),
        )
    code("origin", (raw["origin"].isna(), "required"), (lambda: ~raw["origin"].isin(ORIGINS), "enum"))
    for field, column in INTEGERS.items():
        frame[field], rule = numbers[column], SCHEMA["properties"][field]

        def outside(field: str = field, rule: dict[str, Any] = rule) -> Any:
            return ~frame[field].between(rule["minimum"], rule["maximum"])

        code(
            field,
            (raw[column].isna(), "required"),
            (raw[column].notna() & frame[field].isna(), "type"),
            (outside, "range"),
        )
    km = frame["distance_km"]
    code(
        "distance_km",
        (raw["distance"].isna(), "required"),
        (raw["distance"].notna() & km.isna(), "type"),
        (lambda: (km <= 0) | (km > 20040), "range"),
    )
    for field, hhmm, start, tolerance in MOMENTS:
        reading = numbers[hhmm]
        valid = reading.between(0, 2400) & (reading % 100 < 60)
        minutes = (reading // 100 * 60 + reading % 100).where(valid)
        moment = day + pd.to_timedelta(minutes.astype("float64"), unit="min")
        if start:
            begin = frame[start] - pd.Timedelta(minutes=tolerance)
            moment = begin + (moment - begin) % pd.Timedelta(days=1)
        frame[field] = moment.astype("datetime64[us]")
        blocked = ((frame[start].isna(), ""),) if start else ()
        code(
            field,
            *blocked,
            *date_cases[:2],
            (raw[hhmm].notna() & reading.isna(), "type"),
            (reading.notna() & ~valid, "format"),
            (frame[field].isna(), "required"),
        )
    duplicate = pd.Series(None, index=raw.index, dtype="str")
    target = pd.DataFrame({field: frame[field] for field in FIELDS})
    if judge is None:
        duplicate[target["flight_id"].duplicated() & target["flight_id"].notna()] = "flight_id:duplicate"
    elif (failures := judge(target)) is not None:
        for (field, check), rows in failures.groupby(["column", "check"]):
            kind = _kind_of(check)
            mark = duplicate if kind == "duplicate" else marks[field]
            index = rows["index"].astype("int64")
            value = f"{field}:{kind}"
            if kind == "duplicate":
                index = index[target["flight_id"].loc[index].notna().to_numpy()]
            free = mark.loc[index].isna().to_numpy()
            mark.loc[index[free]] = value
    table = pd.DataFrame({**{field: marks[field] for field in FIELDS}, "duplicate": duplicate})
    real = table.where(~table.isin([f"{field}:" for field in FIELDS]))
    bad = real.notna().any(axis=1)
    target[~bad].to_parquet(folder / "mapped.parquet", index=False)
    rejects = real[bad]
    pd.DataFrame({
        "row_number": rejects.index + 1,
        "errors": [[kind for kind in row if isinstance(kind, str)] for row in rejects.itertuples(index=False)],
        "source_record": [json.dumps(record, default=str) for record in raw[bad].astype(object).where(raw[bad].notna(), None).to_dict("records")],
    }).to_parquet(folder / "rejects.parquet", index=False)  # fmt: skip


# One record after the other


def _records(source: Path) -> Iterator[dict[str, str]]:
    with source.open(newline="") as file:
        yield from csv.DictReader(file)


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _moment(day: date | None, text: str | None, start: datetime | None, tolerance: int) -> datetime | None:
    reading = None if text is None else _integer(text)
    if day is None or reading is None or not 0 <= reading <= 2400 or reading % 100 >= 60:
        return None
    moment = datetime(day.year, day.month, day.day) + timedelta(minutes=reading // 100 * 60 + reading % 100)  # noqa: DTZ001
    if start is None:
        return moment
    begin = start - timedelta(minutes=tolerance)
    return begin + (moment - begin) % timedelta(minutes=DAY)


def _mapped(record: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """A target record, without the fields that have no value; and the errors that the mapping itself found."""
    get: dict[str, str | None] = {name: None if text in NULLS else text for name, text in record.items()}
    errors: dict[str, str] = {}
    day = None
    parts = [get[part] for part in ("year", "month", "day")]
    if None not in parts:
        try:
            day = date(*(int(part) for part in parts if part is not None))
        except ValueError:
            wrong = any(part is not None and _integer(part) is None for part in parts)
            errors["flight_date"] = "type" if wrong else "format"
    out: dict[str, Any] = {"flight_date": day, "carrier": get["carrier"], "origin": get["origin"],
                           "tail_number": get["tailnum"], "destination": get["dest"]}  # fmt: skip
    key = (get["carrier"], get["flight"], get["origin"])
    if day is None:
        errors["flight_id"] = ""
    elif None not in key:
        out["flight_id"] = "-".join((day.isoformat(), *(part for part in key if part is not None)))
    if get["carrier"] is not None:
        out["carrier_name"] = CARRIERS.get(get["carrier"])
        if out["carrier_name"] is None:
            errors["carrier_name"] = "lookup"
    for field, column in INTEGERS.items():
        text = get[column]
        if text is not None:
            number = _integer(text)
            out[field] = text if number is None else number
    distance = get["distance"]
    if distance is not None:
        out["distance_km"] = float(distance) * 1.609344
    for field, hhmm, start, tolerance in MOMENTS:
        if start and out.get(start) is None:
            errors[field] = ""
            continue
        moment = _moment(day, get[hhmm], out[start] if start else None, tolerance)
        if moment is None and get[hhmm] is not None:
            reading = _integer(get[hhmm] or "")
            errors[field] = errors.get("flight_date") or ("type" if reading is None else "format")
        out[field] = moment
    return {name: value for name, value in out.items() if value is not None}, errors


def _per_record(
    source: Path, folder: Path, violations: Callable[[dict[str, Any]], Iterator[tuple[str, str]]]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string()}
    formats = {"date": pa.date32(), "date-time-local": pa.timestamp("us")}
    rules = SCHEMA["properties"].items()
    schema = pa.schema(
        [(name, formats.get(rule.get("format", ""), kinds[rule["type"]])) for name, rule in rules]
    )
    good: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    seen: set[str] = set()
    with pq.ParquetWriter(folder / "mapped.parquet", schema) as writer:
        for number, record in enumerate(_records(source), 1):
            target, errors = _mapped(record)
            found = [f"{field}:{kind}" for field, kind in violations(target) if field not in errors]
            found += [f"{field}:{kind}" for field, kind in errors.items() if kind]
            key = target.get("flight_id")
            if key in seen:
                found.append("flight_id:duplicate")
            elif key is not None:
                seen.add(key)
            if found:
                rejects.append({"row_number": number, "errors": found, "source_record": json.dumps(record)})
            else:
                good.append(target)
            if len(good) == 50_000:
                writer.write_table(pa.Table.from_pylist(good, schema))
                good.clear()
        writer.write_table(pa.Table.from_pylist(good, schema))
    pq.write_table(pa.Table.from_pylist(rejects), folder / "rejects.parquet")


_KINDS = {
    "minLength": "length",
    "maxLength": "length",
    "minimum": "range",
    "maximum": "range",
    "exclusiveMinimum": "range",
}


def jsonschema_rs(source: Path, folder: Path) -> None:
    """One record after the other through the schema itself, by jsonschema-rs."""
    import jsonschema_rs as js

    validator = js.Draft202012Validator({**SCHEMA, "additionalProperties": True})

    def violations(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
        texts = {
            name: value if isinstance(value, (str, int, float)) else value.isoformat()
            for name, value in record.items()
        }
        for error in validator.iter_errors(texts):
            keyword = error.schema_path[-1]
            if keyword == "required":
                yield error.message.split('"')[1], "required"
            else:
                yield str(error.instance_path[0]), _KINDS.get(str(keyword), str(keyword))

    _per_record(source, folder, violations)


def pydantic(source: Path, folder: Path) -> None:
    """One record after the other through a pydantic model."""
    from typing import Annotated, Literal

    from pydantic import Field, ValidationError, create_model

    fields: dict[str, Any] = {}
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": float}
    formats: dict[str, Any] = {"date": date, "date-time-local": datetime}
    limits = {
        "pattern": "pattern",
        "minLength": "min_length",
        "maxLength": "max_length",
        "minimum": "ge",
        "maximum": "le",
        "exclusiveMinimum": "gt",
    }
    for name, rule in SCHEMA["properties"].items():
        kind = (
            Literal[tuple(rule["enum"])]
            if "enum" in rule
            else formats.get(rule.get("format"), kinds[rule["type"]])
        )
        options = {limits[word]: value for word, value in rule.items() if word in limits}
        fields[name] = (Annotated[kind, Field(**options)] if options else kind, ...)
    validator = create_model("Flight", **fields).__pydantic_validator__
    types = {
        "missing": "required",
        "literal_error": "enum",
        "string_pattern_mismatch": "pattern",
        "int_parsing": "type",
    }

    def violations(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
        try:
            validator.validate_python(record)
        except ValidationError as problem:
            for error in problem.errors(include_url=False, include_context=False, include_input=False):
                kind = "range" if error["type"].startswith(("greater", "less")) else error["type"]
                yield str(error["loc"][0]), types.get(kind, kind)

    _per_record(source, folder, violations)


JOBS: dict[str, Callable[[Path, Path], None]] = {
    "raw copy": raw_copy, "Polars": polars, "pandas": pandas, "pandera/Polars": pandera_polars,
    "pandera/pandas": pandera_pandas, "jsonschema-rs": jsonschema_rs, "pydantic": pydantic,
}  # fmt: skip
NEEDS = {
    "Polars": "polars", "pandas": "pandas", "pandera/Polars": "pandera.polars", "pandera/pandas": "pandera.pandas",
    "jsonschema-rs": "jsonschema_rs", "pydantic": "pydantic",
}  # fmt: skip
"""What a job imports before its time runs."""
VECTORISED = ("Polars", "pandas", "pandera/Polars", "pandera/pandas")
PER_RECORD = ("jsonschema-rs", "pydantic")
