"""Compiles a plan to DuckDB statements: layers of projections, each computing what the next one reads."""

# ruff: noqa: S608 - all texts in these statements are literals and names made by sql.py
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lume_dagster.engine import plan as p
from lume_dagster.engine.duckdb_columns import as_text, as_value
from lume_dagster.engine.duckdb_expressions import (
    ExpressionVisitor,
    holds,
    message,
    parse_text,
    sql_type,
)
from lume_dagster.engine.errors import ErrorType
from lume_dagster.engine.schema import TargetColumn, TargetField, fields_of
from lume_dagster.engine.sql import identifier, literal
from lume_dagster.engine.values import CAST_RULES, ValueType, is_value

ERROR_TYPE = "STRUCT(field VARCHAR, type VARCHAR, message VARCHAR, value VARCHAR)"


@dataclass(frozen=True)
class StageLayout:
    """What the compiler has to know of a staged batch.

    Attributes:
        path: The stage, a Parquet file.
        columns: The source columns; the i-th is `c<i>` in the stage.
        types: What they hold if the stage is the batch's own Parquet file; None if all are texts.
        empty_is_null: An empty text is a null in the stage (CSV, where both look alike).
    """

    path: str
    columns: tuple[str, ...]
    types: tuple[ValueType, ...] | None
    empty_is_null: bool

    def type_of(self, column: str) -> ValueType:
        """What a column holds; a text if it is not there."""
        if self.types is None or column not in self.columns:
            return ValueType.TEXT
        return self.types[self.columns.index(column)]


@dataclass(frozen=True)
class _FieldSql:
    """The names and conditions by which the state of one field is read."""

    plan: p.FieldPlan
    blocked: str
    strikes: tuple[str, ...]
    source: p.Node
    present: str
    value: str
    no_value: str
    violations: tuple[str, ...]
    level: int


class DuckDBCompiler:
    """The statements that map one staged batch.

    Args:
        plan: The mapping.
        stage: The batch.

    Rows of the stage are told apart by sets of row numbers, kept as bitstrings in the session variables
    `rejected` and `duplicates`: unlike a join, they leave the order of the rows as it is.
    """

    def __init__(self, plan: p.Plan, stage: StageLayout) -> None:
        self.plan = plan
        self.stage = stage
        self._layers: list[dict[str, str]] = []
        self._names: dict[p.Node, str] = {}
        self._levels: dict[str, int] = {}
        self._floor = 0
        self._visitor = ExpressionVisitor(self._name)
        self._fields: dict[str, _FieldSql] = {}
        for field_plan in plan.fields:
            self._fields[field_plan.target.name] = self._field(len(self._fields), field_plan)

    def repeated_hashes(self, key: p.Key) -> str:
        """A query for the hashes of a key that occur more than once."""
        # Sorted, as that takes less time than groups do when nearly all differ.
        return (
            "SELECT DISTINCT h FROM (SELECT h, lag(h) OVER (ORDER BY h) AS last"
            f" FROM (SELECT {self._key_hash(key)} AS h FROM {self._key_rows(key)})) WHERE h = last"
        )

    def duplicates(self, key: p.Key, hashes: str) -> str:
        """A query for the rows whose key came before, with the row number where it came first.

        Args:
            key: The key.
            hashes: Name of the table that holds the result of `repeated_hashes`.
        """
        return (
            "SELECT row_number, first FROM (SELECT row_number, min(row_number) OVER "
            f"(PARTITION BY {', '.join(self._key_columns(key))}) AS first"
            f" FROM (SELECT *, {self._key_hash(key)} AS h FROM {self._key_rows(key)})"
            f" WHERE h IN (SELECT h FROM {identifier(hashes)})) WHERE row_number > first"
        )

    def mapped(self, reject: str, *, duplicates: bool) -> str:
        """A query for the mapped records in the order of the source.

        Args:
            reject: Name of the function that is told the row number of each other record, and answers false.
            duplicates: Whether the variable `duplicates` holds rows.
        """
        columns = [f"{self._column(column)} AS {identifier(column.name)}" for column in self.plan.columns]
        conditions = ["unparsable IS NOT NULL"]
        if duplicates:
            conditions.append(_in_set("duplicates"))
        for name in self.plan.order:
            field = self._fields[name]
            conditions.append(f"({field.no_value})")
            conditions += [f"({violation})" for violation in field.violations]
            conditions += [f"({lacking})" for lacking in self._lacking(field)]
        conditions += [f"({self._broken(rule)})" for rule in self.plan.rules]
        kept = f"CASE WHEN {' OR '.join(conditions)} THEN {reject}(row_number) ELSE true END AS kept"
        # As the function has side effects, the filter stays above the layer that calls it. DuckDB 1 would push a filter
        # that calls it itself below all layers, each name in it replaced by what the name stands for.
        return (
            f"SELECT {', '.join(columns)}"
            f" FROM (SELECT *, {kept} FROM {self._rows(None, *columns, *conditions)}) WHERE kept"
        )

    @staticmethod
    def no_rejects() -> str:
        """What `rejects` gives where there are none; quicker to plan than a query that finds none."""
        return (
            "SELECT CAST(NULL AS BIGINT) AS row_number, CAST(NULL AS VARCHAR) AS source_record,"
            f" CAST(NULL AS {ERROR_TYPE}[]) AS errors LIMIT 0"
        )

    def rejects(self, *, duplicates: Mapping[p.Key, str], sparse: bool) -> str:
        """A query for the rejected records with all their errors, in the order of the source.

        Args:
            duplicates: Names of the tables that hold the results of `duplicates`, of the keys that have any.
            sparse: Whether they are few among the rows. They are gathered first then, as an expression costs as much
                for the few of a vector as for all of it.
        """
        found_errors = [error for name in self.plan.order for error in self._errors(self._fields[name])]
        found_errors += [
            error for name in self.plan.order for error in self._lacking_errors(self._fields[name])
        ]
        found_errors += [self._rule_error(rule) for rule in self.plan.rules]
        found_errors += [self._duplicate_error(key, f"{table}_first") for key, table in duplicates.items()]
        rows = self._rows(_in_set("rejected") + (" ORDER BY row_number" if sparse else ""), *found_errors)
        for table in duplicates.values():
            earlier = f"(SELECT row_number, first AS {table}_first FROM {identifier(table)})"
            rows = f"(SELECT * FROM {rows} LEFT JOIN {earlier} USING (row_number))"
        order = " ORDER BY row_number" if duplicates else ""
        errors = f"list_filter([{', '.join(found_errors)}], lambda error: error IS NOT NULL)"
        bad_line = f"[{_error(_NO_TEXT, ErrorType.UNPARSABLE, 'unparsable_reason', _NO_TEXT)}]"
        members = ", ".join(
            f"{literal(name)}, {self._stored_text(index)}" for index, name in enumerate(self.stage.columns)
        )
        return (
            "SELECT row_number,"
            " CAST(CASE WHEN unparsable IS NOT NULL THEN json_object('raw', unparsable)"
            f" ELSE json_object({members}) END AS VARCHAR) AS source_record,"
            f" CAST(CASE WHEN unparsable IS NOT NULL THEN {bad_line} ELSE {errors} END AS {ERROR_TYPE}[]) AS errors"
            f" FROM {rows}{order}"
        )

    def _column(self, column: TargetColumn) -> str:
        """The expression of a column of the result."""
        if isinstance(column, TargetField):
            return f"CAST({self._fields[column.name].value} AS {sql_type(column)})"
        members = ", ".join(
            f"{identifier(member.name.rpartition('.')[2])} := {self._column(member)}"
            for member in column.members
        )
        packed = f"struct_pack({members})"
        if column.required:
            return packed
        return f"CASE WHEN {self._any_value([field.name for field in fields_of(column)])} THEN {packed} END"

    def _any_value(self, names: Sequence[str]) -> str:
        return " OR ".join(f"{self._fields[name].value} IS NOT NULL" for name in names)

    # Fields, one after the other

    def _field(self, index: int, plan: p.FieldPlan) -> _FieldSql:
        self._floor = 0
        for guard in plan.guards:
            for node in (*guard.given, guard.result):
                self._compute(node)
        self._compute(plan.result)
        read = [self._fields[name] for name in plan.depends_on]
        self._floor = max([self._floor, *(field.level for field in read)])
        blocked = " OR ".join(f"({field.no_value})" for field in read)
        strikes = tuple(
            " AND ".join(
                [f"{self._presence(node)} IS NOT NULL" for node in guard.given]
                + [f"{self._visitor.visit(guard.result)} IS NULL"]
            )
            for guard in plan.guards
        )
        wrong = [f"({condition})" for condition in (*strikes, blocked) if condition]
        source, result = self._with_default(index, plan, wrong, blocked)
        present = self._presence(source)
        value = self._as_target(plan.target, source)
        no_value = f"{value} IS NULL"
        if not plan.target.required:
            reasons = wrong if value == result else [f"{present} IS NOT NULL", *wrong]
            no_value = "false"
            if reasons:
                no_value = self._define(f"x{index}", f"{value} IS NULL AND ({' OR '.join(reasons)})")
                self._floor = self._levels[no_value]
        violations = tuple(
            f"NOT ({holds(constraint, value, plan.target)})" for constraint in plan.target.constraints
        )
        self._names[p.Field(plan.target.name, plan.target.type)] = value
        return _FieldSql(plan, blocked, strikes, source, present, value, no_value, violations, self._floor)

    def _with_default(
        self, index: int, plan: p.FieldPlan, wrong: list[str], blocked: str
    ) -> tuple[p.Node, str]:
        """The result with the field's default applied: as a node to compute with, and its name."""
        result = self._visitor.visit(plan.result)
        filled = p.Result(plan.target.name, plan.result.type)
        if plan.lenient and blocked:
            result = self._define(f"b{index}", f"CASE WHEN NOT ({blocked}) THEN {result} END")
            self._names[filled] = result
            self._floor = self._levels[result]
        elif plan.default is None:
            return plan.result, result
        if plan.default is None:
            return filled, result
        default: p.Node = p.Literal(plan.default)
        if plan.result.type is not ValueType.TEXT:
            default = p.Parse(default, plan.result.type)
        nodes = plan.default_for or plan.inputs
        given = f"({' OR '.join(f'{self._presence(node)} IS NULL' for node in nodes)})"
        if wrong:
            given += f" AND NOT ({' OR '.join(wrong)})"
        name = self._define(
            f"d{index}", f"CASE WHEN {given} THEN {self._visitor.visit(default)} ELSE {result} END"
        )
        self._names[filled] = name
        return filled, self._visitor.visit(filled)

    def _as_target(self, target: TargetField, source: p.Node) -> str:
        """The name of a result as a value of its target's type."""
        node: p.Node = source
        if target.items is not None:
            node = p.ParseItems(source, target.items)
            self._compute(node)
        elif source.type is not target.type:
            if source.type is ValueType.TEXT:
                node = p.Parse(source, target.type)
            elif target.type is ValueType.TEXT:
                node = p.Render(source)
            else:
                node = p.Convert(source, target.type)
            self._compute(node)
        return self._visitor.visit(node)

    def _errors(self, field: _FieldSql) -> list[str]:
        """The errors that a field may have, each null where it does not apply.

        The first is that of its state, the others are those of a value.
        """
        target = field.plan.target
        name = literal(target.name)
        cases = []
        for strike, guard in zip(field.strikes, field.plan.guards, strict=True):
            texts = [self._shown(node) for node in guard.given]
            shown = f"concat_ws(' ', {', '.join(texts)})" if len(texts) > 1 else "".join(texts) or "NULL"
            cases.append((strike, _error(name, guard.error, literal(guard.message), shown)))
        if target.required:
            cases.append(
                (f"{field.present} IS NULL", _error(name, ErrorType.REQUIRED, "'has no value'", "NULL"))
            )
        if field.value != self._visitor.visit(field.source):
            rule = CAST_RULES.get(target.items.type if target.items else target.type)
            error, expected = (rule.error, rule.expected) if rule else (ErrorType.TYPE, "a text")
            expected = f"a list of which each item is {expected}" if target.items else expected
            found = _error(name, error, literal(f"is not {expected}"), self._shown(field.source))
            cases.append((f"{field.present} IS NOT NULL AND {field.value} IS NULL", found))
        blocked = f"WHEN {field.blocked} THEN NULL " if field.blocked else ""
        state = blocked + " ".join(f"WHEN {when} THEN {then}" for when, then in cases)
        shown = self._shown(p.Field(target.name, target.type))
        return ([f"CASE {state} END"] if cases else []) + [
            f"CASE WHEN {condition} THEN {_error(name, constraint.error, literal(message(constraint)), shown)} END"
            for condition, constraint in zip(field.violations, target.constraints, strict=True)
        ]

    def _lacking(self, field: _FieldSql) -> list[str]:
        """The condition that a field is absent while the object in which it is required is not, if it can be."""
        others = [name for name in field.plan.target.required_with if name != field.plan.target.name]
        if not others:
            return []
        return [f"{field.value} IS NULL AND NOT ({field.no_value}) AND ({self._any_value(others)})"]

    def _lacking_errors(self, field: _FieldSql) -> list[str]:
        found = _error(literal(field.plan.target.name), ErrorType.REQUIRED, "'has no value'", "NULL")
        return [f"CASE WHEN {lacking} THEN {found} END" for lacking in self._lacking(field)]

    def _duplicate_error(self, key: p.Key, first: str) -> str:
        said = f"{literal(f'the same {key.title} as row ')} || {first}"
        parts = (self._shown(p.Field(name, self._fields[name].plan.target.type)) for name in key.fields)
        shown = f"concat_ws(', ', {', '.join(parts)})"
        found = _error(literal(", ".join(key.fields)), ErrorType.DUPLICATE, said, shown)
        return f"CASE WHEN {first} IS NOT NULL THEN {found} END"

    def _broken(self, rule: p.Rule) -> str:
        """The condition that a rule's fields have values that break it."""
        judged = [f"{self._visitor.visit(leaf)} IS NOT NULL" for leaf in rule.reads]
        return " AND ".join([*judged, f"NOT coalesce({self._visitor.visit(rule.condition)}, false)"])

    def _rule_error(self, rule: p.Rule) -> str:
        name = literal(", ".join(leaf.name for leaf in rule.blamed))
        shown = f"concat_ws(', ', {', '.join(self._shown(leaf) for leaf in rule.blamed)})"
        found = _error(name, ErrorType.RANGE, literal(rule.message), shown)
        return f"CASE WHEN {self._broken(rule)} THEN {found} END"

    def _shown(self, node: p.Node) -> str:
        """The canonical text of a node's value."""
        return self._visitor.expand(p.Render(node))

    # Layers

    def _name(self, node: p.Node) -> str | None:
        """The name of a node that a layer computes; what is computed from it comes above that layer."""
        if isinstance(node, p.Column) and node not in self._names:
            self._names[node] = self._source_text(node)
        name = self._names.get(node)
        if name is not None:
            self._floor = max(self._floor, self._levels.get(name, 0))
        return name

    def _compute(self, node: p.Node) -> None:
        """Have a layer compute a node, once, however many fields use it."""
        if isinstance(node, p.Literal) or self._name(node) is not None:
            return
        if (repeated := _repeated(node)) is not None:
            self._compute(repeated)
        outer, self._floor = self._floor, 0
        expression = self._raw_parse(node) or self._visitor.expand(node)
        name = self._define(f"n{len(self._names)}", expression)
        if isinstance(node, p.Parse) and node.type is ValueType.NUMBER:
            self._floor = self._levels[name]
            name = self._define(f"{name}f", f"CASE WHEN isfinite({name}) THEN {name} END")
        self._names[node] = name
        self._floor = max(outer, self._levels[name])

    def _raw_parse(self, node: p.Node) -> str | None:
        """A column parsed as it lies in the stage, if no null value would parse: sifting them costs more."""
        if not (isinstance(node, p.Parse) and isinstance(node.source, p.Column)):
            return None
        column, nulls = node.source.name, self.plan.null_values
        if self._is_typed(column):
            return as_value(self._stored(column), self.stage.type_of(column), node.type)
        if self.stage.type_of(column) is not ValueType.TEXT:
            return None
        if column not in self.stage.columns or any(is_value(null, node.type) for null in nulls):
            return None
        return parse_text(self._stored(column), node.type)

    def _stored(self, column: str) -> str:
        return f"c{self.stage.columns.index(column)}"

    def _is_typed(self, column: str) -> bool:
        """Whether a column holds values that are no texts, and none of which counts as absent."""
        is_text = self.stage.type_of(column) is ValueType.TEXT
        return not is_text and not any(_TYPED_TEXT.search(null) for null in self.plan.null_values)

    def _presence(self, node: p.Node) -> str:
        """What is null where the node is; of a typed column not the text, which would have to be made."""
        if isinstance(node, p.Column) and self._is_typed(node.name):
            return self._stored(node.name)
        return self._visitor.visit(node)

    def _define(self, name: str, expression: str) -> str:
        level = self._floor
        while len(self._layers) <= level:
            self._layers.append({})
        self._layers[level][name] = expression
        self._levels[name] = level + 1
        return name

    def _source_text(self, column: p.Column) -> str:
        """The name of a column's text, null where it is one of the null values."""
        if column.name not in self.stage.columns:
            text = literal(None)
        else:
            stored, nulls = self._stored(column.name), self.plan.null_values
            text = as_text(stored, self.stage.type_of(column.name))
            if self.stage.empty_is_null:
                text = text if "" in nulls else f"coalesce({text}, '')"
                nulls = tuple(null for null in nulls if null)
            for null in nulls:
                text = f"nullif({text}, {literal(null)})"
            if text == stored:
                return text
        outer, self._floor = self._floor, 0
        name = self._define(f"t{len(self._names)}", text)
        self._floor = outer
        return name

    def _stored_text(self, index: int) -> str:
        if self.stage.types is not None:
            return as_text(f"c{index}", self.stage.types[index])
        return f"coalesce(c{index}, '')" if self.stage.empty_is_null else f"c{index}"

    def _rows(self, where: str | None, *read_by: str) -> str:
        """The stage with the layers on top that are needed, as a table to select from.

        Args:
            where: A condition on the stage's own columns.
            read_by: The expressions that are selected or filtered by: what they do not read is left out, as each
                column of each layer takes its time to plan.
        """
        needed = _names_in(*read_by)
        selects = []
        for layer in reversed(self._layers):
            defined = {name: expression for name, expression in layer.items() if name in needed}
            needed |= _names_in(*defined.values())
            selects.append([f"{expression} AS {name}" for name, expression in defined.items()])
        condition = f" WHERE {where}" if where else ""
        rows = f"(SELECT * FROM {self._staged()}{condition})"
        for select in reversed(selects):
            if select:
                rows = f"(SELECT *, {', '.join(select)} FROM {rows})"
        return rows

    def _staged(self) -> str:
        path = literal(self.stage.path)
        if self.stage.types is None:
            return f"read_parquet({path}, hive_partitioning = false)"
        # Named by their places, so that no name of the file becomes one of the statement.
        names = ", ".join([*(f"c{index}" for index in range(len(self.stage.columns))), "place"])
        none = f"{_NO_TEXT} AS unparsable, {_NO_TEXT} AS unparsable_reason"
        return (
            f"(SELECT *, {none}, place + 1 AS row_number FROM read_parquet({path}, file_row_number = true,"
            f" hive_partitioning = false) AS batch({names}))"
        )

    def _key_columns(self, key: p.Key) -> list[str]:
        return [self._fields[name].value for name in key.fields]

    def _key_rows(self, key: p.Key) -> str:
        return self._rows(_PARSABLE, *self._key_columns(key))

    def _key_hash(self, key: p.Key) -> str:
        """The hash of a key, null where one of its fields has no value.

        A filter by the fields would be pushed below the layers, each name in it replaced by what the name stands for:
        all of it would be computed twice, and the filter of a long chain of fields would never be planned to its end.
        """
        columns = self._key_columns(key)
        present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        return f"CASE WHEN {present} THEN hash({', '.join(columns)}) END"


_NO_TEXT = literal(None)
_PARSABLE = "unparsable IS NULL"
_NAME = re.compile(r"\b[a-z][0-9]+f?\b")
_TYPED_TEXT = re.compile("[0-9]|^(?:-?inf|nan|true|false)$")
"""What the canonical text of every value that is no text matches, and few null values do."""


def _names_in(*expressions: str) -> set[str]:
    """The names that expressions read, and some words more."""
    return {word for expression in expressions for word in _NAME.findall(expression)}


def _repeated(node: p.Node) -> p.Node | None:
    """The last text in a chain of steps that a step's expression names more than once."""
    while isinstance(node, p.TextStep):
        if node.function.startswith("pad"):
            return node.source
        node = node.source
    return None


def _in_set(variable: str) -> str:
    return f"get_bit(getvariable({literal(variable)}), CAST(row_number - 1 AS INTEGER)) = 1"


def _error(field: str, error: ErrorType, said: str, shown: str) -> str:
    """An error as a row of ERROR_TYPE without the names, which a statement would repeat many times."""
    return f"row({field}, {literal(error.value)}, {said}, {shown})"
