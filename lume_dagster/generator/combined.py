"""Fields that are made of several columns, or of a part of one: names, dates and times, coordinates, places, codes.

A rule proposes only where names and values both say so. What they leave open (which part comes first, whose clock it
was) lowers the confidence below what is accepted without a review. So do names of people in one column: neither the
column's name nor the values tell whether the family name stands first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lume_dagster.generator.demands import sample_pattern, wants_sign
from lume_dagster.generator.evidence import Traits
from lume_dagster.generator.names import Name, parse_name, stem
from lume_dagster.generator.profile import PLACEHOLDERS, TEMPORAL, ColumnProfile, Kind
from lume_dagster.generator.vocabulary import OPPOSITES, STOPWORDS

SURE, LIKELY, OPEN = 0.97, 0.85, 0.7
"""Confidence of a rule: nothing is left open; the values speak for it; people have to decide something."""

_MOST_VALUES = 300
_NEARLY_ALL = 0.97


@dataclass(frozen=True)
class Combined:
    """A field that is made of several columns, or of a part of one.

    Attributes:
        sources: The columns.
        operation: The mapper entry.
        confidence: How sure it is, from 0 to 1.
        reason: Why, for people.
        instead: None of the columns as it is can be the field: better this to look at than one of them.
    """

    sources: tuple[str, ...]
    operation: Mapping[str, Any]
    confidence: float
    reason: str
    instead: bool = False


@dataclass(frozen=True)
class Role:
    """What a name says its column is, and of whom or what: `billing_first_name` is a first name, of `billing`.

    Attributes:
        what: first_name, last_name, full_name, year, month, day, hour, date, time, timestamp, city, ...
        of: The other words.
    """

    what: str
    of: frozenset[str]


_ROLES: Mapping[str, str] = {
    "first_name": "first_name",
    "middle_name": "middle_name",
    "last_name": "last_name",
    "full_name": "full_name",
    "name": "name",
    "year": "year",
    "month": "month",
    "day": "day",
    "hour": "hour",
    "minute": "minute",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "latitude": "latitude",
    "longitude": "longitude",
    "city": "city",
    "state": "state",
    "zip": "zip",
    "address": "address",
    "street_number": "street_number",
    "currency": "currency",
}
_COUPLES: Mapping[frozenset[str], str] = {
    frozenset({"date", "time"}): "timestamp",
    frozenset({"first_name", "last_name"}): "full_name",
    frozenset({"first_name", "name"}): "first_name",
    frozenset({"middle_name", "name"}): "middle_name",
    frozenset({"last_name", "name"}): "last_name",
    frozenset({"full_name", "name"}): "full_name",
}
_PERSONS = frozenset(
    {
        "customer", "vendor", "patient", "employee", "contact", "person", "passenger", "student", "user", "member",
        "author", "driver", "player", "guest", "owner", "applicant", "manager", "teacher", "doctor", "physician",
        "recipient", "sender", "spouse", "father", "mother", "parent", "child", "assignee", "candidate", "participant",
        "artist", "tenant", "agent", "client", "buyer", "staff", "attendee", "representative", "beneficiary", "holder",
        "insured", "subscriber", "donor", "visitor", "lead",
    }
)  # fmt: skip
_RELATED = frozenset(
    {
        "spouse", "father", "mother", "parent", "child", "manager", "assignee", "representative", "beneficiary",
        "recipient", "sender", "teacher", "doctor", "physician", "guest", "contact", "owner", "agent", "holder", "lead",
        "vendor", "user",
    }
)  # fmt: skip
"""People whom a record has beside the one that it is of."""
_WITHOUT_MEANING = STOPWORDS | {
    "number",
    "value",
    "column",
    "field",
    "data",
    "text",
    "local",
    "iso",
    "utc",
    "of",
}


def roles(name: Name) -> tuple[Role, ...]:
    """What a name may say its column is; several readings are possible."""
    found = []
    for reading in name.readings[1:] or name.readings:
        what = [token for token in reading if token in _ROLES]
        rest = frozenset(token for token in reading if token not in _ROLES and token not in _WITHOUT_MEANING)
        kinds = frozenset(what)
        if len(kinds) == 1:
            found.append(Role(_ROLES[what[0]], rest))
        elif couple := _COUPLES.get(kinds):
            found.append(Role(couple, rest))
    if not found:
        raw = frozenset(name.tokens)
        found = [
            Role(_ROLES[token], raw - {token} - _WITHOUT_MEANING) for token in name.tokens if token in _ROLES
        ]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Column:
    """A source column with its roles."""

    traits: Traits
    profile: ColumnProfile
    roles: tuple[Role, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.profile.name

    def of(self, what: str) -> frozenset[str] | None:
        """Of whom or what it is a `what`; None if it is none."""
        return next((role.of for role in self.roles if role.what == what), None)

    @cached_property
    def texts(self) -> list[str]:
        """Its most frequent values."""
        return [value for value, _ in self.profile.values[:_MOST_VALUES]]

    @cached_property
    def parts(self) -> tuple[tuple[str, ...], frozenset[str]]:
        """The words of its name that are equal parts of its values, and the others, which count for each."""
        return _equal_parts(self.traits.name)


def columns(sources: Sequence[Traits]) -> tuple[Column, ...]:
    """The source columns with their roles; those without values take part in no combination."""
    return tuple(
        Column(traits, traits.profile, roles(traits.name))
        for traits in sources
        if traits.profile is not None and traits.profile.kind not in (Kind.EMPTY, Kind.BINARY)
    )


def combinations(target: Traits, sources: Sequence[Column]) -> list[Combined]:
    """What a field could be made of, the surest first.

    Args:
        target: The field.
        sources: The columns, from `columns`.
    """
    found: list[Combined] = []
    for role in (*roles(target.name), *_implied(target)):
        for rule in _RULES.get(role.what, ()):
            found += rule(target, role, sources)
    found += _signed(target, sources)
    found += _part_by_name(target, sources)
    found += _pair_by_form(target, sources)
    return sorted(found, key=lambda one: (-one.confidence, one.sources))


def _implied(target: Traits) -> tuple[Role, ...]:
    """What the kind of a field says it is, whatever its name: a date, a moment, a time."""
    what = {Kind.DATE: "date", Kind.DATE_TIME: "timestamp", Kind.TIME: "time"}.get(target.kind or Kind.TEXT)
    return (Role(what, _content(target.name) - _OF_TIME),) if what else ()


def _share(texts: Sequence[str], pattern: str) -> float:
    """The share of texts that a pattern matches as a whole."""
    matcher = re.compile(pattern)
    return sum(matcher.fullmatch(text) is not None for text in texts) / len(texts) if texts else 0.0


def _examples(target: Traits) -> list[str]:
    """Values in the wanted form, with their case."""
    if target.profile is not None:
        return [value for value, _ in target.profile.values[:_MOST_VALUES]]
    return list(target.values)


# --- names of people ---------------------------------------------------------------------------------------------


def _is_person(of: frozenset[str]) -> bool:
    return bool(of) and of <= _PERSONS


def _full_name(target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """First and last name together, and the middle name where it is asked for."""
    about = frozenset(token for reading in parse_name(" ".join(target.about)).readings for token in reading)
    if not _wants_full_name(target, about):
        return
    firsts = [column for column in sources if column.of("first_name") is not None]
    lasts = [column for column in sources if column.of("last_name") is not None]
    for first in firsts if lasts else ():
        of = first.of("first_name") or frozenset()
        for last in lasts:
            if of != last.of("last_name"):
                continue
            if role.of != of and (of or not _is_person(role.of)):
                continue
            sure = SURE if role.what == "full_name" or role.of == of or len(firsts) == 1 else LIKELY
            others = frozenset[str]().union(*(column.of("first_name") or () for column in firsts)) - of
            if (role.of | about) & (others | _RELATED) - of:
                # It is about somebody whom the record has beside the one that it is of.
                sure = min(sure, LIKELY)
            order: tuple[Column, ...]
            order, separator, said, clear = _name_order(target, first, last)
            middles = [column for column in sources if column.of("middle_name") == of]
            if middles and order[0] is not last:
                shown = _share(_examples(target), r"[^\s,]+(?: [^\s,]+){2,}") >= 0.5
                if "middle" in target.about or shown:
                    order = (first, middles[0], last)
                elif not {"first", "last"} <= set(target.about) and not _examples(target):
                    sure, said = (
                        min(sure, LIKELY),
                        f"{said}; without {middles[0].name}, which nothing asks for",
                    )
            if not clear:
                sure = min(sure, OPEN)
            parts = [column.name for column in order]
            nulls = any(column.profile.nulls for column in order) or len(parts) > 2
            operation = (
                {"aggregate": {"of": parts, "function": "join", "separator": separator}}
                if nulls
                else {"concat": parts, "separator": separator}
            )
            reason = f"{' and '.join(column.name for column in order)} are the parts of the name{said}"
            yield Combined(tuple(parts), operation, sure, reason, instead=True)


_OTHER_NAMES = frozenset(
    {
        "login", "nickname", "alias", "handle", "username", "screen", "stage", "pen", "maiden", "preferred", "short",
        "former", "previous", "file", "brand", "initial", "pseudonym", "birth",
    }
)  # fmt: skip
_NAME_OF = re.compile(r"\bnames? of (?:the |an? |its |their |each )?(\w+)")


def _wants_full_name(target: Traits, about: frozenset[str]) -> bool:
    """Whether the description of a name speaks of no thing, no company, and of not only one part of the name."""
    named = _NAME_OF.search(target.description.casefold())
    if named and not frozenset(parse_name(named[1]).readings[-1]) & (_PERSONS | {"person", "people"}):
        return False
    if about & _OTHER_NAMES:
        return False
    first = {"first_name", "first", "given", "forename"} & about
    last = {"last_name", "last", "family", "surname"} & about
    return bool(first) == bool(last)


def _name_order(target: Traits, first: Column, last: Column) -> tuple[tuple[Column, Column], str, str, bool]:
    """Which name comes first, what stands between, how that is known, and whether it is clear."""
    examples = _examples(target)
    if examples:
        with_comma = sum("," in value for value in examples) / len(examples)
        if with_comma >= 0.8:
            return (last, first), ", ", ", as `Last, First` in the wanted form", True
        if with_comma <= 0.2 and sum(" " in value for value in examples) >= 0.5 * len(examples):
            return (first, last), " ", ", in the order of the wanted form", True
        return (first, last), " ", "; the wanted form shows neither order", False
    about = " ".join(target.about)
    if re.search(r"\b(?:last|surname|family)\b.*\b(?:first|given|forename)\b", about):
        return (last, first), ", ", "; the description names the last one first", False
    return (first, last), " ", "", True


_NO_NAME = re.compile(
    r"\b(?:ltd|limited|inc|llc|llp|plc|corp|corporation|gmbh|ag|kg|se|sa|sas|sarl|spa|srl|bv|nv|oy|ab|as|aps|company|co|group"
    r"|holding|holdings|bank|foundation|university|sohne|sons)\b|[&0-9]",
    re.IGNORECASE,
)
"""What stands in names of companies, and in no name of a person."""
_TITLE = re.compile(
    r"(?:^|,\s)(?:(?:dr|mr|mrs|ms|mx|miss|prof|sir|dame|rev|herr|frau|mme|mlle|sr|sra|dott|ing)\.?|m\.)\s"
    r"|[\s,](?:jr|sr|ii|iii|iv|phd|md|do|esq)\.?$",
    re.IGNORECASE,
)


def _part_of_name(target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """First or last name out of a full name; accepted only if a comma or values in the wanted form tell the order."""
    candidates = [(column, of, plain) for column in sources for of, plain in _whose_name(column, role)]
    for column, of, plain in candidates:
        texts = column.texts
        two_words = _share(texts, r"[^\s,]+ [^\s,]+")
        with_comma = _share(texts, r"[^,]+, [^,]+")
        if with_comma >= _NEARLY_ALL:
            part = 2 if role.what == "first_name" else 1
            by, said = ", ", "`Last, First`"
            sure = SURE if with_comma == 1 else OPEN
        elif two_words + _share(texts, r"[^\s,]+(?: [^\s,]+){2,}") >= 0.8:
            part = 1 if role.what == "first_name" else -1
            by, sure, said = " ", LIKELY, "two words; taken for granted: the first name stands first"
            pieces = [text.split(" ")[part - 1 if part > 0 else part] for text in texts]
            if target.profile is not None and _found_in(pieces, target):
                sure, said = SURE, "two words, in the order of the wanted form"
            if two_words < _NEARLY_ALL:
                sure, said = OPEN, "two words, some of more: look at these"
        else:
            continue
        if plain and not of:
            # Products and companies have names of two words, too.
            sure = min(sure, LIKELY)
        if role.of != of and (role.of or len(candidates) > 1 or of & _RELATED):
            sure = min(sure, LIKELY)
        if any(_NO_NAME.search(text) or _TITLE.search(text) for text in texts):
            sure, said = min(sure, OPEN), f"{said}; some hold a title, or are of companies"
        yield Combined(
            (column.name,),
            {"split": {"from": column.name, "by": by, "part": part}},
            sure,
            f"the values of {column.name} are names of {said}",
            instead=True,
        )


def _whose_name(column: Column, role: Role) -> Iterator[tuple[frozenset[str], bool]]:
    """Whose names a column holds, if the field may be a part of these, and whether it only says `name`."""
    of = column.of("full_name")
    plain = of is None
    if of is None:
        of = column.of("name")
    if of is None or (plain and of and not _is_person(of)):
        return
    if not (role.of and of and role.of != of):
        yield of, plain


# --- dates and times ---------------------------------------------------------------------------------------------


def _within(column: Column, low: float, high: float) -> bool:
    numbers = column.profile.quantiles
    return bool(numbers) and low <= numbers[0] and numbers[-1] <= high and column.profile.kind in _COUNTED


_COUNTED = {Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN}
_BOUNDS = {"year": (1000, 2999), "month": (1, 12), "day": (1, 31), "hour": (0, 24), "minute": (0, 59)}


def _date_parts(sources: Sequence[Column]) -> Iterator[tuple[frozenset[str], Column, Column, Column]]:
    """Columns of year, month and day that belong together."""

    def having(what: str, of: frozenset[str]) -> list[Column]:
        low, high = _BOUNDS[what]
        return [column for column in sources if column.of(what) == of and _within(column, low, high)]

    for of in dict.fromkeys(of for column in sources if (of := column.of("year")) is not None):
        years, months, days = (having(what, of) for what in ("year", "month", "day"))
        if len(years) == len(months) == len(days) == 1:
            yield of, years[0], months[0], days[0]


def _belongs(role: Role, of: frozenset[str], alone: bool) -> float:
    """How sure it is that a field is made of parts: of the same thing, or of the only ones there are."""
    if role.of == of:
        return SURE
    if of and role.of & of:
        return LIKELY
    return LIKELY if alone and not of else 0.0


def _whole_date(target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """A date of year, month and day."""
    if target.kind not in (Kind.DATE, None):
        return
    sets = list(_date_parts(sources))
    for of, year, month, day in sets:
        parts = {"year": year.name, "month": month.name, "day": day.name}
        sure = _belongs(role, of, len(sets) == 1)
        if sure and not _has_whole(sources, role):
            yield Combined(
                tuple(parts.values()),
                {"date": parts},
                sure if target.kind is Kind.DATE else OPEN,
                "year, month and day are the parts of the date",
            )


def _has_whole(sources: Sequence[Column], role: Role) -> bool:
    """Whether a column of the same thing holds its date already."""
    return any(
        column.profile.kind in (Kind.DATE, Kind.DATE_TIME)
        and _content(column.traits.name) - _OF_TIME == role.of
        for column in sources
    )


def _is_clock(column: Column) -> bool:
    """Whether the numbers are clock readings such as 517 for 05:17."""
    texts = [text.removesuffix(".0") for text in column.texts if text.strip().casefold() not in PLACEHOLDERS]
    if not texts or not all(text.isascii() and text.isdigit() and len(text) <= 4 for text in texts):
        return False
    numbers = [int(text) for text in texts]
    return max(numbers) <= 2400 and max(numbers) > 100 and all(number % 100 < 60 for number in numbers)


def _moment(target: Traits, _role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """A moment of a day and a clock reading."""
    sets = list(_date_parts(sources))
    if len(sets) != 1 or sets[0][0]:
        return
    _, year, month, day = sets[0]
    words = _content(target.name) - _OF_TIME
    if words:
        # What is not said to be planned is what really was.
        words |= {_root(word) for word in target.about} & {_PLANNED}

    def distance(column: Column) -> tuple[int, int]:
        named = _content(column.traits.name) - _OF_TIME
        return -len(words & named), len(words ^ named)

    clocks = sorted(
        (column for column in sources if column.of("year") is None and _is_clock(column)), key=distance
    )
    if not clocks or (words and not distance(clocks[0])[0]):
        return
    if len(clocks) > 1 and distance(clocks[0]) == distance(clocks[1]):
        return
    parts = {"year": year.name, "month": month.name, "day": day.name, "hhmm": clocks[0].name}
    # A moment with a zone is read as UTC, which the clock on the wall need not show.
    late = bool(words & _LATER)
    # The day is that of the plan: what was to be at 23:50 may really be on the next day.
    planned = len(clocks) == 1 or _PLANNED in words
    exact = distance(clocks[0])[1] == 0 and target.local and planned and not late
    yield Combined(
        tuple(parts.values()),
        {"datetime": parts},
        SURE if exact else OPEN,
        f"year, month and day are its date, {clocks[0].name} shows the clock as hours and minutes"
        + ("; it may be on the next day: see not_before" if late else "")
        + ("" if target.local else "; taken as UTC, which nothing says"),
    )


def _date_and_time(target: Traits, _role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """A moment of a date and a time that are written by ISO 8601."""
    dates = [column for column in sources if column.profile.kind is Kind.DATE and _is_iso_date(column)]
    times = [column for column in sources if column.profile.kind is Kind.TIME and _is_iso_time(column)]
    words = _content(target.name) - _OF_TIME
    for day in dates:
        for clock in times:
            of = _content(day.traits.name) - _OF_TIME
            if of != _content(clock.traits.name) - _OF_TIME or (of and words != of):
                continue
            if words != of and (len(dates) > 1 or len(times) > 1):
                continue
            zone = [] if target.local else [{"text": "Z"}]
            yield Combined(
                (day.name, clock.name),
                {"concat": [day.name, {"text": "T"}, clock.name, *zone]},
                (SURE if words == of else LIKELY) if target.local else OPEN,
                f"{day.name} and {clock.name} are its date and its time"
                + ("" if target.local else "; taken as UTC, which nothing says"),
            )


_PLANNED = "schedul"
_LATER = frozenset({"arrival", "end", "close", "checkout"})
_OF_TIME = frozenset({"date", "time", "timestamp", "day", "hour", "at", "on"})


def _content(name: Name) -> frozenset[str]:
    return frozenset(_root(word) for token in _listed(name) for word in token.split("_")) - _WITHOUT_MEANING


def _root(word: str) -> str:
    """A word without the ending that makes it a participle: `ordered` is of the order."""
    root = stem(word)
    return root.removesuffix("ed") if len(root) > 5 else root


def _is_iso_date(column: Column) -> bool:
    return _share(column.texts, r"[0-9]{4}-[0-9]{2}-[0-9]{2}") == 1


def _is_iso_time(column: Column) -> bool:
    return _share(column.texts, r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?") == 1


_PIECES_OF_TIME: Mapping[str, tuple[str, str]] = {
    "year": (r"([0-9]{4})-[0-9]{2}-[0-9]{2}.*", "^([0-9]{4})-"),
    "month": (r"[0-9]{4}-([0-9]{2})-[0-9]{2}.*", "^[0-9]{4}-([0-9]{2})-"),
    "day": (r"[0-9]{4}-[0-9]{2}-([0-9]{2}).*", "^[0-9]{4}-[0-9]{2}-([0-9]{2})"),
    "hour": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([0-9]{2}):[0-9]{2}.*", "[T ]([0-9]{2}):"),
    "minute": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:([0-9]{2}).*", "[T ][0-9]{2}:([0-9]{2})"),
    "date": (r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ][0-9:.]+.*", "^([0-9]{4}-[0-9]{2}-[0-9]{2})"),
    "time": (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?).*",
        "[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)",
    ),
}


def _piece_of_time(target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """A year, a day, a time, ... out of a date or a moment that is written by ISO 8601."""
    whole, pattern = _PIECES_OF_TIME[role.what]
    if role.what == "month" and sample_pattern(target.description) == "YYYY-MM" and not target.typed:
        whole, pattern = r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*", "^([0-9]{4}-[0-9]{2})-"
    wanted = {"date": {Kind.DATE, None}, "time": {Kind.TIME, None}}.get(role.what, {Kind.INTEGER, None})
    if target.kind not in wanted:
        return
    candidates = [
        column
        for column in sources
        if column.profile.kind in (Kind.DATE, Kind.DATE_TIME) and _share(column.texts, whole) == 1
    ]
    exact = [column for column in candidates if _content(column.traits.name) - _OF_TIME == role.of]
    chosen = exact or (candidates if not role.of else [])
    if len(chosen) != 1:
        return
    zoned = (
        _share(chosen[0].texts, r".*[T ].*(?:[+-](?!00:?00)[0-9]{2}:?[0-9]{2})") > 0
        and chosen[0].profile.kind is Kind.DATE_TIME
    )
    # In a text it may be the date of the day, or the name of the month.
    vague = role.what in ("day", "month") and target.kind is None and not sample_pattern(target.description)
    yield Combined(
        (chosen[0].name,),
        {"regex": {"from": chosen[0].name, "pattern": pattern, "group": 1}},
        SURE if exact and not zoned and not vague else LIKELY if exact else OPEN,
        f"the {role.what} of {chosen[0].name}" + (", as its own time zone shows it" if zoned else ""),
        # A field that may be any text would take the whole moment.
        instead=bool(exact),
    )


# --- places ------------------------------------------------------------------------------------------------------


_OF_POSITION = frozenset(
    {
        "latitude", "longitude", "coordinate", "coord", "location", "position", "geo", "gps", "point", "latlng",
        "latlon", "lonlat", "lnglat", "place", "geolocation", "geopoint", "pair",
    }
)  # fmt: skip
_OF_PLACE = frozenset({"city", "state", "zip", "country", "address", "place", "location", "line"})


def _belongs_to(role: Role, column: Column, heads: frozenset[str]) -> float:
    """How sure a part of a column is of what a field is of, by what else the two names say."""
    left = " ".join(token for token in column.traits.name.tokens if stem(token) not in heads)
    of = _content(parse_name(left)) - heads
    if of == role.of:
        return SURE
    return 0.0 if of and role.of else OPEN


def _coordinate(_target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """Latitude or longitude out of a pair."""
    number = r"[+-]?[0-9]{1,3}(?:\.[0-9]+)?"
    for column in sources:
        belongs = _belongs_to(role, column, _OF_POSITION)
        if not belongs or not _share(column.texts[:5], rf"{number}.{{1,2}}{number}"):
            continue
        for separator in (", ", ",", ";", " ", "|", "/"):
            if _share(column.texts, rf"{number}{re.escape(separator)}{number}") < _NEARLY_ALL:
                continue
            pairs = [text.split(separator) for text in column.texts]
            order = _coordinate_order(
                column.traits.name, [(float(one), float(other)) for one, other in pairs if other]
            )
            if order is None:
                continue
            first, sure = order
            part = 1 if (role.what == "latitude") == (first == "latitude") else 2
            yield Combined(
                (column.name,),
                {"split": {"from": column.name, "by": separator, "part": part}},
                min(sure, belongs),
                f"{column.name} holds pairs of coordinates, the {first} first",
                instead=True,
            )
            break


def _coordinate_order(name: Name, pairs: Sequence[tuple[float, float]]) -> tuple[str, float] | None:
    """Which coordinate comes first and how sure it is; None if neither can be a latitude."""
    first, second = max(abs(one) for one, _ in pairs), max(abs(other) for _, other in pairs)
    if first > 180 or second > 180 or (first > 90 and second > 90):
        return None
    if first > 90 or second > 90:
        return ("longitude" if first > 90 else "latitude"), SURE
    joined = name.joined
    latitude, longitude = joined.find("lat"), max(joined.find("lon"), joined.find("lng"))
    if latitude >= 0 and longitude >= 0:
        return ("latitude" if latitude < longitude else "longitude"), SURE
    return "latitude", OPEN


_PLACE = re.compile(r"([^,]+), ([A-Z]{2})(?: ([0-9]{5}(?:-[0-9]{4})?))?")


def _piece_of_place(_target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """City, state or zip out of `Boston, MA 02110`."""
    patterns = {"city": "^([^,]+), [A-Z]{2}", "state": ", ([A-Z]{2})", "zip": "([0-9]{5}(?:-[0-9]{4})?)$"}
    for column in sources:
        belongs = _belongs_to(role, column, _OF_PLACE)
        if not belongs or not _share(column.texts[:5], _PLACE.pattern):
            continue
        matches = [_PLACE.fullmatch(text) for text in column.texts]
        found = [match for match in matches if match]
        if not matches or len(found) < _NEARLY_ALL * len(matches):
            continue
        if role.what == "zip" and not all(match[3] for match in found):
            continue
        exact = {"city", "state", "zip"} & _content(column.traits.name)
        yield Combined(
            (column.name,),
            {"regex": {"from": column.name, "pattern": patterns[role.what], "group": 1}},
            min(belongs, SURE) if len(exact) > 1 and len(found) == len(matches) else OPEN,
            f"the values of {column.name} are written like `City, ST 01234`",
            instead=True,
        )


def _street_and_number(target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """An address of street and house number; which comes first is for people to decide, unless it is written."""
    for number in sources:
        of = number.of("street_number")
        if of is None or (role.of and role.of != of):
            continue
        streets = [column for column in sources if column.of("address") == of and column is not number]
        if len(streets) != 1:
            continue
        street = streets[0]
        if _share(street.texts, r".*[0-9].*") > 0.1:
            continue
        examples = _examples(target)
        leading, trailing = _share(examples, r"[0-9].*"), _share(examples, r"[^0-9].*[0-9]+\s?[a-zA-Z]?")
        order = (number, street) if leading > 0.8 else (street, number)
        yield Combined(
            tuple(column.name for column in order),
            {"concat": [column.name for column in order], "separator": " "},
            SURE if max(leading, trailing) > 0.8 else OPEN,
            f"{street.name} and {number.name} are the parts of the address",
            instead="number" in target.about,
        )


def _currency(_target: Traits, role: Role, sources: Sequence[Column]) -> Iterator[Combined]:
    """The currency that is written beside an amount."""
    for column in sources:
        texts = column.texts
        for whole, pattern in (
            (r"-?[0-9][0-9.,' ]* ?[A-Z]{3}", "([A-Z]{3})$"),
            (r"[A-Z]{3} ?-?[0-9][0-9.,' ]*", "^([A-Z]{3})"),
        ):
            if len(texts) > 1 and _share(texts, whole) == 1:
                amounts = [one for one in sources if one.of("currency") is not None]
                same = not role.of or role.of & _content(column.traits.name)
                if not amounts:
                    yield Combined(
                        (column.name,),
                        {"regex": {"from": column.name, "pattern": pattern, "group": 1}},
                        LIKELY if same else OPEN,
                        f"the values of {column.name} have a currency beside the amount",
                    )


# --- by name and form --------------------------------------------------------------------------------------------

_SEPARATORS = (" - ", ", ", " / ", "/", "|", ";", "-", "_", ":", ",")
"""What stands between the parts of a value. Not a blank: it stands within names, places and most other texts."""
_JOINS = re.compile(r"\s*[/&+|,;]\s*|\s+(?:-|and|und|et|y)\s+", re.IGNORECASE)


def _part_by_name(target: Traits, sources: Sequence[Column]) -> Iterator[Combined]:
    """A part of a column whose name joins equal parts: `origin_dest` with `EWR-IAH`.

    Two words alone are no list: a `Product Name` is the name of a product. Equal parts have words that exclude each
    other, or something that joins them: `Brand/Model`. That the values are in the same order is only sure if the
    field's values are known.
    """
    wanted = frozenset(word for word in _listed(target.name) if word not in _WITHOUT_MEANING)
    for column in sources:
        parts, common = column.parts
        if not parts or column.profile.kind in _WHOLE:
            continue
        places = [place for place, word in enumerate(parts) if wanted - common == {word}]
        if len(places) != 1:
            continue
        fitting = [
            separator
            for separator in _SEPARATORS
            if column.texts
            and all(
                len(pieces := text.split(separator)) == len(parts) and all(map(str.strip, pieces))
                for text in column.texts
            )
        ]
        if not fitting:
            continue
        separator, place = fitting[0], places[0]
        agreed = bool(target.values) and _found_in(
            [text.split(separator)[place].strip() for text in column.texts], target
        )
        if target.values and not agreed and _found_in(column.texts, target):
            continue
        sure = (
            SURE if agreed else OPEN if target.values or len({one.strip() for one in fitting}) > 1 else LIKELY
        )
        yield Combined(
            (column.name,),
            {"split": {"from": column.name, "by": separator, "part": place + 1}},
            sure,
            f"{column.name} lists {' and '.join(parts)}, and its values have as many parts",
            instead=True,
        )


def is_one_of(target: Traits, column: Column) -> bool:
    """Whether a field is only one of the parts that a column's name lists: the origin of `origin_dest`."""
    wanted = frozenset(word for word in _listed(target.name) if word not in _WITHOUT_MEANING)
    parts, common = column.parts
    return any(wanted - common == {part} for part in parts)


def _equal_parts(name: Name) -> tuple[tuple[str, ...], frozenset[str]]:
    """The words of a name that exclude each other or are joined, and the others, which count for each; or none."""
    listed = [word for word in _listed(name) if word not in _WITHOUT_MEANING]
    joined = [parse_name(text).readings[-1] for text in _JOINS.split(name.text)]
    if 2 <= len(set(joined)) == len(joined) <= _MOST_PARTS and all(len(one) == 1 for one in joined):
        return tuple(one[0] for one in joined), frozenset()
    for group in dict.fromkeys(group for word in listed for group in OPPOSITES.get(word, ())):
        parts = tuple(word for word in listed if group in OPPOSITES.get(word, ()))
        if 2 <= len(parts) <= _MOST_PARTS and len(set(parts)) == len(parts):
            return parts, frozenset(listed) - set(parts)
    return (), frozenset()


_MOST_PARTS = 4
_SIGNS: tuple[frozenset[str], frozenset[str]] = (
    frozenset({"d", "dr", "db", "deb", "debit", "debits", "s", "soll"}),
    frozenset({"c", "cr", "cre", "cred", "credit", "credits", "h", "haben"}),
)
"""How a column says that a record is a debit, or a credit."""


def _signed(target: Traits, sources: Sequence[Column]) -> Iterator[Combined]:
    """An amount with its sign, where the sign stands in a column of its own: `-`, or `D` and debits are negative."""
    if target.kind not in (Kind.INTEGER, Kind.NUMBER) or not wants_sign(target.description):
        return
    own = frozenset(_listed(target.name)) - _WITHOUT_MEANING
    amounts = [
        column
        for column in sources
        if frozenset(_listed(column.traits.name)) - _WITHOUT_MEANING == own
        and _share(column.texts, r"[0-9]+(?:\.[0-9]+)?") == 1
    ]
    signs = [(column, steps) for column in sources if (steps := _sign_steps(target, column)) is not None]
    if len(amounts) != 1 or len(signs) != 1:
        return
    (sign, steps), amount = signs[0], amounts[0]
    yield Combined(
        (sign.name, amount.name),
        {"concat": [sign.name, amount.name], "steps": steps},
        SURE if _is_of_signs(sign) and not sign.profile.nulls else LIKELY,
        f"{sign.name} says which of {amount.name} are negative",
        instead=True,
    )


def _is_of_signs(column: Column) -> bool:
    """Whether nothing else can be meant by its values: a C may be a grade, and a + a blood group."""
    words = set(column.traits.name.tokens)
    return bool(words & _OF_SIGNS) or all(len(text) > len("Dr.") for text in column.texts)


def _sign_steps(target: Traits, column: Column) -> list[dict[str, list[str]]] | None:
    """The steps that make a sign of each value that stands before a number; None if the values are no signs."""
    texts = column.texts
    if not texts or len(texts) > _MOST_SIGNS:
        return None
    if set(texts) <= {"-", "+"}:
        return [{"replace": ["+", ""]}]
    description = target.description.casefold()
    of_debits, of_credits = (
        bool(re.search(rf"\b{one}\w*[^.;,]*\bnegative|\b(?:negative|minus)\b[^.;,]*\b{one}", description))
        for one in ("debit", "credit")
    )
    negative, positive = _SIGNS if of_debits else _SIGNS[::-1]
    folded = {text.casefold().rstrip(".") for text in texts}
    if of_debits == of_credits or not folded <= negative | positive:
        return None
    # The longer one first: it may hold the shorter.
    return [
        {"replace": [text, "-" if text.casefold().rstrip(".") in negative else ""]}
        for text in sorted(texts, key=lambda text: (-len(text), text))
    ]


_MOST_SIGNS = 4
_OF_SIGNS = frozenset(
    {"sign", "sgn", "vorzeichen", "d", "c", "dc", "dr", "cr", "drcr", "debit", "credit", "side", "direction", "soll",
     "haben", "sh"}
)  # fmt: skip
_WHOLE = {*TEMPORAL, Kind.URI, Kind.IMAGE, Kind.EMAIL, Kind.UUID, Kind.INTEGER, Kind.NUMBER}


def _listed(name: Name) -> list[str]:
    reading = name.readings[1] if len(name.readings) > 1 else name.readings[0]
    return list(reading)


def _found_in(texts: Sequence[str], target: Traits) -> bool:
    known = sum(text.casefold() in target.values for text in texts)
    return known >= 0.5 * len(texts)


def _pair_by_form(target: Traits, sources: Sequence[Column]) -> Iterator[Combined]:
    """Two columns that, put together, give the values in the wanted form: `UA` and `1545` for `UA-1545`.

    Both parts of at least half of the wanted values have to be values of the columns.
    """
    examples = _examples(target)[:50]
    if len(examples) < _FEW_EXAMPLES or target.kind in _WHOLE:
        return
    known = {
        column.name: {text.casefold() for text, _ in column.profile.values}
        for column in sources[:_MAX_PAIRED]
    }
    heads = [column for column in sources[:_MAX_PAIRED] if _begins(examples, known[column.name])]
    for separator in ("", "-", " ", "/", "_", ":", ", ", "."):
        for first in heads:
            for second in sources[:_MAX_PAIRED]:
                if first is second:
                    continue
                met = _meets(examples, separator, known[first.name], known[second.name])
                if met < _SOME:
                    continue
                parts, pairs = (first.name, second.name), first.profile.distinct * second.profile.distinct
                yield Combined(
                    parts,
                    {"concat": list(parts), "separator": separator},
                    SURE if len(examples) >= _MANY_EXAMPLES and pairs >= _MANY_PAIRS else LIKELY,
                    f"the wanted values are those of {first.name} and {second.name}, with {separator!r} between",
                )


_FEW_EXAMPLES, _MANY_EXAMPLES = 3, 10
_SOME = 0.6
_MANY_PAIRS = 100
_MAX_PAIRED = 200


def _begins(examples: Sequence[str], known: set[str]) -> bool:
    """Whether examples begin with values of a column."""
    lengths = {len(text) for text in known}
    found = sum(any(text[:length].casefold() in known for length in lengths) for text in examples)
    return found >= _SOME * len(examples)


def _meets(examples: Sequence[str], separator: str, first: set[str], second: set[str]) -> float:
    """The share of the wanted values of which both parts are known."""
    met = 0
    for example in examples:
        text = example.casefold()
        if separator:
            head, found, tail = text.partition(separator)
            met += bool(found) and head in first and tail in second
        else:
            met += any(text[:cut] in first and text[cut:] in second for cut in range(1, min(len(text), 12)))
    return met / len(examples)


_Rule = Callable[[Traits, Role, Sequence[Column]], Iterator[Combined]]
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "full_name": (_full_name,),
    "name": (_full_name,),
    "first_name": (_part_of_name,),
    "last_name": (_part_of_name,),
    "date": (_whole_date, _piece_of_time),
    "time": (_piece_of_time,),
    "timestamp": (_moment, _date_and_time),
    "year": (_piece_of_time,),
    "month": (_piece_of_time,),
    "day": (_piece_of_time,),
    "hour": (_piece_of_time,),
    "minute": (_piece_of_time,),
    "latitude": (_coordinate,),
    "longitude": (_coordinate,),
    "city": (_piece_of_place,),
    "state": (_piece_of_place,),
    "zip": (_piece_of_place,),
    "address": (_street_and_number,),
    "currency": (_currency,),
}
"""What a field's role may be made of."""
