"""The flow file as its author writes it: pydantic models, one a place in the file.

These models only say what may be written. What it means together (does the column's type fit, is there a cycle)
is decided where the plan is made.
"""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, ClassVar, Literal
from uuid import NAMESPACE_DNS, UUID, uuid5

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)
from pydantic import Tag as PydanticTag
from pydantic_core import PydanticCustomError

from lume_dagster.engine.query import bindable

TAG = "operation:"
"""Prefix of the union tags, so that they can be told from real keys in the place of an error."""

LUME_NAMESPACE = uuid5(NAMESPACE_DNS, "lume-dagster")
"""The namespace of UUID keys whose flow names none."""

DETECT = "detect"
"""The encoding that is found out by reading the file."""

Scalar = StrictStr | StrictBool | StrictInt | StrictFloat
Formats = Annotated[
    list[StrictStr], Field(min_length=1, description="strptime formats, tried in this order.")
]


def _tag(name: str) -> PydanticTag:
    return PydanticTag(TAG + name)


class Part(BaseModel):
    """A piece of a flow file: unknown keys are refused, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TargetRef(Part):
    """The value of another target field."""

    target: StrictStr = Field(description="Name of the target field.")


class ReplaceStep(Part):
    """Put one text in the place of another, wherever it stands."""

    replace: Annotated[list[StrictStr], Field(min_length=2, max_length=2, description="Old and new text.")]

    @model_validator(mode="after")
    def _something_to_replace(self) -> ReplaceStep:
        if not self.replace[0]:
            raise ValueError("needs a text to replace")
        return self


class PadSpec(Part):
    """How far a text is filled up; a longer one stays as it is."""

    width: Annotated[StrictInt, Field(ge=1, le=1000)]
    with_: Annotated[StrictStr, Field(min_length=1, max_length=1)] = Field(alias="with", default=" ")
    side: Literal["left", "right"] = "left"


class PadStep(Part):
    """Fill a text up to a width."""

    pad: PadSpec


class TruncateStep(Part):
    """Keep the first characters."""

    truncate: Annotated[StrictInt, Field(ge=1, le=1_000_000)]


PlainStep = Literal["trim", "upper", "lower", "collapse_spaces", "strip_accents", "empty_to_null"]
_STEPS = ("replace", "pad", "truncate")


def _step_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return TAG + "plain"
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, Part) else ()
    return next((TAG + step for step in _STEPS if step in keys), None)


Step = Annotated[
    Annotated[PlainStep, _tag("plain")]
    | Annotated[ReplaceStep, _tag("replace")]
    | Annotated[PadStep, _tag("pad")]
    | Annotated[TruncateStep, _tag("truncate")],
    Discriminator(
        _step_kind,
        custom_error_type="operation",
        custom_error_message=f"no step that is known; write one of {', '.join(_STEPS)} or the name of a plain step",
    ),
]
"""A change of a text."""


class TextPart(Part):
    """A fixed text."""

    text: StrictStr


def _ref_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return TAG + "column"
    if isinstance(value, TargetRef) or (isinstance(value, dict) and "text" not in value):
        return TAG + "target"
    return TAG + "text"


Ref = Annotated[
    Annotated[StrictStr, _tag("column")] | Annotated[TargetRef, _tag("target")],
    Discriminator(lambda value: TAG + "column" if isinstance(value, str) else TAG + "target"),
]
"""A source column by its name, or `{target: field}`."""

ConcatPart = Annotated[
    Annotated[StrictStr, _tag("column")]
    | Annotated[TargetRef, _tag("target")]
    | Annotated[TextPart, _tag("text")],
    Discriminator(_ref_kind),
]


def _variable_name(value: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
        # What stands here may be a URL with its password: it is not repeated.
        raise PydanticCustomError(
            "environment_variable",
            "must be the name of an environment variable that holds the URL, not the URL",
        )
    return value


EnvironmentVariable = Annotated[StrictStr, AfterValidator(_variable_name)]


class SourceSpec(Part):
    """How to read a batch. All of it is optional."""

    format: Literal["csv", "parquet", "jsonl", "json", "excel", "query"] | None = Field(
        default=None, description="How it is written; taken from the file's extension if it is not given."
    )
    delimiter: StrictStr = Field(
        default=",", description="The one character between two fields of a CSV line."
    )
    encoding: StrictStr = Field(
        default="utf-8",
        description="The text encoding of a CSV or JSON file, by its Python name; or detect.",
    )
    sheet: StrictStr | Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None,
        description="format excel: the sheet's name or its number; the first if it is not given.",
    )
    header_row: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = Field(
        default=1, description="format excel: the row that holds the names of the columns."
    )
    null_values: list[StrictStr] = Field(
        default=[""], description="Texts that mean that a value is absent, whether quoted or not."
    )
    optional: list[StrictStr] = Field(
        default=[], description="Columns the mapper reads that a batch may lack; they count as absent then."
    )
    ignore: list[StrictStr] = Field(
        default=[], description="Columns that are known and not read, so that a batch may have them."
    )
    allow_empty: StrictBool = Field(default=False, description="Accept a batch without any record.")
    connection_env: EnvironmentVariable | None = Field(
        default=None, description="format query: the environment variable that holds the database's URL."
    )
    query: StrictStr | None = Field(
        default=None, description="format query: one SELECT that binds `:source_path`, the name of the batch."
    )

    @field_validator("query")
    @classmethod
    def _one_select(cls, value: str) -> str:
        bindable(value)
        return value

    @model_validator(mode="after")
    def _whole_query(self) -> SourceSpec:
        if self.format == "query" and (self.connection_env is None or self.query is None):
            raise ValueError("format: query needs connection_env and query")
        if self.format != "query" and (self.connection_env is not None or self.query is not None):
            raise ValueError("connection_env and query are for format: query")
        return self

    @model_validator(mode="after")
    def _sheet_of_a_workbook(self) -> SourceSpec:
        if self.format not in (None, "excel") and (self.sheet is not None or self.header_row != 1):
            raise ValueError("sheet and header_row are for format: excel")
        return self

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) != 1 or not value.isascii() or value in '"\r\n':
            raise ValueError("must be one ASCII character that is neither a quote nor a line break")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        if value == DETECT:
            return value
        try:
            info = codecs.lookup(value)
            codecs.getincrementaldecoder(value)
            "x".encode(value)
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"{value!r} is not a text encoding; examples: utf-8, latin-1, cp1252, detect"
            ) from error
        return info.name


class Operation(Part):
    """The rule for one target field; the operation's name is its key."""

    operation: ClassVar[str]


class Entry(Operation):
    """An operation that reads something, which may be absent."""

    default: Scalar | None = Field(default=None, description="Used where the input is absent.")
    steps: list[Step] = Field(default=[], description="Changes of the resulting text, one after the other.")


class ExtractEntry(Entry):
    """Take one value as it is."""

    operation: ClassVar[str] = "extract"
    extract: Ref


class ConstantEntry(Operation):
    """The same value in every record; null for a field that stays empty."""

    operation: ClassVar[str] = "constant"
    constant: Scalar | None


class LookupSpec(Part):
    """A table from source values to target values."""

    from_: Ref = Field(alias="from")
    table: dict[str, Scalar] | None = Field(default=None, description="Source value: target value.")
    file: StrictStr | None = Field(
        default=None, description="A CSV file beside the flow file, with the columns key and value."
    )
    on_miss: Literal["reject", "null", "default"] = Field(
        default="reject", description="What becomes of a value that is not in the table."
    )

    @field_validator("on_miss", mode="before")
    @classmethod
    def _null(cls, value: Any) -> Any:
        return "null" if value is None else value

    @model_validator(mode="after")
    def _one_table(self) -> LookupSpec:
        if (self.table is None) == (self.file is None):
            raise ValueError("needs either table or file")
        return self


class LookupEntry(Entry):
    """Translate a value by a table."""

    operation: ClassVar[str] = "lookup"
    lookup: LookupSpec

    @model_validator(mode="after")
    def _default_given(self) -> LookupEntry:
        if self.lookup.on_miss == "default" and self.default is None:
            raise ValueError("on_miss: default needs a default beside lookup")
        return self


class ConcatEntry(Entry):
    """Join texts; where one part is absent, the whole is."""

    operation: ClassVar[str] = "concat"
    concat: Annotated[list[ConcatPart], Field(min_length=1)]
    separator: StrictStr = ""


class CoalesceEntry(Entry):
    """The first of several values that is there."""

    operation: ClassVar[str] = "coalesce"
    coalesce: Annotated[list[ConcatPart], Field(min_length=1)]


class TemplateEntry(Entry):
    """A text with columns in it, `{carrier}-{flight}`; where one is absent, the whole is."""

    operation: ClassVar[str] = "template"
    template: Annotated[
        StrictStr,
        Field(
            description="Columns stand in braces, target fields as {target(NAME)}; {{ and }} are braces themselves."
        ),
    ]


class ListEntry(Entry):
    """A list of several values; those that are absent are left out."""

    operation: ClassVar[str] = "list"
    list: Annotated[tuple[ConcatPart, ...], Field(min_length=1)]


class SplitSpec(Part):
    """One of the pieces of a text, or all of them for an array."""

    from_: Ref = Field(alias="from")
    by: Annotated[StrictStr, Field(min_length=1, description="What stands between two pieces.")]
    part: Annotated[
        StrictInt | None,
        Field(description="1 is the first piece, -1 the last; not given, all are the items of an array."),
    ] = None

    @field_validator("part")
    @classmethod
    def _not_zero(cls, value: int | None) -> int | None:
        if value is not None and not 1 <= abs(value) <= 1_000_000:
            raise ValueError("pieces are counted from 1, or from -1 at the end")
        return value


class SplitEntry(Entry):
    """One piece of a text between separators, or all of them."""

    operation: ClassVar[str] = "split"
    split: SplitSpec


class RegexSpec(Part):
    """What a pattern finds in a text."""

    from_: Ref = Field(alias="from")
    pattern: StrictStr
    group: Annotated[StrictInt, Field(ge=0, le=9, description="0 is the whole match.")] = 1
    on_miss: Literal["reject", "null", "default"] = Field(
        default="reject", description="What becomes of a text without a match."
    )

    @field_validator("on_miss", mode="before")
    @classmethod
    def _null(cls, value: Any) -> Any:
        return "null" if value is None else value


class RegexEntry(Entry):
    """What a group of a pattern captures."""

    operation: ClassVar[str] = "regex"
    regex: RegexSpec

    @model_validator(mode="after")
    def _default_given(self) -> RegexEntry:
        if self.regex.on_miss == "default" and self.default is None:
            raise ValueError("on_miss: default needs a default beside regex")
        return self


class NumberSpec(Part):
    """How a number is written."""

    from_: Ref = Field(alias="from")
    decimal: Literal[".", ","] = Field(default=".", description="What stands before the decimals.")
    thousands: Literal[",", ".", " ", "'", "_", ""] = Field(
        default="", description="What may stand between groups of three digits."
    )
    percent: StrictBool = Field(default=False, description="A % may follow; it divides by a hundred.")
    currency: list[StrictStr] = Field(default=[], description="Signs or words that may stand beside it.")
    negatives: Literal["minus", "accounting"] = Field(
        default="minus", description="accounting: parentheses make it negative as well."
    )

    @field_validator("currency")
    @classmethod
    def _words(cls, value: list[str]) -> list[str]:
        for sign in value:
            marks = not sign.strip(".,'\u2019_ \u00a0\u202f")
            if marks or sign != sign.strip() or any(char in "+-()%" or char.isdigit() for char in sign):
                raise ValueError(
                    f"{sign!r} is no currency: it needs a letter or a sign of its own, and holds no digits, signs, "
                    "parentheses or blanks around it"
                )
        return value

    @model_validator(mode="after")
    def _two_marks(self) -> NumberSpec:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands must differ")
        return self


class NumberEntry(Entry):
    """A number written for people."""

    operation: ClassVar[str] = "number"
    number: NumberSpec


class BooleanSpec(Part):
    """The words for true and false, in any case."""

    from_: Ref = Field(alias="from")
    true: Annotated[list[StrictStr], Field(min_length=1)]
    false: Annotated[list[StrictStr], Field(min_length=1)]

    @model_validator(mode="after")
    def _words(self) -> BooleanSpec:
        seen: set[str] = set()
        for word in (*self.true, *self.false):
            if not word or word != word.strip():
                raise ValueError(f"{word!r} is no word: it is empty or has blanks around it")
            if word.lower() in seen:
                raise ValueError(f"{word!r} stands there twice, apart from its case")
            seen.add(word.lower())
        return self


class BooleanEntry(Entry):
    """True or false by word lists."""

    operation: ClassVar[str] = "boolean"
    boolean: BooleanSpec


class AggregateSpec(Part):
    """One value of several; those that are absent are left out."""

    of: Annotated[list[Ref], Field(min_length=1)]
    function: Literal["sum", "min", "max", "count", "join"]
    separator: StrictStr = Field(default="", description="Stands between joined texts.")

    @model_validator(mode="after")
    def _separator_of_join(self) -> AggregateSpec:
        if self.separator and self.function != "join":
            raise ValueError("separator has a meaning only with function: join")
        return self


class AggregateEntry(Entry):
    """Sum, min, max, count or join of several values; absent where all of them are."""

    operation: ClassVar[str] = "aggregate"
    aggregate: AggregateSpec

    @model_validator(mode="after")
    def _count_is_never_absent(self) -> AggregateEntry:
        if self.aggregate.function == "count" and self.default is not None:
            raise ValueError("a count is never absent; take the default out")
        return self


class UuidSpec(Part):
    """What a key is made of."""

    of: Annotated[list[ConcatPart], Field(min_length=1)]
    namespace: UUID = Field(default=LUME_NAMESPACE, description="The namespace of the names.")


class UuidEntry(Entry):
    """The same UUID (version 5) for the same values."""

    operation: ClassVar[str] = "uuid"
    uuid: UuidSpec


class FormatsSpec(Part):
    """Read a text by formats; the first that fits decides."""

    from_: Ref = Field(alias="from")
    formats: Formats


class ZonedFormatsSpec(FormatsSpec):
    """Read a moment by formats, as the clocks of some time zone show it."""

    time_zone: StrictStr | None = Field(
        default=None, description="An IANA name such as Europe/Berlin; without it a date-time is read as UTC."
    )


class DatePartsSpec(Part):
    """A day from three numbers."""

    year: Ref
    month: Ref
    day: Ref


class ClockSpec(DatePartsSpec):
    """A moment from a day and a clock reading such as 517 for 05:17; 2400 is the next midnight."""

    hhmm: Ref
    not_before: StrictStr | None = Field(
        default=None,
        description="A target field. The day is moved so that the moment lies in the 24 hours that start at this "
        "field's value less the tolerance.",
    )
    tolerance_minutes: Annotated[StrictInt, Field(ge=0, lt=24 * 60)] = 0


class HhmmSpec(Part):
    """A time of day from a clock reading such as 517 for 05:17; 2400 is 00:00."""

    hhmm: Ref


def _either(name: str) -> Discriminator:
    return Discriminator(
        lambda value: (
            TAG + "formats"
            if isinstance(value, FormatsSpec)
            or (isinstance(value, dict) and ("from" in value or "formats" in value))
            else TAG + name
        )
    )


class DateEntry(Entry):
    """A date from a text or from numbers."""

    operation: ClassVar[str] = "date"
    date: Annotated[
        Annotated[FormatsSpec, _tag("formats")] | Annotated[DatePartsSpec, _tag("parts")],
        _either("parts"),
    ]


class DateTimeEntry(Entry):
    """A moment from a text or from numbers."""

    operation: ClassVar[str] = "datetime"
    datetime: Annotated[
        Annotated[ZonedFormatsSpec, _tag("formats")] | Annotated[ClockSpec, _tag("clock")], _either("clock")
    ]


class TimeEntry(Entry):
    """A time of day from a text or from a clock reading."""

    operation: ClassVar[str] = "time"
    time: Annotated[
        Annotated[FormatsSpec, _tag("formats")] | Annotated[HhmmSpec, _tag("hhmm")], _either("hhmm")
    ]


class ExpressionEntry(Entry):
    """Arithmetic over source columns and target fields."""

    operation: ClassVar[str] = "expression"
    expression: Annotated[
        StrictStr,
        Field(description='For example `distance * 1.609344`, `"unit price" * 2` or `target(net) * 1.19`.'),
    ]


ENTRIES: tuple[type[Operation], ...] = (
    ExtractEntry,
    ConstantEntry,
    LookupEntry,
    ConcatEntry,
    DateEntry,
    DateTimeEntry,
    TimeEntry,
    ExpressionEntry,
    ListEntry,
    CoalesceEntry,
    TemplateEntry,
    SplitEntry,
    RegexEntry,
    NumberEntry,
    BooleanEntry,
    AggregateEntry,
    UuidEntry,
)
OPERATIONS: tuple[str, ...] = tuple(entry.operation for entry in ENTRIES)


def _operation(value: Any) -> str | None:
    if isinstance(value, Operation):
        return TAG + value.operation
    if not isinstance(value, dict):
        return None
    named = [operation for operation in OPERATIONS if operation in value]
    return TAG + named[0] if named else None


MapperEntry = Annotated[
    Annotated[ExtractEntry, _tag("extract")]
    | Annotated[ConstantEntry, _tag("constant")]
    | Annotated[LookupEntry, _tag("lookup")]
    | Annotated[ConcatEntry, _tag("concat")]
    | Annotated[DateEntry, _tag("date")]
    | Annotated[DateTimeEntry, _tag("datetime")]
    | Annotated[TimeEntry, _tag("time")]
    | Annotated[ExpressionEntry, _tag("expression")]
    | Annotated[ListEntry, _tag("list")]
    | Annotated[CoalesceEntry, _tag("coalesce")]
    | Annotated[TemplateEntry, _tag("template")]
    | Annotated[SplitEntry, _tag("split")]
    | Annotated[RegexEntry, _tag("regex")]
    | Annotated[NumberEntry, _tag("number")]
    | Annotated[BooleanEntry, _tag("boolean")]
    | Annotated[AggregateEntry, _tag("aggregate")]
    | Annotated[UuidEntry, _tag("uuid")],
    Discriminator(
        _operation,
        custom_error_type="operation",
        custom_error_message=f"no operation that is known; write one of {', '.join(OPERATIONS)}",
    ),
]


class RuleSpec(Part):
    """A condition across target fields; it holds where one of them has no value."""

    rule: Annotated[StrictStr, Field(description="For example `arrival >= departure`.")]
    fields: (
        Annotated[
            list[StrictStr],
            Field(
                min_length=1, description="The fields that an error names; all of the rule's if not given."
            ),
        ]
        | None
    ) = None
    message: StrictStr = Field(default="", description="What an error says; the rule itself if not given.")


class TargetSpec(Part):
    """Where and how the results are kept."""

    format: Literal["parquet", "table"] = Field(
        default="parquet", description="parquet: files of the run. table: a table of a database as well."
    )
    connection_env: EnvironmentVariable | None = Field(
        default=None, description="format table: the environment variable that holds the database's URL."
    )
    table: StrictStr | None = Field(
        default=None,
        description="format table: its name, `invoices` or `schema.invoices`; made if it is not there.",
    )

    @field_validator("table")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"([A-Za-z_]\w{0,49}\.)?[A-Za-z_]\w{0,49}", value, re.ASCII):
            raise ValueError(
                "must be a name of letters, digits and underscores, with or without a schema before it"
            )
        return value

    @model_validator(mode="after")
    def _whole_table(self) -> TargetSpec:
        if self.format == "table" and (self.connection_env is None or self.table is None):
            raise ValueError("format: table needs connection_env and table")
        if self.format != "table" and (self.connection_env is not None or self.table is not None):
            raise ValueError("connection_env and table are for format: table")
        return self


class FlowDocument(Part):
    """A flow version: one file, `flows/<flow>/v<N>.yaml`, that never changes once it was used."""

    description: StrictStr = ""
    source: SourceSpec = Field(default_factory=SourceSpec)
    target_schema: dict[str, Any] = Field(description="JSON Schema of one target record.")
    mapper: dict[str, MapperEntry] = Field(
        description="One entry a target field, by its path in an object (`address.city`); its operation is the key."
    )
    rules: list[RuleSpec] = Field(default=[], description="Conditions across target fields.")
    target: TargetSpec = Field(default_factory=TargetSpec)
