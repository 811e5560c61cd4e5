"""From a flow's document and target schema to its plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lume_dagster.engine import document as doc
from lume_dagster.engine.errors import ErrorType, FlowError
from lume_dagster.engine.expression import (
    ExpressionProblem,
    fields_of,
    operands_of,
    parse_expression,
    parse_rule,
)
from lume_dagster.engine.pattern import PatternProblem, count_groups, is_time_zone, translate
from lume_dagster.engine.plan import (
    Aggregate,
    AtZone,
    Capture,
    ClockMinutes,
    Coalesce,
    Collect,
    Column,
    Concat,
    Convert,
    Field,
    FieldPlan,
    Finite,
    Guard,
    JsonItems,
    Key,
    Leaf,
    Literal,
    Lookup,
    MakeDate,
    Moment,
    NameUuid,
    Node,
    NumberText,
    Parse,
    ParseFormats,
    Plan,
    Render,
    Rule,
    Split,
    SplitAll,
    TextStep,
    TimeOfDay,
    WithinDayFrom,
    Words,
)
from lume_dagster.engine.schema import TargetField, TargetSchema
from lume_dagster.engine.values import (
    CAST_RULES,
    FormatProblem,
    NumberStyle,
    ValueType,
    date_format,
    is_value,
)
from lume_dagster.engine.yaml_document import join

_CONVERSIONS: dict[ValueType, frozenset[ValueType]] = {
    ValueType.INTEGER: frozenset({ValueType.NUMBER}),
    ValueType.NUMBER: frozenset({ValueType.INTEGER}),
    ValueType.TIMESTAMP: frozenset({ValueType.INSTANT}),
}
"""What a typed result can become beside its own type and a text."""
_ORDERED = frozenset(
    {
        ValueType.INTEGER,
        ValueType.NUMBER,
        ValueType.DATE,
        ValueType.INSTANT,
        ValueType.TIMESTAMP,
        ValueType.TIME,
    }
)
_TEMPLATE_PIECE = re.compile(
    r"\{\{|\}\}|\{target\((?P<target>[^{}]+)\)\}|\{(?P<column>[^{}]+)\}|(?P<text>[^{}]+)|.", re.DOTALL
)
_MAKE_LISTS = (doc.ExtractEntry, doc.SplitEntry, doc.ListEntry)


def make_plan(
    flow: doc.FlowDocument, schema: TargetSchema, tables: Mapping[str, tuple[tuple[str, str], ...]], path: str
) -> Plan:
    """Make the plan of a mapping.

    Args:
        flow: The flow file.
        schema: Its target schema.
        tables: The lookup tables by target field.
        path: The flow file's name for messages.

    Raises:
        FlowError: The mapper does not fit the schema, names what is not there, or goes in a circle.
    """
    targets = {field.name: field for field in schema.fields}
    for name in flow.mapper:
        if name not in targets:
            if inner := [field for field in targets if field.startswith(f"{name}.")]:
                raise FlowError(
                    path,
                    join("/mapper", name),
                    f"is an object; write an entry for each of its properties: {', '.join(inner)}",
                )
            raise FlowError(
                path,
                join("/mapper", name),
                "is no property of target_schema; take it out or add the property",
            )
    for name in targets:
        if name not in flow.mapper:
            raise FlowError(
                path,
                "/mapper",
                f"has no entry for the property {name!r}; write one ({name}: {{constant: null}} leaves it empty)",
            )
    plans = {
        name: _Planner(path, targets, targets[name], tables.get(name, ())).plan(entry)
        for name, entry in flow.mapper.items()
    }
    return Plan(
        fields=tuple(plans[name] for name in _in_order_of_use(plans, path)),
        columns=schema.columns,
        order=tuple(targets),
        keys=tuple(
            Key(names, title)
            for names, title in (
                (schema.key, "primary key"),
                *((names, ", ".join(names)) for names in schema.unique),
            )
            if names
        ),
        null_values=tuple(flow.source.null_values),
        rules=tuple(_rule(spec, index, targets, path) for index, spec in enumerate(flow.rules)),
    )


def _rule(spec: doc.RuleSpec, index: int, targets: Mapping[str, TargetField], path: str) -> Rule:
    try:
        condition = parse_rule(spec.rule, {name: target.type for name, target in targets.items()})
    except ExpressionProblem as problem:
        raise FlowError(path, join("/rules", index, "rule"), str(problem)) from problem
    reads = fields_of(condition)
    read = {leaf.name: leaf for leaf in reads}
    for place, name in enumerate(spec.fields or ()):
        if name not in read:
            raise FlowError(
                path, join("/rules", index, "fields", place), f"{name!r} is no target field of the rule"
            )
    blamed = tuple(read[name] for name in dict.fromkeys(spec.fields or read))
    return Rule(condition, reads, blamed, spec.message or f"breaks the rule {spec.rule}")


def _in_order_of_use(plans: Mapping[str, FieldPlan], path: str) -> list[str]:
    order: list[str] = []
    for start in plans:
        trail = [start]
        while trail:
            name = trail[-1]
            waiting = [other for other in plans[name].depends_on if other not in order]
            if name in order or not waiting:
                trail.pop()
                if name not in order:
                    order.append(name)
            elif waiting[0] in trail:
                circle = " -> ".join([*trail[trail.index(waiting[0]) :], waiting[0]])
                raise FlowError(path, join("/mapper", name), f"the target fields need each other: {circle}")
            else:
                trail.append(waiting[0])
    return order


@dataclass(frozen=True)
class _Planner:
    """Plans one target field."""

    path: str
    targets: Mapping[str, TargetField]
    target: TargetField
    table: tuple[tuple[str, str], ...]

    def refuse(self, message: str, *parts: str | int) -> FlowError:
        return FlowError(self.path, join("/mapper", self.target.name, *parts), message)

    def plan(self, entry: doc.Part) -> FieldPlan:
        makers: dict[type[doc.Part], Callable[..., FieldPlan]] = {
            doc.ExtractEntry: self.extract,
            doc.ConstantEntry: self.constant,
            doc.LookupEntry: self.lookup,
            doc.ConcatEntry: self.concat,
            doc.DateEntry: self.date,
            doc.DateTimeEntry: self.datetime,
            doc.TimeEntry: self.time,
            doc.ExpressionEntry: self.expression,
            doc.CoalesceEntry: self.coalesce,
            doc.TemplateEntry: self.template,
            doc.SplitEntry: self.split,
            doc.RegexEntry: self.regex,
            doc.NumberEntry: self.number,
            doc.BooleanEntry: self.boolean,
            doc.AggregateEntry: self.aggregate,
            doc.UuidEntry: self.uuid,
        }
        if self.target.type is ValueType.LIST:
            return self.list_plan(entry)
        if isinstance(entry, doc.ListEntry):
            raise self.refuse("makes an array: the property is none", "list")
        plan = makers[type(entry)](entry)
        if isinstance(entry, doc.Entry) and entry.steps:
            plan = self.stepped(plan, entry.steps)
        self.check_types(plan)
        return plan

    def list_plan(self, entry: doc.Part) -> FieldPlan:
        """The plan of an array: a list of texts, whose items take their type in the end."""
        if isinstance(entry, doc.ConstantEntry) and entry.constant is None:
            return self.field_plan((), JsonItems(Literal(None)), (), None)
        if not isinstance(entry, _MAKE_LISTS):
            operations = ", ".join(kind.operation for kind in _MAKE_LISTS)
            raise self.refuse(f"makes no array; the property takes {operations}, or constant: null")
        if entry.default is not None:
            raise self.refuse("an array takes no default", "default")
        if isinstance(entry, doc.ListEntry):
            leaves, nodes = self.parts(entry.list, "list")
            plan = self.field_plan(tuple(leaves), Collect(tuple(nodes)), (), None)
            plan = replace(plan, lenient=True)
        elif isinstance(entry, doc.SplitEntry) and entry.split.part is None:
            leaf = self.leaf(entry.split.from_, "split", "from")
            plan = self.field_plan((leaf,), SplitAll(self.text(leaf), entry.split.by), (), None)
        elif isinstance(entry, doc.ExtractEntry):
            leaf = self.leaf(entry.extract, "extract")
            text = self.text(leaf)
            result = JsonItems(text)
            wrong = Guard(
                (text,),
                result,
                ErrorType.TYPE,
                f"{_name(leaf)} is no JSON array of texts, numbers, true or false",
            )
            plan = self.field_plan((leaf,), result, (wrong,), None)
        else:
            raise self.refuse("one piece is no array; take it out for all of them", "split", "part")
        return self.stepped(plan, entry.steps)

    def stepped(self, plan: FieldPlan, steps: Sequence[doc.Step]) -> FieldPlan:
        """A plan whose result is changed as a text."""
        result = plan.result
        keeps_misses = isinstance(result, Lookup) and result.otherwise is not None
        if isinstance(result, Lookup):
            # A default takes a miss's place as it is, without the steps.
            result = replace(result, otherwise=None)
        if result.type not in (ValueType.TEXT, ValueType.LIST):
            if self.target.type is not ValueType.TEXT:
                raise self.refuse(
                    f"the operation gives a {result.type.value}, and steps change texts", "steps"
                )
            result = Render(result)
        for step in steps:
            if isinstance(step, str):
                result = TextStep(result, step, (), result.type)
            elif isinstance(step, doc.ReplaceStep):
                result = TextStep(result, "replace", tuple(step.replace), result.type)
            elif isinstance(step, doc.PadStep):
                result = TextStep(
                    result, f"pad_{step.pad.side}", (step.pad.width, step.pad.with_), result.type
                )
            else:
                result = TextStep(result, "truncate", (step.truncate,), result.type)
        default_for = (result,) if keeps_misses or "empty_to_null" in steps else plan.default_for
        return replace(plan, result=result, default_for=default_for)

    def check_types(self, plan: FieldPlan) -> None:
        """A result must be able to become the target's type, and so must each text of the mapper."""
        given, wanted = plan.result.type, self.target.type
        possible = given in (ValueType.TEXT, wanted) or wanted is ValueType.TEXT
        if not possible and wanted not in _CONVERSIONS.get(given, ()):
            raise self.refuse(f"gives a {given.value}, but the property is a {wanted.value}")
        wanted_of_text = given if given is not ValueType.TEXT else wanted
        texts: list[tuple[tuple[str, ...], str | None]] = [(("default",), plan.default)]
        if isinstance(plan.result, Literal):
            texts.append((("constant",), plan.result.text))
        if not isinstance(plan.result, TextStep):
            texts += [(("lookup", "table", key), value) for key, value in self.table]
        for place, text in texts:
            if text is not None and not is_value(text, wanted_of_text):
                raise self.refuse(f"{text!r} is no {wanted_of_text.value}", *place)

    def leaf(self, ref: str | doc.TargetRef, *place: str | int) -> Leaf:
        if isinstance(ref, str):
            return Column(ref)
        if ref.target not in self.targets:
            raise self.refuse(f"there is no target field {ref.target!r}", *place, "target")
        if self.targets[ref.target].type is ValueType.LIST:
            raise self.refuse(
                f"the target field {ref.target!r} is an array, which no other field reads", *place
            )
        return Field(ref.target, self.targets[ref.target].type)

    @staticmethod
    def text(leaf: Leaf) -> Node:
        return leaf if leaf.type is ValueType.TEXT else Render(leaf)

    def integer(self, leaf: Leaf, *place: str | int) -> Node:
        if leaf.type is ValueType.INTEGER:
            return leaf
        if leaf.type is not ValueType.TEXT:
            raise self.refuse(f"the target field {leaf.name!r} is no integer", *place)
        return Parse(leaf, ValueType.INTEGER)

    def field_plan(
        self, inputs: tuple[Leaf, ...], result: Node, guards: tuple[Guard, ...], default: doc.Scalar | None
    ) -> FieldPlan:
        text = None if default is None or not inputs else scalar_text(default)
        return FieldPlan(self.target, inputs, result, guards, text)

    def extract(self, entry: doc.ExtractEntry) -> FieldPlan:
        leaf = self.leaf(entry.extract, "extract")
        return self.field_plan((leaf,), leaf, (), entry.default)

    def constant(self, entry: doc.ConstantEntry) -> FieldPlan:
        text = None if entry.constant is None else scalar_text(entry.constant)
        return self.field_plan((), Literal(text), (), None)

    def lookup(self, entry: doc.LookupEntry) -> FieldPlan:
        spec = entry.lookup
        leaf = self.leaf(spec.from_, "lookup", "from")
        key = self.text(leaf)
        otherwise = (
            scalar_text(entry.default) if spec.on_miss == "default" and entry.default is not None else None
        )
        result = Lookup(key, self.table, otherwise)
        missed = Guard((key,), result, ErrorType.LOOKUP, f"{_name(leaf)} is not in the lookup table")
        return self.field_plan((leaf,), result, (missed,) if spec.on_miss == "reject" else (), entry.default)

    def concat(self, entry: doc.ConcatEntry) -> FieldPlan:
        leaves, parts = self.parts(entry.concat, "concat")
        return self.field_plan(tuple(leaves), Concat(tuple(parts), entry.separator), (), entry.default)

    def date(self, entry: doc.DateEntry) -> FieldPlan:
        if isinstance(entry.date, doc.FormatsSpec):
            return self.formats(entry.date, ValueType.DATE, "date", entry.default)
        inputs, result, guards = self.day(entry.date, "date")
        return self.field_plan(inputs, result, guards, entry.default)

    def datetime(self, entry: doc.DateTimeEntry) -> FieldPlan:
        if isinstance(entry.datetime, doc.FormatsSpec):
            if entry.datetime.time_zone is not None:
                return self.zoned(entry.datetime, entry.datetime.time_zone, entry.default)
            wanted = ValueType.INSTANT if self.target.type is ValueType.INSTANT else ValueType.TIMESTAMP
            return self.formats(entry.datetime, wanted, "datetime", entry.default)
        spec = entry.datetime
        inputs, day, day_guards = self.day(spec, "datetime")
        reading_leaf, minutes, clock_guards = self.clock(spec.hhmm, "datetime")
        result: Node = Moment(day, minutes)
        guards = (*day_guards, *clock_guards)
        inputs = (*inputs, reading_leaf)
        given: tuple[Node, ...] = (day, minutes)
        if spec.not_before is None:
            if spec.tolerance_minutes:
                raise self.refuse("has a meaning only beside not_before", "datetime", "tolerance_minutes")
        else:
            start = self.leaf(doc.TargetRef(target=spec.not_before), "datetime", "not_before")
            if start.type not in (ValueType.TIMESTAMP, ValueType.INSTANT):
                raise self.refuse(
                    f"the target field {start.name!r} is a {start.type.value}, not a date-time",
                    "datetime",
                    "not_before",
                )
            inputs = (*inputs, start)
            moment = start if start.type is ValueType.TIMESTAMP else Convert(start, ValueType.TIMESTAMP)
            given = (*given, moment)
            result = WithinDayFrom(result, moment, spec.tolerance_minutes)
        in_range = Guard(given, result, ErrorType.FORMAT, "lies outside the years 1 to 9999")
        return self.field_plan(inputs, result, (*guards, in_range), entry.default)

    def time(self, entry: doc.TimeEntry) -> FieldPlan:
        if isinstance(entry.time, doc.FormatsSpec):
            return self.formats(entry.time, ValueType.TIME, "time", entry.default)
        leaf, minutes, guards = self.clock(entry.time.hhmm, "time")
        return self.field_plan((leaf,), TimeOfDay(minutes), guards, entry.default)

    def expression(self, entry: doc.ExpressionEntry) -> FieldPlan:
        try:
            node = parse_expression(
                entry.expression, {name: target.type for name, target in self.targets.items()}
            )
        except ExpressionProblem as problem:
            raise self.refuse(str(problem), "expression") from problem
        numbers = operands_of(node)
        leaves = tuple(_leaf_of(number) for number in numbers)
        result = Finite(node)
        guards = [
            Guard((leaf,), number, ErrorType.TYPE, f"{_name(leaf)} is not a finite number")
            for leaf, number in zip(leaves, numbers, strict=True)
            if isinstance(number, Parse)
        ]
        guards.append(
            Guard(
                numbers,
                result,
                ErrorType.TYPE,
                "the result is not a finite number (overflow or division by zero)",
            )
        )
        return self.field_plan(leaves, result, tuple(guards), entry.default)

    def formats(
        self, spec: doc.FormatsSpec, value_type: ValueType, operation: str, default: doc.Scalar | None
    ) -> FieldPlan:
        for index, written in enumerate(spec.formats):
            try:
                date_format(written, value_type)
            except FormatProblem as problem:
                raise self.refuse(f"{written!r}: {problem}", operation, "formats", index) from problem
        leaf = self.leaf(spec.from_, operation, "from")
        text = self.text(leaf)
        result = ParseFormats(text, tuple(spec.formats), value_type)
        message = f"{_name(leaf)} fits none of the formats {', '.join(spec.formats)}"
        return self.field_plan((leaf,), result, (Guard((text,), result, ErrorType.FORMAT, message),), default)

    def zoned(self, spec: doc.FormatsSpec, zone: str, default: doc.Scalar | None) -> FieldPlan:
        if self.target.type is not ValueType.INSTANT:
            raise self.refuse(
                "makes an instant of a date and time: the property's format must be date-time",
                "datetime",
                "time_zone",
            )
        if not is_time_zone(zone):
            raise self.refuse(
                f"{zone!r} is no time zone; write an IANA name such as Europe/Berlin", "datetime", "time_zone"
            )
        local = self.formats(spec, ValueType.TIMESTAMP, "datetime", None)
        result = AtZone(local.result, zone)
        skipped = Guard(
            (local.result,), result, ErrorType.FORMAT, f"is a time that the clocks of {zone} skip"
        )
        return self.field_plan(local.inputs, result, (*local.guards, skipped), default)

    def parts(
        self, refs: Sequence[str | doc.TargetRef | doc.TextPart], *place: str
    ) -> tuple[list[Leaf], list[Node]]:
        """What parts of a text read, and the parts as texts."""
        leaves: list[Leaf] = []
        nodes: list[Node] = []
        for index, ref in enumerate(refs):
            if isinstance(ref, doc.TextPart):
                nodes.append(Literal(ref.text))
            else:
                leaves.append(self.leaf(ref, *place, index))
                nodes.append(self.text(leaves[-1]))
        return leaves, nodes

    def coalesce(self, entry: doc.CoalesceEntry) -> FieldPlan:
        leaves, nodes = self.parts(entry.coalesce, "coalesce")
        for index, part in enumerate(entry.coalesce[:-1]):
            if isinstance(part, doc.TextPart):
                raise self.refuse(
                    "what stands behind a text is never used; take it out", "coalesce", index + 1
                )
        types = {leaf.type for leaf in leaves}
        if len(types) == 1 and len(leaves) == len(nodes):
            nodes = list(leaves)
        result = Coalesce(tuple(nodes), nodes[0].type)
        plan = self.field_plan(tuple(leaves), result, (), entry.default)
        return replace(plan, default_for=(result,), lenient=True)

    def template(self, entry: doc.TemplateEntry) -> FieldPlan:
        leaves: list[Leaf] = []
        nodes: list[Node] = []
        for match in _TEMPLATE_PIECE.finditer(entry.template):
            if match["target"] or match["column"]:
                named = doc.TargetRef(target=match["target"]) if match["target"] else match["column"]
                leaves.append(self.leaf(named, "template"))
                nodes.append(self.text(leaves[-1]))
            elif match[0] in ("{", "}"):
                raise self.refuse(
                    f"the brace at character {match.start() + 1} has no partner; write {{{{ or }}}} for a brace itself",
                    "template",
                )
            else:
                nodes.append(Literal(match["text"] or match[0][0]))
        if not leaves:
            raise self.refuse("names no column and no target field; a constant says the same", "template")
        return self.field_plan(tuple(leaves), Concat(tuple(nodes), ""), (), entry.default)

    def split(self, entry: doc.SplitEntry) -> FieldPlan:
        if entry.split.part is None:
            raise self.refuse("say which part it is; only an array takes all of them", "split")
        leaf = self.leaf(entry.split.from_, "split", "from")
        result = Split(self.text(leaf), entry.split.by, entry.split.part)
        return replace(self.field_plan((leaf,), result, (), entry.default), default_for=(result,))

    def regex(self, entry: doc.RegexEntry) -> FieldPlan:
        spec = entry.regex
        try:
            re2 = translate(spec.pattern)
        except PatternProblem as problem:
            raise self.refuse(str(problem), "regex", "pattern") from problem
        if spec.group > (groups := count_groups(spec.pattern)):
            raise self.refuse(f"the pattern has {groups} groups", "regex", "group")
        leaf = self.leaf(spec.from_, "regex", "from")
        text = self.text(leaf)
        result = Capture(text, re2, spec.group)
        missed = Guard(
            (text,), result, ErrorType.PATTERN, f"{_name(leaf)} does not match the pattern {spec.pattern}"
        )
        plan = self.field_plan((leaf,), result, (missed,) if spec.on_miss == "reject" else (), entry.default)
        return replace(plan, default_for=(result,)) if spec.on_miss == "default" else plan

    def number(self, entry: doc.NumberEntry) -> FieldPlan:
        spec = entry.number
        style = NumberStyle(
            spec.decimal, spec.thousands, spec.percent, tuple(spec.currency), spec.negatives == "accounting"
        )
        leaf = self.leaf(spec.from_, "number", "from")
        text = self.text(leaf)
        result: Node = NumberText(text, style)
        guards = [
            Guard(
                (text,), result, ErrorType.TYPE, f"{_name(leaf)} is no number as the flow says it is written"
            )
        ]
        if self.target.type is not ValueType.INTEGER or spec.percent:
            written, result = result, Parse(result, ValueType.NUMBER)
            guards.append(Guard((written,), result, ErrorType.TYPE, f"{_name(leaf)} is not a finite number"))
        return self.field_plan((leaf,), result, tuple(guards), entry.default)

    def boolean(self, entry: doc.BooleanEntry) -> FieldPlan:
        spec = entry.boolean
        leaf = self.leaf(spec.from_, "boolean", "from")
        text = self.text(leaf)
        result = Words(text, tuple(spec.true), tuple(spec.false))
        unknown = Guard(
            (text,), result, ErrorType.TYPE, f"{_name(leaf)} is none of the words for true and false"
        )
        return self.field_plan((leaf,), result, (unknown,), entry.default)

    def aggregate(self, entry: doc.AggregateEntry) -> FieldPlan:
        spec = entry.aggregate
        leaves = tuple(self.leaf(ref, "aggregate", "of", index) for index, ref in enumerate(spec.of))
        guards: list[Guard] = []
        result: Node
        if spec.function == "count":
            result = Aggregate("count", leaves, ValueType.INTEGER)
        elif spec.function == "join":
            texts = tuple(self.text(leaf) for leaf in leaves)
            result = Aggregate("join", texts, ValueType.TEXT, spec.separator)
        else:
            wanted = self.target.type
            if wanted not in ((ValueType.INTEGER, ValueType.NUMBER) if spec.function == "sum" else _ORDERED):
                raise self.refuse(
                    f"a property that is a {wanted.value} takes no {spec.function}", "aggregate", "function"
                )
            values = tuple(
                self.typed(leaf, wanted, "aggregate", "of", index) for index, leaf in enumerate(leaves)
            )
            rule = CAST_RULES[wanted]
            guards = [
                Guard((leaf,), value, rule.error, f"{_name(leaf)} is not {rule.expected}")
                for leaf, value in zip(leaves, values, strict=True)
                if leaf != value
            ]
            result = Aggregate(spec.function, values, wanted, sources=leaves)
            if spec.function == "sum":
                some = Coalesce(values, wanted)
                guards.append(Guard((some,), result, ErrorType.TYPE, f"the sum is not {rule.expected}"))
        plan = self.field_plan(leaves, result, tuple(guards), entry.default)
        return replace(plan, default_for=(result,), lenient=True)

    def typed(self, leaf: Leaf, wanted: ValueType, *place: str | int) -> Node:
        """A leaf as a value of a type."""
        if leaf.type is wanted:
            return leaf
        if leaf.type is ValueType.TEXT:
            return Parse(leaf, wanted)
        if wanted not in _CONVERSIONS.get(leaf.type, ()):
            raise self.refuse(
                f"the target field {leaf.name!r} is a {leaf.type.value}, not a {wanted.value}", *place
            )
        return Convert(leaf, wanted)

    def uuid(self, entry: doc.UuidEntry) -> FieldPlan:
        leaves, nodes = self.parts(entry.uuid.of, "uuid", "of")
        if not leaves:
            raise self.refuse("names nothing of the record", "uuid", "of")
        return self.field_plan(
            tuple(leaves), NameUuid(str(entry.uuid.namespace), tuple(nodes)), (), entry.default
        )

    def day(
        self, spec: doc.DatePartsSpec, operation: str
    ) -> tuple[tuple[Leaf, ...], Node, tuple[Guard, ...]]:
        leaves = tuple(self.leaf(getattr(spec, part), operation, part) for part in ("year", "month", "day"))
        numbers = tuple(
            self.integer(leaf, operation, part)
            for leaf, part in zip(leaves, ("year", "month", "day"), strict=True)
        )
        result = MakeDate(*numbers)
        no_such_day = Guard(
            numbers, result, ErrorType.FORMAT, "year, month and day name no day of the calendar"
        )
        return leaves, result, (*self.integer_guards(leaves, numbers), no_such_day)

    def clock(self, ref: str | doc.TargetRef, operation: str) -> tuple[Leaf, Node, tuple[Guard, ...]]:
        leaf = self.leaf(ref, operation, "hhmm")
        reading = self.integer(leaf, operation, "hhmm")
        result = ClockMinutes(reading)
        no_reading = Guard(
            (reading,),
            result,
            ErrorType.FORMAT,
            f"{_name(leaf)} is no clock reading from 0 to 2400 such as 517",
        )
        return leaf, result, (*self.integer_guards((leaf,), (reading,)), no_reading)

    @staticmethod
    def integer_guards(leaves: tuple[Leaf, ...], numbers: tuple[Node, ...]) -> tuple[Guard, ...]:
        return tuple(
            Guard((leaf,), number, ErrorType.TYPE, f"{_name(leaf)} is not an integer")
            for leaf, number in zip(leaves, numbers, strict=True)
            if leaf != number
        )


def _leaf_of(number: Node) -> Leaf:
    """The leaf that an operand of arithmetic reads."""
    return number.source if isinstance(number, (Parse, Convert)) else number  # type: ignore[return-value]


def _name(leaf: Leaf) -> str:
    return f"the {'column' if isinstance(leaf, Column) else 'target field'} {leaf.name!r}"


def scalar_text(value: doc.Scalar) -> str:
    """The text that stands for a JSON scalar of a flow file, as though a source column had held it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
