"""The visitor that turns the nodes of a plan into DuckDB expressions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lume_dagster.engine import plan as p
from lume_dagster.engine.pattern import SPACE
from lume_dagster.engine.schema import (
    Bound,
    Constraint,
    DistinctItems,
    EachItem,
    ItemCount,
    Length,
    Matches,
    MultipleOf,
    OneOf,
    Scalar,
    TargetField,
    ValueConstraint,
)
from lume_dagster.engine.sql import literal, number
from lume_dagster.engine.values import CAST_RULES, JSON_LIST, JSON_SCALAR, ValueType, date_format

SQL_TYPES: dict[ValueType, str] = {
    ValueType.TEXT: "VARCHAR",
    ValueType.INTEGER: "BIGINT",
    ValueType.NUMBER: "DOUBLE",
    ValueType.BOOLEAN: "BOOLEAN",
    ValueType.DATE: "DATE",
    ValueType.INSTANT: "TIMESTAMPTZ",
    ValueType.TIMESTAMP: "TIMESTAMP",
    ValueType.TIME: "TIME",
}
_ITEM = "item"
_TEMPORAL = frozenset({ValueType.DATE, ValueType.INSTANT, ValueType.TIMESTAMP, ValueType.TIME})
_DAY_US = 24 * 60 * 60 * 1_000_000
_MINUTE_US = 60 * 1_000_000
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first and the last microsecond of the years 1 to 9999, from 1970."""
_BRANCHES = 32
_Entries = Sequence[tuple[str, str]]


def sql_type(field: TargetField) -> str:
    """The type of a field's values."""
    return SQL_TYPES[field.type] if field.items is None else f"{SQL_TYPES[field.items.type]}[]"


class ExpressionVisitor:
    """Makes the SQL expression of a node.

    Args:
        named: What a node is called where a layer below has computed it already; asked for every node first.
    """

    def __init__(self, named: Callable[[p.Node], str | None]) -> None:
        self._named = named

    def visit(self, node: p.Node) -> str:
        """The expression of a node, or its name where it has one."""
        return self._named(node) or self.expand(node)

    def expand(self, node: p.Node) -> str:
        """The expression of a node itself, with names for what it is made of."""
        method: Callable[[p.Node], str] = getattr(self, f"_visit_{type(node).__name__.lower()}")
        return method(node)

    def _visit_literal(self, node: p.Literal) -> str:
        return literal(node.text)

    def _visit_parse(self, node: p.Parse) -> str:
        return parse_text(self.visit(node.source), node.type)

    def _visit_parseformats(self, node: p.ParseFormats) -> str:
        text = self.visit(node.source)
        sql_type = "TIMESTAMP" if node.type is ValueType.INSTANT else SQL_TYPES[node.type]
        tried = []
        for written in node.formats:
            form = date_format(written, node.type)
            # What does not match is replaced as a whole by what remains of an ISO text without its parts.
            pattern = f"(?:{form.pattern}|^(?s:.*)$)"
            iso = f"regexp_replace({text}, {literal(pattern)}, {literal(form.iso)})"
            if form.strptime is not None:
                iso = f"try_strptime({iso}, {literal(form.strptime)})"
            tried.append(f"TRY_CAST({iso} AS {sql_type})")
        value = f"coalesce({', '.join(tried)})" if len(tried) > 1 else tried[0]
        return f"CAST({value} AS TIMESTAMPTZ)" if node.type is ValueType.INSTANT else value

    def _visit_render(self, node: p.Render) -> str:
        value = self.visit(node.source)
        if node.source.type is ValueType.LIST:
            return f"CAST(to_json({value}) AS VARCHAR)"
        if node.source.type is ValueType.TIMESTAMP:
            return f"replace(CAST({value} AS VARCHAR), ' ', 'T')"
        if node.source.type is ValueType.INSTANT:
            return f"replace(CAST(make_timestamp(epoch_us({value})) AS VARCHAR), ' ', 'T') || 'Z'"
        return value if node.source.type is ValueType.TEXT else f"CAST({value} AS VARCHAR)"

    def _visit_convert(self, node: p.Convert) -> str:
        value = self.visit(node.source)
        if node.source.type is ValueType.INSTANT:
            return f"make_timestamp(epoch_us({value}))"
        if node.source.type is ValueType.NUMBER:
            return f"CASE WHEN {value} = trunc({value}) THEN TRY_CAST({value} AS BIGINT) END"
        return f"CAST({value} AS {SQL_TYPES[node.type]})"

    def _visit_lookup(self, node: p.Lookup) -> str:
        key = self.visit(node.key)
        entries = [(literal(name), literal(value)) for name, value in sorted(node.entries)]
        table = _halved(key, entries, _translated)
        if node.otherwise is None:
            return table
        return f"CASE WHEN {key} IS NOT NULL THEN coalesce({table}, {literal(node.otherwise)}) END"

    def _visit_concat(self, node: p.Concat) -> str:
        between = f", {literal(node.separator)}, " if node.separator else ", "
        there = [
            f"{self.visit(part.source if isinstance(part, p.Render) else part)} IS NOT NULL"
            for part in node.parts
            if not isinstance(part, p.Literal)
        ]
        # One concat, as each || would write out all that is on its left once more.
        text = f"concat({between.join(self.visit(part) for part in node.parts)})"
        return f"CASE WHEN {' AND '.join(there)} THEN {text} END" if there else text

    def _visit_makedate(self, node: p.MakeDate) -> str:
        year, month, day = (self.visit(part) for part in (node.year, node.month, node.day))
        leap = f"({year} % 4 = 0 AND ({year} % 100 <> 0 OR {year} % 400 = 0))"
        last = f"(28 + CASE WHEN {month} <> 2 THEN 2 + ({month} + {month} // 8) % 2 WHEN {leap} THEN 1 ELSE 0 END)"
        valid = (
            f"{year} BETWEEN 1 AND 9999 AND {month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND 31"
            f" AND ({day} <= 28 OR {day} <= {last})"
        )
        return f"CASE WHEN {valid} THEN make_date({year}, {month}, {day}) END"

    def _visit_clockminutes(self, node: p.ClockMinutes) -> str:
        reading = self.visit(node.reading)
        valid = f"{reading} BETWEEN 0 AND 2400 AND {reading} % 100 < 60"
        return f"CASE WHEN {valid} THEN {reading} // 100 * 60 + {reading} % 100 END"

    def _visit_moment(self, node: p.Moment) -> str:
        return _timestamp(self._moment_us(node))

    def _moment_us(self, node: p.Node) -> str:
        if isinstance(node, p.Moment) and self._named(node) is None:
            day = f"epoch_us({self.visit(node.date)})"
            return f"({day} + {self.visit(node.minutes)} * {_MINUTE_US})"
        return f"epoch_us({self.visit(node)})"

    def _visit_withindayfrom(self, node: p.WithinDayFrom) -> str:
        start = f"(epoch_us({self.visit(node.start)}) - {node.tolerance_minutes * _MINUTE_US})"
        ahead = f"(({self._moment_us(node.moment)} - {start}) % {_DAY_US})"
        return _timestamp(f"({start} + ({ahead} + {_DAY_US}) % {_DAY_US})")

    def _visit_timeofday(self, node: p.TimeOfDay) -> str:
        minutes = self.visit(node.minutes)
        return f"make_time(({minutes} % 1440) // 60, {minutes} % 60, 0)"

    def _visit_number(self, node: p.Number) -> str:
        return number(node.value, "DOUBLE")

    def _visit_arithmetic(self, node: p.Arithmetic) -> str:
        return f"({self.visit(node.left)} {node.operator} {self.visit(node.right)})"

    def _visit_negate(self, node: p.Negate) -> str:
        return f"(- {self.visit(node.operand)})"

    def _visit_round(self, node: p.Round) -> str:
        return f"round({self.visit(node.operand)}, {node.decimals})"

    def _visit_finite(self, node: p.Finite) -> str:
        return _finite(self.visit(node.operand))

    def _visit_coalesce(self, node: p.Coalesce) -> str:
        return f"coalesce({', '.join(self.visit(part) for part in node.parts)})"

    def _visit_split(self, node: p.Split) -> str:
        return (
            f"list_extract(string_split({self.visit(node.source)}, {literal(node.separator)}), {node.part})"
        )

    def _visit_splitall(self, node: p.SplitAll) -> str:
        return f"string_split({self.visit(node.source)}, {literal(node.separator)})"

    def _visit_collect(self, node: p.Collect) -> str:
        parts = ", ".join(self.visit(part) for part in node.parts)
        there = f"list_filter([{parts}], lambda {_ITEM}: {_ITEM} IS NOT NULL)"
        return f"CASE WHEN coalesce({parts}) IS NOT NULL THEN {there} END"

    def _visit_jsonitems(self, node: p.JsonItems) -> str:
        text = self.visit(node.source)
        # What the pattern of a value captures is JSON in any text, so that unquoting it cannot fail.
        item = (
            f"CASE WHEN starts_with({_ITEM}, '\"') THEN json_extract_string({_ITEM}, '$')"
            f" WHEN {_ITEM} <> 'null' THEN {_ITEM} END"
        )
        items = _each(f"regexp_extract_all({text}, {literal(JSON_SCALAR)})", item)
        return f"CASE WHEN regexp_matches({text}, {literal(JSON_LIST)}) THEN {items} END"

    def _visit_parseitems(self, node: p.ParseItems) -> str:
        texts, kind = self.visit(node.source), node.items.type
        values = texts if kind is ValueType.TEXT else _each(texts, _parsed(_ITEM, kind))
        wrong = "false" if node.items.nullable else f"list_count({values}) < len({texts})"
        if node.items.nullable and kind is not ValueType.TEXT:
            wrong = f"list_count({values}) < list_count({texts})"
        return f"CASE WHEN NOT ({wrong}) THEN {values} END"

    def _visit_capture(self, node: p.Capture) -> str:
        text, pattern = self.visit(node.source), literal(node.re2)
        return f"CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}, {node.group}) END"

    def _visit_numbertext(self, node: p.NumberText) -> str:
        text, style = self.visit(node.source), node.style
        plain = text
        for sign in sorted(style.currencies, key=len, reverse=True):
            plain = f"replace({plain}, {literal(sign)}, '')"
        plain = f"regexp_replace({plain}, {literal(f'[^-+(%0-9{style.decimal}]')}, '', 'g')"
        for old, new in ((style.decimal, "."), ("(", "-"), ("%", "e-2")):
            plain = f"replace({plain}, {literal(old)}, {literal(new)})"
        return f"CASE WHEN regexp_matches({text}, {literal(style.pattern)}) THEN {plain} END"

    def _visit_words(self, node: p.Words) -> str:
        word = f"lower(trim({self.visit(node.source)}, {literal(_BLANKS)}))"
        cases = [
            f"WHEN lower({literal(known)}) THEN {value}"
            for value, words in (("true", node.true), ("false", node.false))
            for known in words
        ]
        return f"CASE {word} {' '.join(cases)} END"

    def _visit_textstep(self, node: p.TextStep) -> str:
        text = self.visit(node.source)
        arguments = [literal(a) if isinstance(a, str) else a for a in node.arguments]
        step = _TEXT_STEPS[node.function]
        if node.type is not ValueType.LIST:
            return step.format(text, *arguments)
        if node.function == "empty_to_null":
            return f"list_filter({text}, lambda {_ITEM}: {_ITEM} IS NULL OR {_ITEM} <> '')"
        return _each(text, step.format(_ITEM, *arguments))

    def _visit_aggregate(self, node: p.Aggregate) -> str:
        parts = [self.visit(part) for part in node.parts]
        if node.function == "count":
            return f"({' + '.join(f'CAST({part} IS NOT NULL AS BIGINT)' for part in parts)})"
        value = self._aggregate(node, parts)
        failed = [
            f"({self.visit(source)} IS NOT NULL AND {part} IS NULL)"
            for source, part in zip(node.sources, parts, strict=False)
        ]
        none = " OR ".join([f"coalesce({', '.join(parts)}) IS NULL", *failed])
        return f"CASE WHEN NOT ({none}) THEN {value} END"

    @staticmethod
    def _aggregate(node: p.Aggregate, parts: Sequence[str]) -> str:
        if node.function == "join":
            return f"concat_ws({literal(node.separator)}, {', '.join(parts)})"
        if node.function != "sum":
            return f"{'least' if node.function == 'min' else 'greatest'}({', '.join(parts)})"
        sql_type = "HUGEINT" if node.type is ValueType.INTEGER else "DOUBLE"
        total = " + ".join(f"coalesce(CAST({part} AS {sql_type}), 0)" for part in parts)
        return f"TRY_CAST({total} AS BIGINT)" if node.type is ValueType.INTEGER else _finite(f"({total})")

    def _visit_nameuuid(self, node: p.NameUuid) -> str:
        parts = [self.visit(part) for part in node.parts]
        if len(parts) > 1:
            parts = [f"length({part}) || ':' || {part}" for part in parts]
        namespace = literal(node.namespace.replace("-", ""))
        digest = f"sha1(unhex({namespace}) || encode({' || '.join(parts)}))"
        # Version 5 takes the place of a digit, and the variant that of two bits.
        layout = literal(r"\1-\2-5\3-~\4\5-\6")
        text = f"regexp_replace({digest}, {literal(_UUID_DIGITS)}, {layout})"
        for digits, variant in zip(("048c", "159d", "26ae", "37bf"), "89ab", strict=True):
            text = f"regexp_replace({text}, '~[{digits}]', '{variant}')"
        return text

    def _visit_atzone(self, node: p.AtZone) -> str:
        moment, zone = self.visit(node.source), literal(node.zone)
        cases = []
        for sign in ("-", "+"):
            # The offset of the day before or after, which is that of the moment unless the clocks change there.
            near = f"({moment} {sign} INTERVAL 1 DAY)"
            shown = f"timezone({zone}, CAST({near} AS TIMESTAMPTZ))"
            guess = f"(epoch_us({moment}) - (epoch_us({shown}) - epoch_us({near})))"
            instant = f"CAST({_timestamp(guess)} AS TIMESTAMPTZ)"
            cases.append(f"WHEN timezone({zone}, {instant}) = {moment} THEN {instant}")
        return f"CASE {' '.join(cases)} END"

    def _visit_compare(self, node: p.Compare) -> str:
        operator = "<>" if node.operator == "!=" else node.operator
        return f"({self.visit(node.left)} {operator} {self.visit(node.right)})"

    def _visit_logic(self, node: p.Logic) -> str:
        return f"({self.visit(node.left)} {node.operator.upper()} {self.visit(node.right)})"

    def _visit_not(self, node: p.Not) -> str:
        return f"(NOT {self.visit(node.operand)})"


_BLANKS = " \t\n\v\f\r"
_SPACE = SPACE.replace("{", "{{").replace("}", "}}")
_UUID_DIGITS = "^(.{8})(.{4}).(.{3})(.)(.{3})(.{12}).*$"
_TEXT_STEPS: dict[str, str] = {
    "trim": f"regexp_replace({{0}}, '^[{_SPACE}]+|[{_SPACE}]+$', '', 'g')",
    "upper": "upper({0})",
    "lower": "lower({0})",
    "collapse_spaces": f"regexp_replace({{0}}, '[{_SPACE}]+', ' ', 'g')",
    "strip_accents": "strip_accents({0})",
    "empty_to_null": "nullif({0}, '')",
    "replace": "replace({0}, {1}, {2})",
    "pad_left": "CASE WHEN length({0}) < {1} THEN lpad({0}, {1}, {2}) ELSE {0} END",
    "pad_right": "CASE WHEN length({0}) < {1} THEN rpad({0}, {1}, {2}) ELSE {0} END",
    "truncate": "substring({0}, 1, {1})",
}
"""The expression of each text step; {0} is the text, {1} and {2} are the arguments."""


def parse_text(text: str, value_type: ValueType) -> str:
    """The expression that casts a text by the table of cast rules.

    Kept free of CASE: so it is evaluated once for each distinct value of a dictionary, not for each row. A number
    may come out infinite here; the compiler sifts that in a layer of its own.
    """
    captured = f"regexp_extract({text}, {literal(CAST_RULES[value_type].pattern)}, 1)"
    if value_type is ValueType.INSTANT:  # DuckDB 1 reads no offset behind a time without seconds
        captured = f"regexp_replace({captured}, '^(.{{16}})([Z+-])', '\\1:00\\2')"
    return f"TRY_CAST({captured} AS {SQL_TYPES[value_type]})"


def _parsed(text: str, value_type: ValueType) -> str:
    """The value of a text, finite if it is a number."""
    value = parse_text(text, value_type)
    return _finite(value) if value_type is ValueType.NUMBER else value


def _each(values: str, item: str) -> str:
    """A list of what an expression gives for each item of another."""
    return f"list_transform({values}, lambda {_ITEM}: {item})"


def _finite(value: str) -> str:
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _timestamp(microseconds: str) -> str:
    valid = f"{microseconds} BETWEEN {_FIRST_US} AND {_LAST_US}"
    return f"CASE WHEN {valid} THEN make_timestamp({microseconds}) END"


def _halved(value: str, entries: _Entries, among_few: Callable[[str, _Entries], str]) -> str:
    """A choice among sorted entries; halved until few are left, so that a large table costs few comparisons.

    Not a join: that would lose the order of the rows.
    """
    if len(entries) <= _BRANCHES:
        return among_few(value, entries)
    middle = len(entries) // 2
    low, high = (_halved(value, half, among_few) for half in (entries[:middle], entries[middle:]))
    return f"CASE WHEN {value} < {entries[middle][0]} THEN {low} ELSE {high} END"


# Functions of one text, not a CASE: so they are evaluated once for each distinct value of a dictionary.


def _translated(value: str, entries: _Entries) -> str:
    pairs = ", ".join(f"{key}: {translated}" for key, translated in entries)
    return f"map_extract_value(MAP {{{pairs}}}, {value})" if entries else literal(None)


def _is_listed(value: str, entries: _Entries) -> str:
    # Not list_contains, which the database turns into a join.
    place = f"list_position([{', '.join(option for option, _ in entries)}], {value})"
    return f"CASE WHEN {value} IS NOT NULL THEN {place} IS NOT NULL END"


def holds(constraint: Constraint, value: str, target: TargetField) -> str:
    """The condition that a value fulfils a constraint; null where the value is null.

    Args:
        constraint: The constraint.
        value: Name of the value's column.
        target: The field whose value it is.
    """
    if isinstance(constraint, ItemCount):
        return f"len({value}) {constraint.comparison} {constraint.limit}"
    if isinstance(constraint, DistinctItems):
        # DuckDB leaves nulls out of both counts.
        return f"list_unique({value}) + least(len({value}) - list_count({value}), 1) = len({value})"
    if isinstance(constraint, EachItem):
        item_type = target.items.type if target.items else target.type
        violating = f"lambda {_ITEM}: NOT ({_value_holds(constraint.constraint, _ITEM, item_type)})"
        return f"len(list_filter({value}, {violating})) = 0"
    return _value_holds(constraint, value, target.type)


def _value_holds(constraint: ValueConstraint, value: str, value_type: ValueType) -> str:
    if isinstance(constraint, Matches):
        return f"regexp_matches({value}, {literal(constraint.re2)})"
    if isinstance(constraint, Length):
        return f"length({value}) {constraint.comparison} {constraint.limit}"
    if isinstance(constraint, Bound):
        return f"{value} {constraint.comparison} {_scalar(constraint.limit, value_type)}"
    if isinstance(constraint, MultipleOf):
        return _is_multiple(constraint, value, value_type)
    options = [(_scalar(option, value_type), "true") for option in sorted(constraint.values)]
    if value_type in _TEMPORAL:  # the order of their texts is not that of the values
        return _is_listed(value, options)
    return _halved(value, options, _is_listed)


def _is_multiple(constraint: MultipleOf, value: str, value_type: ValueType) -> str:
    power = 10**constraint.decimals
    whole = constraint.units // math.gcd(constraint.units, power)
    if value_type is ValueType.INTEGER:
        return f"{value} % {whole} = 0"
    units, tens = number(float(constraint.units), "DOUBLE"), number(float(power), "DOUBLE")
    # Products below 2^53 are exact in floats, so that the division gives the float nearest to the decimal number.
    nearest = f"(round({value} * {tens} / {units}) * {units})"
    beyond = "true" if whole == 1 else f"{value} % {number(float(whole), 'DOUBLE')} = 0"
    return (
        f"CASE WHEN abs({nearest}) < {2**53} THEN {nearest} / {tens} = {value}"
        f" WHEN {value} IS NOT NULL THEN {beyond} END"
    )


def message(constraint: Constraint) -> str:  # noqa: PLR0911 - one a constraint
    """What is wrong with a value that violates a constraint, without the value."""
    if isinstance(constraint, EachItem):
        return f"has an item that {message(constraint.constraint)}"
    if isinstance(constraint, ItemCount):
        return (
            f"must have {'at least' if constraint.comparison == '>=' else 'at most'} {constraint.limit} items"
        )
    if isinstance(constraint, DistinctItems):
        return "has two items that are equal"
    if isinstance(constraint, OneOf):
        shown = ", ".join(str(option) for option in constraint.values[:20])
        rest = f" and {len(constraint.values) - 20} more" if len(constraint.values) > 20 else ""
        return f"is none of the options {shown}{rest}"
    if isinstance(constraint, Matches):
        kind = "is not of the format" if constraint.error.value == "format" else "does not match the pattern"
        return f"{kind} {constraint.written}"
    if isinstance(constraint, Length):
        return f"must have {'at least' if constraint.comparison == '>=' else 'at most'} {constraint.limit} characters"
    if isinstance(constraint, MultipleOf):
        return f"is no multiple of {constraint.written}"
    return f"must be {constraint.comparison} {constraint.limit}"


def _scalar(value: Scalar, value_type: ValueType) -> str:
    if isinstance(value, str):
        text = literal(value)
        return text if value_type is ValueType.TEXT else parse_text(text, value_type)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value_type is ValueType.NUMBER:
        return number(float(value), "DOUBLE")
    return str(value)
