"""Compiles a plan to DuckDB statements: layers of projections, each computing what the next one reads."""

# ruff: noqa: S608 - all texts in these statements are literals and names made by sql.py
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lume_dagster.engine import plan as p
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
        empty_is_null: An empty text is a null in the stage (CSV, where both look alike).
    """

    path: str
    columns: tuple[str, ...]
    empty_is_null: bool


@dataclass(frozen=True)
class _FieldSql:
    """The names and conditions by which the state of one field is read."""

    plan: p.FieldPlan
    blocked: str
    strikes: tuple[str, ...]
    source: p.Node
    result: str
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
        keys = self._key_columns(key)
        return (
            f"SELECT h FROM (SELECT hash({', '.join(keys)}) AS h FROM {self._rows(_PARSABLE)}"
            f" WHERE {_all_present(keys)}) GROUP BY h HAVING count(*) > 1"
        )

    def duplicates(self, key: p.Key, hashes: str) -> str:
        """A query for the rows whose key came before, with the row number where it came first.

        Args:
            key: The key.
            hashes: Name of the table that holds the result of `repeated_hashes`.
        """
        keys = self._key_columns(key)
        return (
            "SELECT row_number, first FROM (SELECT row_number, min(row_number) OVER "
            f"(PARTITION BY {', '.join(keys)}) AS first FROM {self._rows(_PARSABLE)}"
            f" WHERE {_all_present(keys)} AND hash({', '.join(keys)}) IN (SELECT h FROM {identifier(hashes)}))"
            " WHERE row_number > first"
        )

    def mapped(self, reject: str, *, duplicates: bool) -> str:
        """A query for the mapped records in the order of the source.

        Args:
            reject: Name of the function that is told the row number of each other record, and answers false.
            duplicates: Whether the variable `duplicates` holds rows.
        """
        columns = (f"{self._column(column)} AS {identifier(column.name)}" for column in self.plan.columns)
        conditions = ["unparsable IS NOT NULL"]
        if duplicates:
            conditions.append(_in_set("duplicates"))
        for name in self.plan.order:
            field = self._fields[name]
            conditions.append(f"({field.no_value})")
            conditions += [f"({violation})" for violation in field.violations]
            conditions += [f"({lacking})" for lacking in self._lacking(field)]
        conditions += [f"({self._broken(rule)})" for rule in self.plan.rules]
        return (
            f"SELECT {', '.join(columns)} FROM {self._rows(None)}"
            f" WHERE CASE WHEN {' OR '.join(conditions)} THEN {reject}(row_number) ELSE true END"
        )

    @staticmethod
    def no_rejects() -> str:
        """What `rejects` gives where there are none; quicker to plan than a query that finds none."""
        return (
            "SELECT CAST(NULL AS BIGINT) AS row_number, CAST(NULL AS VARCHAR) AS source_record,"
            f" CAST(NULL AS {ERROR_TYPE}[]) AS errors LIMIT 0"
        )

    def rejects(self, *, duplicates: Mapping[p.Key, str]) -> str:
        """A query for the rejected records with all their errors, in the order of the source.

        Args:
            duplicates: Names of the tables that hold the results of `duplicates`, of the keys that have any.
        """
        found_errors = [self._errors(self._fields[name]) for name in self.plan.order]
        found_errors += [
            error for name in self.plan.order for error in self._lacking_errors(self._fields[name])
        ]
        found_errors += [self._rule_errors(rule) for rule in self.plan.rules]
        rows = self._rows(_in_set("rejected"))
        for key, table in duplicates.items():
            first = f"{table}_first"
            found_errors.append(self._duplicate_errors(key, first))
            earlier = f"(SELECT row_number, first AS {first} FROM {identifier(table)})"
            rows = f"(SELECT * FROM {rows} LEFT JOIN {earlier} USING (row_number))"
        order = " ORDER BY row_number" if duplicates else ""
        errors = f"flatten([{', '.join(found_errors)}])"
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
                [f"{self._visitor.visit(node)} IS NOT NULL" for node in guard.given]
                + [f"{self._visitor.visit(guard.result)} IS NULL"]
            )
            for guard in plan.guards
        )
        wrong = [f"({condition})" for condition in (*strikes, blocked) if condition]
        source, result = self._with_default(index, plan, wrong, blocked)
        value = self._as_target(plan.target, source)
        no_value = f"{value} IS NULL"
        if not plan.target.required:
            reasons = wrong if value == result else [f"{result} IS NOT NULL", *wrong]
            no_value = "false"
            if reasons:
                no_value = self._define(f"x{index}", f"{value} IS NULL AND ({' OR '.join(reasons)})")
                self._floor = self._levels[no_value]
        violations = tuple(
            f"NOT ({holds(constraint, value, plan.target)})" for constraint in plan.target.constraints
        )
        self._names[p.Field(plan.target.name, plan.target.type)] = value
        return _FieldSql(plan, blocked, strikes, source, result, value, no_value, violations, self._floor)

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
        given = f"({' OR '.join(f'{self._visitor.visit(node)} IS NULL' for node in nodes)})"
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

    def _errors(self, field: _FieldSql) -> str:
        """The list of a field's errors: its state decides, the first that applies."""
        target = field.plan.target
        name = literal(target.name)
        cases = [(field.blocked, _NO_ERRORS)] if field.blocked else []
        for strike, guard in zip(field.strikes, field.plan.guards, strict=True):
            texts = [self._shown(node) for node in guard.given]
            shown = f"concat_ws(' ', {', '.join(texts)})" if texts else _NO_TEXT
            cases.append((strike, f"[{_error(name, guard.error, literal(guard.message), shown)}]"))
        absent = [_error(name, ErrorType.REQUIRED, "'has no value'", _NO_TEXT)] if target.required else []
        cases.append((f"{field.result} IS NULL", f"[{absent[0]}]" if absent else _NO_ERRORS))
        if field.value != field.result:
            rule = CAST_RULES.get(target.items.type if target.items else target.type)
            error, expected = (rule.error, rule.expected) if rule else (ErrorType.TYPE, "a text")
            expected = f"a list of which each item is {expected}" if target.items else expected
            shown = self._shown(field.source)
            cases.append(
                (f"{field.value} IS NULL", f"[{_error(name, error, literal(f'is not {expected}'), shown)}]")
            )
        shown = self._shown(p.Field(target.name, target.type))
        violated = [
            f"CASE WHEN {condition} THEN [{_error(name, constraint.error, literal(message(constraint)), shown)}]"
            f" ELSE {_NO_ERRORS} END"
            for condition, constraint in zip(field.violations, target.constraints, strict=True)
        ]
        otherwise = f"flatten([{', '.join(violated)}])" if violated else _NO_ERRORS
        return f"CASE {' '.join(f'WHEN {when} THEN {then}' for when, then in cases)} ELSE {otherwise} END"

    def _lacking(self, field: _FieldSql) -> list[str]:
        """The condition that a field is absent while the object in which it is required is not, if it can be."""
        others = [name for name in field.plan.target.required_with if name != field.plan.target.name]
        if not others:
            return []
        return [f"{field.value} IS NULL AND NOT ({field.no_value}) AND ({self._any_value(others)})"]

    def _lacking_errors(self, field: _FieldSql) -> list[str]:
        found = _error(literal(field.plan.target.name), ErrorType.REQUIRED, "'has no value'", _NO_TEXT)
        return [f"CASE WHEN {case} THEN [{found}] ELSE {_NO_ERRORS} END" for case in self._lacking(field)]

    def _duplicate_errors(self, key: p.Key, first: str) -> str:
        said = f"{literal(f'the same {key.title} as row ')} || {first}"
        parts = (self._shown(p.Field(name, self._fields[name].plan.target.type)) for name in key.fields)
        shown = f"concat_ws(', ', {', '.join(parts)})"
        found = _error(literal(", ".join(key.fields)), ErrorType.DUPLICATE, said, shown)
        return f"CASE WHEN {first} IS NOT NULL THEN [{found}] ELSE {_NO_ERRORS} END"

    def _broken(self, rule: p.Rule) -> str:
        """The condition that a rule's fields have values that break it."""
        judged = [f"{self._visitor.visit(leaf)} IS NOT NULL" for leaf in rule.reads]
        return " AND ".join([*judged, f"NOT coalesce({self._visitor.visit(rule.condition)}, false)"])

    def _rule_errors(self, rule: p.Rule) -> str:
        name = literal(", ".join(leaf.name for leaf in rule.blamed))
        shown = f"concat_ws(', ', {', '.join(self._shown(leaf) for leaf in rule.blamed)})"
        found = _error(name, ErrorType.RANGE, literal(rule.message), shown)
        return f"CASE WHEN {self._broken(rule)} THEN [{found}] ELSE {_NO_ERRORS} END"

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
        if column not in self.stage.columns or any(is_value(null, node.type) for null in nulls):
            return None
        return parse_text(f"c{self.stage.columns.index(column)}", node.type)

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
            index = self.stage.columns.index(column.name)
            nulls = self.plan.null_values
            text = f"c{index}"
            if self.stage.empty_is_null:
                text = text if "" in nulls else f"coalesce({text}, '')"
                nulls = tuple(null for null in nulls if null)
            for null in nulls:
                text = f"nullif({text}, {literal(null)})"
            if text == f"c{index}":
                return text
        outer, self._floor = self._floor, 0
        name = self._define(f"t{len(self._names)}", text)
        self._floor = outer
        return name

    def _stored_text(self, index: int) -> str:
        return f"coalesce(c{index}, '')" if self.stage.empty_is_null else f"c{index}"

    def _rows(self, where: str | None) -> str:
        """The stage with every layer on top, as a table to select from; filtered at the bottom."""
        condition = f" WHERE {where}" if where else ""
        rows = f"(SELECT * FROM read_parquet({literal(self.stage.path)}){condition})"
        for layer in self._layers:
            defined = ", ".join(f"{expression} AS {name}" for name, expression in layer.items())
            rows = f"(SELECT *, {defined} FROM {rows})"
        return rows

    def _key_columns(self, key: p.Key) -> list[str]:
        return [self._fields[name].value for name in key.fields]


_NO_TEXT = literal(None)
_NO_ERRORS = "[]"
_PARSABLE = "unparsable IS NULL"


def _repeated(node: p.Node) -> p.Node | None:
    """The last text in a chain of steps that a step's expression names more than once."""
    while isinstance(node, p.TextStep):
        if node.function.startswith("pad"):
            return node.source
        node = node.source
    return None


def _all_present(columns: list[str]) -> str:
    return " AND ".join(f"{column} IS NOT NULL" for column in columns)


def _in_set(variable: str) -> str:
    return f"get_bit(getvariable({literal(variable)}), CAST(row_number - 1 AS INTEGER)) = 1"


def _error(field: str, error: ErrorType, said: str, shown: str) -> str:
    return (
        f"struct_pack(field := {field}, type := {literal(error.value)}, message := {said}, value := {shown})"
    )
