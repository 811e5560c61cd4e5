"""The plan of a mapping: few, small, immutable nodes that say what is computed and not how.

A node stands for a value of each record. It is null where a value it is computed from is null, and where it cannot
be computed; which of the two it was is told by a `Guard`. Backends are visitors over these nodes.

How a field's state follows, in this order; the first that applies decides:
1. *blocked*: a target field it reads has no value because of an error. That field carries the error; this one
   reports nothing of its own.
2. *failed*: a guard strikes, the first in their order. One error.
3. *absent*: an input is absent and there is no default. An error (`required`) if the field is required.
4. *failed*: the result is no value of the field's type. One error.
5. *valued*: every constraint that the value violates is an error, but the value stands for other fields to read.

After the fields come the rules across them, each one error at most.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lume_dagster.engine.errors import ErrorType
from lume_dagster.engine.schema import Items, TargetColumn, TargetField
from lume_dagster.engine.values import NumberStyle, ValueType


@dataclass(frozen=True)
class Column:
    """A source column's text; null where it is absent."""

    name: str
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class Field:
    """The value of another target field."""

    name: str
    type: ValueType


@dataclass(frozen=True)
class Result:
    """What the operation of a target field gave, its default applied, before it takes the field's type."""

    field: str
    type: ValueType


@dataclass(frozen=True)
class Literal:
    """A fixed text, or null."""

    text: str | None
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class Parse:
    """A text as a value of another type, by the table of cast rules."""

    source: Node
    type: ValueType


@dataclass(frozen=True)
class ParseFormats:
    """A text as a date or time by the first format that fits."""

    source: Node
    formats: tuple[str, ...]
    type: ValueType


@dataclass(frozen=True)
class Render:
    """The canonical text of a value: ISO 8601, `true`, digits."""

    source: Node
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class Convert:
    """A value as one of a close type; a number that is not whole is no integer."""

    source: Node
    type: ValueType


@dataclass(frozen=True)
class Lookup:
    """A text translated by a table; `otherwise` (null: none) for keys that are not in it."""

    key: Node
    entries: tuple[tuple[str, str], ...]
    otherwise: str | None
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class Concat:
    """Texts one after the other."""

    parts: tuple[Node, ...]
    separator: str
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class MakeDate:
    """A date of the calendar, years 1 to 9999."""

    year: Node
    month: Node
    day: Node
    type: ValueType = field(default=ValueType.DATE, init=False)


@dataclass(frozen=True)
class ClockMinutes:
    """Minutes since midnight of a clock reading such as 517; 2400 is 1440."""

    reading: Node
    type: ValueType = field(default=ValueType.INTEGER, init=False)


@dataclass(frozen=True)
class Moment:
    """A date and minutes since its midnight."""

    date: Node
    minutes: Node
    type: ValueType = field(default=ValueType.TIMESTAMP, init=False)


@dataclass(frozen=True)
class WithinDayFrom:
    """A moment moved by whole days into the 24 hours that start at `start` less the tolerance."""

    moment: Node
    start: Node
    tolerance_minutes: int
    type: ValueType = field(default=ValueType.TIMESTAMP, init=False)


@dataclass(frozen=True)
class TimeOfDay:
    """Minutes since midnight as a time; 1440 is 00:00."""

    minutes: Node
    type: ValueType = field(default=ValueType.TIME, init=False)


@dataclass(frozen=True)
class Number:
    """A fixed number in arithmetic."""

    value: float
    type: ValueType = field(default=ValueType.NUMBER, init=False)


@dataclass(frozen=True)
class Arithmetic:
    """Two numbers and one of + - * /, in 64-bit floats."""

    operator: str
    left: Node
    right: Node
    type: ValueType = field(default=ValueType.NUMBER, init=False)


@dataclass(frozen=True)
class Negate:
    """A number with its sign turned."""

    operand: Node
    type: ValueType = field(default=ValueType.NUMBER, init=False)


@dataclass(frozen=True)
class Round:
    """A number rounded to decimals, halves away from zero."""

    operand: Node
    decimals: int
    type: ValueType = field(default=ValueType.NUMBER, init=False)


@dataclass(frozen=True)
class Finite:
    """A number that is neither infinite nor NaN."""

    operand: Node
    type: ValueType = field(default=ValueType.NUMBER, init=False)


@dataclass(frozen=True)
class Coalesce:
    """The first of several values of one type that is there; null only where all are."""

    parts: tuple[Node, ...]
    type: ValueType


@dataclass(frozen=True)
class Split:
    """One of the pieces between separators, counted from 1, or from -1 at the end; null where there is none."""

    source: Node
    separator: str
    part: int
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class SplitAll:
    """All pieces between separators, as a list of texts."""

    source: Node
    separator: str
    type: ValueType = field(default=ValueType.LIST, init=False)


@dataclass(frozen=True)
class Collect:
    """Those of several texts that are there, as a list; null where none is."""

    parts: tuple[Node, ...]
    type: ValueType = field(default=ValueType.LIST, init=False)


@dataclass(frozen=True)
class JsonItems:
    """The items of a JSON array of plain values as a list of texts and nulls; null where a text is none."""

    source: Node
    type: ValueType = field(default=ValueType.LIST, init=False)


@dataclass(frozen=True)
class ParseItems:
    """A list of texts as one of values of another type, by the table of cast rules; null where one is no such value."""

    source: Node
    items: Items
    type: ValueType = field(default=ValueType.LIST, init=False)


@dataclass(frozen=True)
class Capture:
    """What a group of a pattern (RE2) captured at its first match; null without a match."""

    source: Node
    re2: str
    group: int
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class NumberText:
    """A number written in some style as the text of a plain one, `-1234.5` or `12e-2`; null where it is none."""

    source: Node
    style: NumberStyle
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class Words:
    """True for some words and false for others, blanks around them and their case ignored; null for the rest."""

    source: Node
    true: tuple[str, ...]
    false: tuple[str, ...]
    type: ValueType = field(default=ValueType.BOOLEAN, init=False)


@dataclass(frozen=True)
class TextStep:
    """A text changed by a function.

    trim, upper, lower, collapse_spaces, strip_accents and empty_to_null take no arguments; replace takes the old and
    the new text, pad_left and pad_right the width and the character, truncate the length. A list of texts is changed
    item by item; what empty_to_null makes absent is no longer in it.
    """

    source: Node
    function: str
    arguments: tuple[str | int, ...] = ()
    type: ValueType = ValueType.TEXT


@dataclass(frozen=True)
class Aggregate:
    """The sum, min, max, count or join of those of the parts that are there; null (but for count) without any.

    `sources` are what the parts were read from, part by part: one that is there while its part is not makes it null.
    """

    function: str
    parts: tuple[Node, ...]
    type: ValueType
    separator: str = ""
    sources: tuple[Node, ...] = ()


@dataclass(frozen=True)
class NameUuid:
    """The UUID of version 5 of a namespace and a name: the one part, or `<length>:<part>` of each of several."""

    namespace: str
    parts: tuple[Node, ...]
    type: ValueType = field(default=ValueType.TEXT, init=False)


@dataclass(frozen=True)
class AtZone:
    """The instant at which the clocks of a zone show a moment, the earlier of two; null where they skip it."""

    source: Node
    zone: str
    type: ValueType = field(default=ValueType.INSTANT, init=False)


@dataclass(frozen=True)
class Compare:
    """Two values of one type and one of = != < <= > >=; texts go by code points."""

    operator: str
    left: Node
    right: Node
    type: ValueType = field(default=ValueType.BOOLEAN, init=False)


@dataclass(frozen=True)
class Logic:
    """Two conditions and one of and, or."""

    operator: str
    left: Node
    right: Node
    type: ValueType = field(default=ValueType.BOOLEAN, init=False)


@dataclass(frozen=True)
class Not:
    """A condition turned round."""

    operand: Node
    type: ValueType = field(default=ValueType.BOOLEAN, init=False)


Leaf = Column | Field
Node = (
    Leaf
    | Result
    | Literal
    | Parse
    | ParseFormats
    | Render
    | Convert
    | Lookup
    | Concat
    | MakeDate
    | ClockMinutes
    | Moment
    | WithinDayFrom
    | TimeOfDay
    | Number
    | Arithmetic
    | Negate
    | Round
    | Finite
    | Coalesce
    | Split
    | SplitAll
    | Collect
    | JsonItems
    | ParseItems
    | Capture
    | NumberText
    | Words
    | TextStep
    | Aggregate
    | NameUuid
    | AtZone
    | Compare
    | Logic
    | Not
)


@dataclass(frozen=True)
class Guard:
    """A step that can fail: it strikes where all of `given` have a value and `result` has none.

    Attributes:
        given: What the step reads; all of it must be there.
        result: What the step gives.
        error: The type of the error.
        message: What is wrong, without the value.
    """

    given: tuple[Node, ...]
    result: Node
    error: ErrorType
    message: str


@dataclass(frozen=True)
class FieldPlan:
    """How one target field comes about.

    Attributes:
        target: The field.
        inputs: The source columns and target fields it reads.
        result: What its operation gives.
        guards: The steps of the operation that can fail.
        default: Stands for the result where an input is absent.
        default_for: Nodes that say so instead of the inputs: the default stands where one of them is null.
        lenient: The result can have a value where an input has none; a blocked field has none even so.
    """

    target: TargetField
    inputs: tuple[Leaf, ...]
    result: Node
    guards: tuple[Guard, ...] = ()
    default: str | None = None
    default_for: tuple[Node, ...] = ()
    lenient: bool = False

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The target fields it reads."""
        return tuple(dict.fromkeys(leaf.name for leaf in self.inputs if isinstance(leaf, Field)))


@dataclass(frozen=True)
class Rule:
    """A condition across target fields; it is judged where all that it reads have a value.

    Attributes:
        condition: Must be true; one that cannot be computed (a division by zero) is not.
        reads: The target fields it reads.
        blamed: The target fields that the error names.
        message: What is wrong, without the values.
    """

    condition: Node
    reads: tuple[Field, ...]
    blamed: tuple[Field, ...]
    message: str


@dataclass(frozen=True)
class Key:
    """Target fields whose values no two records share; a record is not judged where one of them has no value.

    Attributes:
        fields: Their names.
        title: What they are called in messages.
    """

    fields: tuple[str, ...]
    title: str


@dataclass(frozen=True)
class Plan:
    """The mapping of one record.

    Attributes:
        fields: In an order in which each field comes after those it reads.
        columns: What the result looks like, in the order of the target schema.
        order: The target fields in that order.
        keys: What no two records share.
        null_values: Source texts that count as absent.
        rules: Conditions across the fields.
    """

    fields: tuple[FieldPlan, ...]
    columns: tuple[TargetColumn, ...]
    order: tuple[str, ...]
    keys: tuple[Key, ...]
    null_values: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
