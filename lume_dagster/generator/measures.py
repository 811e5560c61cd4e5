"""How a column or a field is measured: what its name, its description and the signs beside its numbers say.

Four things are told apart, as each may be said by itself: the unit, the currency, the scale (thousands, cents) and the
period (per month, yearly). Where two sides do not plainly say the same, either exact arithmetic turns one into the
other, or a problem says what is open: nothing of it is ever guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from itertools import product as every_choice

from lume_dagster.generator.units import Unit, conversion, is_convertible, product, units_of


class Aspect(Enum):
    """What is said of a number."""

    UNIT = "unit"
    CURRENCY = "currency"
    SCALE = "scale"
    PERIOD = "period"


Measure = Mapping[Aspect, frozenset[Unit]]
"""What is said of each aspect; several units if it is not clear which is meant."""


@dataclass(frozen=True)
class _Mention:
    """A place that speaks of measures."""

    start: int
    end: int
    meanings: tuple[tuple[Aspect, Unit], ...]
    factors: int


_TOKEN = re.compile(
    r"°\s?[CFcf](?![^\W_])|[ktmKTM][€]|[^\W\d_]+[²³]|[A-Za-z]{1,4}[23](?![^\W_])|[^\W\d_]+|\d+(?:[.,]\d+)*|[%‰€$£¥₹/()\[\]{},.;:-]"
)
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_SCALED_CURRENCY = re.compile(r"([ktm])(eur|usd|gbp|chf|€)", re.IGNORECASE)
_SCALES = {"k": "thousand", "t": "thousand", "m": "million"}
_OPEN = frozenset("([{")
_SQUARE, _CUBIC = frozenset({"sq", "square"}), frozenset({"cu", "cubic"})
_POWER_SIGNS = {"²": 2, "³": 3, "2": 2, "3": 3}
_POWER_WORDS = {"squared": 2, "cubed": 3}
_PERIODS = {
    "hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year",
    "annual": "year", "annually": "year", "annum": "year",
}  # fmt: skip
_EACH = frozenset({"per", "a", "an", "each", "every"})
_ONE_OF_TIME = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})
"""Words that are a unit only where the context says so: a `minute` may be that of a departure."""
_LONG_BUT_COMMON = frozenset({"min", "bar", "atm", "bps", "cent", "mol"})
_CONTEXT = {
    "length": "length depth height width distance diameter radius altitude elevation thickness rainfall rain snowfall "
    "precipitation visibility dist elev alt länge höhe breite tiefe distanz entfernung strecke mileage",
    "mass": "weight mass wt gewicht payload",
    "temperature": "temp temperature dewpoint tmp temperatur degrees celsius fahrenheit",
    "time": "duration latency time delay wait waiting elapsed runtime uptime pace dauer zeit lag timeout age tenure",
    "speed": "speed velocity wind gust geschwindigkeit",
    "pressure": "pressure barometer druck",
    "volume": "volume capacity volumen",
    "data": "size storage memory disk file download upload traffic ram",
    "currency": "price amount revenue sales cost costs salary income budget turnover fee payment spend profit",
}
_KINDS_OF = {word: kind for kind, words in _CONTEXT.items() for word in words.split()}
_ALSO = {"currency": {"scale"}, "time": {"months"}}
_UNKNOWN = re.compile(r"\bin ([^\W\d_]{1,4})(?=[.,;)]|$)")
_NO_UNITS = frozenset({"all", "full", "fact", "us", "uk", "eu", "use", "time", "cash", "kind", "part", "it", "year", "row",
                       "text", "store", "that", "this", "them", "hand", "bank", "one", "two", "turn", "line"})  # fmt: skip
"""Short words behind `in` that are no unit that the table lacks."""
_NEED_CONTEXT = frozenset({"in", "min", "t", "s", "h", "l", "c", "f"})
_SHARED_BELOW = frozenset({"time", "volume"})
_SHARED_ABOVE = frozenset({"length", "mass", "substance", "volume", "data"})


def measure_of(name: str, description: str = "", beside: Iterable[str] = (), *, about: str = "") -> Measure:
    """How a column or a field is measured.

    Args:
        name: Its name.
        description: What is known about it, in sentences.
        beside: The signs that stand beside its numbers.
        about: All that is said of it and of what it is held against: a short word such as `m` is a metre of a length
            and a million of a price.

    Returns:
        Nothing of an aspect that nothing is said of.
    """
    words = {word.lower() for word in re.findall(r"[^\W\d_]+", _spaced(f"{name} {description} {about}"))}
    kinds = {_KINDS_OF[word] for word in words if word in _KINDS_OF}
    kinds |= {also for kind in kinds for also in _ALSO.get(kind, ())}
    sure = [*_in_name(name, kinds), *_beside(beside, kinds)]
    plain, loose = _in_sentence(description, kinds)
    said: dict[Aspect, frozenset[Unit]] = {}
    for aspect in Aspect:
        strong, weak = (
            [found for mention in mentions if (found := _of(mention, aspect))]
            for mentions in ((*sure, *plain), loose)
        )
        if given := strong or weak:
            common = frozenset.intersection(*given)
            said[aspect] = common or frozenset[Unit]().union(*given)
    if not said and (unknown := _UNKNOWN.search(description)) and unknown[1].lower() not in _NO_UNITS:
        said[Aspect.UNIT] = frozenset({_thing(unknown[1])})
    return said


def _of(mention: _Mention, aspect: Aspect) -> frozenset[Unit]:
    return frozenset(unit for own, unit in mention.meanings if own is aspect)


def _spaced(name: str) -> str:
    return re.sub(r"[_.]|(?<=[a-z])(?=[A-Z])", " ", name)


def _in_name(name: str, kinds: set[str]) -> Iterator[_Mention]:
    tokens = tuple(_name_tokens(name.lower() if name.isupper() else name))
    for mention in _mentions(tokens, kinds, named=True):
        inside = tokens[mention.start - 1] in _OPEN if mention.start else False
        word = tokens[mention.start].lower()
        if not inside and mention.factors == 1 and mention.end - mention.start == 1:
            last = mention.start > 0 and mention.end == len(tokens)
            short = len(word) <= 2 or word in _LONG_BUT_COMMON
            if short and word not in "%$€£¥₹‰" and not last:
                continue
            told = any(unit.kind in kinds for unit in units_of(word))
            if (word in _NEED_CONTEXT or word in _ONE_OF_TIME) and not (last and told):
                continue
        yield mention


def _name_tokens(name: str) -> Iterator[str]:
    """The words of a name; one of mixed case is taken apart where that makes no unit of one, as in `kWh`."""
    for token in _tokens(re.sub(r"[_.\-]", " ", name)):
        if units_of(token) or not token.isalpha():
            yield token
            continue
        parts = _CAMEL.findall(token)
        tail = next((at for at in range(1, len(parts)) if units_of("".join(parts[at:]))), len(parts))
        yield from parts[:tail]
        if tail < len(parts):
            yield "".join(parts[tail:])


def _tokens(text: str) -> Iterator[str]:
    """Words, numbers and signs; a currency with its scale, such as `kEUR`, as two words."""
    for token in _TOKEN.findall(text):
        scaled = _SCALED_CURRENCY.fullmatch(token)
        yield from (_SCALES[scaled[1].lower()], scaled[2]) if scaled else (token,)


def _beside(signs: Iterable[str], kinds: set[str]) -> Iterator[_Mention]:
    for sign in signs:
        yield from _mentions(tuple(_tokens(sign)), kinds, named=False)


def _in_sentence(text: str, kinds: set[str]) -> tuple[list[_Mention], list[_Mention]]:
    """What a description says plainly (`in km`, `(km)`, `km.` behind a comma), and what it mentions."""
    plain: list[_Mention] = []
    loose: list[_Mention] = []
    tokens = tuple(_tokens(text))
    previous: _Mention | None = None
    for mention in _mentions(tokens, kinds, named=False):
        before = tokens[mention.start - 1].lower() if mention.start else ""
        word = tokens[mention.start].lower()
        whole = mention.end - mention.start == len([token for token in tokens if token != "."])
        alone = mention.end == len(tokens) or tokens[mention.end] in ".;,)]}"
        single = mention.factors == 1 and mention.end - mention.start == 1
        follows = (
            previous is not None
            and previous in plain
            and tokens[previous.end : mention.start] in ((), ("of",), ("(",))
        )
        if single and word in _ONE_OF_TIME and before not in _OPEN and not follows:
            continue
        if before[:1].isdigit() and word not in "%":
            continue
        previous = mention
        if whole or follows or before in ("in", "as", *_OPEN) or (before == "," and alone):
            plain.append(mention)
        elif not single or (len(word) > 2 and word not in _LONG_BUT_COMMON) or word in "%‰€£":
            loose.append(mention)
    return plain, loose


def _mentions(tokens: Sequence[str], kinds: set[str], *, named: bool) -> Iterator[_Mention]:
    at = 0
    while at < len(tokens):
        found = _mention(tokens, at, kinds, named=named)
        if found is None:
            at += 1
        else:
            yield found
            at = found.end


def _mention(tokens: Sequence[str], at: int, kinds: set[str], *, named: bool) -> _Mention | None:
    word = tokens[at].lower()
    if word in _PERIODS:
        return _Mention(at, at + 1, ((Aspect.PERIOD, units_of(_PERIODS[word])[0]),), 2)
    if word == "in" and _factor(tokens, at + 1) and not units_of(" ".join(tokens[at : at + 2])):
        return None  # a preposition, and no inch
    parts: list[tuple[tuple[Unit, ...], int]] = []
    number = Fraction(1)
    end = at
    if word not in _EACH:
        first = _factor(tokens, at)
        if first is None:
            return None
        parts.append((first[0], first[1]))
        end = first[2]
    elif word != "per" and not (at + 1 < len(tokens) and tokens[at + 1].lower() in _ONE_OF_TIME):
        return None
    while end < len(tokens):
        below = _below(tokens, end, parts, named=named)
        if below is None:
            break
        units, power, number, end = below[0], below[1], number * below[2], below[3]
        parts.append((units, power))
    if not parts:
        return None
    meanings = tuple(dict.fromkeys(_meanings(parts, number, kinds)))
    return _Mention(at, end, meanings, len(parts) + (word in _EACH))


def _factor(tokens: Sequence[str], at: int) -> tuple[tuple[Unit, ...], int, int] | None:
    """The units that stand at a place, their power, and where they end."""
    if at >= len(tokens):
        return None
    word, power = tokens[at], 1
    if word.lower() in _SQUARE | _CUBIC:
        at += 2 if tokens[at + 1 : at + 2] == (".",) else 1
        base = _factor(tokens, at)
        lengths = tuple(unit for unit in base[0] if unit.kind == "length") if base else ()
        return (lengths, 2 if word.lower() in _SQUARE else 3, base[2]) if base and lengths else None
    for length in (4, 3, 2, 1):
        units = units_of(" ".join(tokens[at : at + length]))
        if units and at + length <= len(tokens):
            end = at + length
            after = tokens[end].lower() if end < len(tokens) else ""
            lengths = tuple(unit for unit in units if unit.kind == "length")
            if lengths and after in _POWER_WORDS:
                return lengths, _POWER_WORDS[after], end + 1
            return units, 1, end
    if word[-1:] in _POWER_SIGNS:
        lengths = tuple(unit for unit in units_of(word[:-1]) if unit.kind == "length")
        power = _POWER_SIGNS[word[-1]]
        return (lengths, power, at + 1) if lengths else None
    return None


def _below(
    tokens: Sequence[str], at: int, parts: Sequence[tuple[tuple[Unit, ...], int]], *, named: bool
) -> tuple[tuple[Unit, ...], int, Fraction, int] | None:
    """What stands below the line, or beside a unit: its units, their power, how many of them, and where it ends."""
    word, number = tokens[at].lower(), Fraction(1)
    if word in _EACH or word == "/":
        if word in ("a", "an", "each", "every") and not (
            at + 1 < len(tokens) and tokens[at + 1].lower() in _ONE_OF_TIME
        ):
            return None
        at += 1
        if at < len(tokens) and re.fullmatch(r"[1-9][0-9]*", tokens[at]):
            number, at = Fraction(tokens[at]), at + 1
        found = _factor(tokens, at)
        if found is not None:
            return found[0], -found[1], number, found[2]
        if at < len(tokens) and tokens[at].isalpha():
            return (_thing(tokens[at].lower()),), -1, number, at + 1
        return None
    found = _factor(tokens, at) if parts else None
    if found is None:
        return None
    above, beside = ({unit.kind for unit in units} for units in (parts[0][0], found[0]))
    # In a name, which can hold no stroke, `mg_dl` and `km_h` are quotients.
    if named and len(parts) == 1 and above & _SHARED_ABOVE and beside & _SHARED_BELOW:
        below = tuple(unit for unit in found[0] if unit.kind in _SHARED_BELOW)
        return below, -found[1], number, found[2]
    if named and len(parts) == 1 and above & _SHARED_ABOVE and found[1] > 1:
        return found[0], -found[1], number, found[2]
    if above & {"scale", "currency"} and beside & {"scale", "currency"} and not above & beside:
        return found[0], found[1], number, found[2]
    return None


def _thing(word: str) -> Unit:
    """What is no unit and stands below the line: the person of `per person`."""
    return Unit(word, "thing", Fraction(1), frozenset({(word, 1)}))


def _meanings(
    parts: Sequence[tuple[tuple[Unit, ...], int]], number: Fraction, kinds: set[str]
) -> Iterator[tuple[Aspect, Unit]]:
    narrowed = [(_fitting(units, kinds), power) for units, power in parts]
    for chosen in every_choice(*(units for units, _ in narrowed)):
        factors = [(unit, power) for unit, (_, power) in zip(chosen, narrowed, strict=True)]
        physical = []
        counted = not any(
            power > 0 and unit.kind not in ("currency", "scale", "share") for unit, power in factors
        )
        for unit, power in factors:
            if unit.kind == "currency" and power == 1:
                yield Aspect.CURRENCY, unit
            elif unit.kind == "scale" and power == 1:
                # A word of several kinds that nothing decides on is left as it is: `5 m`.
                yield (Aspect.SCALE if _is_scale(narrowed) else Aspect.UNIT), unit
            elif counted and power == -1 and unit.kind in ("time", "months", "thing"):
                yield Aspect.PERIOD, unit
            else:
                physical.append((unit, power))
        if physical:
            yield Aspect.UNIT, product(physical, number)


def _is_scale(parts: Sequence[tuple[tuple[Unit, ...], int]]) -> bool:
    return all(unit.kind in ("scale", "currency") for units, _ in parts[:1] for unit in units)


def _fitting(units: tuple[Unit, ...], kinds: set[str]) -> tuple[Unit, ...]:
    return tuple(unit for unit in units if unit.kind in kinds) or units


@dataclass(frozen=True)
class Conversion:
    """What a column's numbers need to be a field's numbers: nothing, arithmetic, or somebody who knows more.

    Attributes:
        expression: The mapper's expression; empty if the numbers are to be taken as they are.
        said: How both are measured, where there is an expression.
        problem: What is open; there is no expression then.
    """

    expression: str = ""
    said: str = ""
    problem: str = ""


def propose_conversion(
    column: str,
    field: str,
    *,
    column_description: str = "",
    field_description: str = "",
    beside: Iterable[str] = (),
    values: Sequence[float] = (),
    is_hundredth: bool = False,
) -> Conversion:
    """Turn a column's numbers into those of a field, where it is plainly said how both are measured.

    Args:
        column: The source column's name, such as `distance_mi`.
        field: The field's name.
        column_description: What is known about the column.
        field_description: What the schema says, such as `Distance in kilometres`.
        beside: The signs that stand beside the column's numbers.
        values: Numbers of the column: those from 0 to 1 are no percents.
        is_hundredth: `%` stood beside the numbers, and they are a hundredth of what was written.

    Returns:
        A problem where the two sides do not plainly say the same and no exact arithmetic leads from one to the other.

    Example:
        >>> propose_conversion("distance_mi", "distance", field_description="Distance in km").expression
        'distance_mi * 1.609344'
    """
    source = dict(measure_of(column, column_description, beside, about=f"{field} {field_description}"))
    target = measure_of(field, field_description, about=f"{column} {column_description}")
    if unknown := {unit for unit in target.get(Aspect.UNIT, ()) if unit.kind == "thing"}:
        if {unit.name.lower() for unit in unknown} <= set(_spaced(column).lower().split()):
            target = {}
    if is_hundredth:
        source[Aspect.UNIT] = target.get(Aspect.UNIT) and frozenset({_OF_ONE}) or frozenset()
    elif not source.get(Aspect.UNIT) and _is_shown(column, target.get(Aspect.UNIT, frozenset()), values):
        source[Aspect.UNIT] = target[Aspect.UNIT]
    convert: list[tuple[Unit, Unit]] = []
    problems: list[str] = []
    for aspect in Aspect:
        ours, theirs = source.get(aspect, frozenset()), target.get(aspect, frozenset())
        if ours == theirs or _says_little(aspect, ours, theirs):
            continue
        pair = (*ours, *theirs) if len(ours) == len(theirs) == 1 else None
        if pair is None or aspect in (Aspect.CURRENCY, Aspect.PERIOD) or not is_convertible(*pair):
            problems.append(_problem(aspect, column, ours, theirs))
        elif _is_doubtful(*pair, values):
            problems.append(f"{column} is called {pair[0].name}, and its numbers do not look like it")
        else:
            convert.append(pair)
    if problems or not convert:
        return Conversion(problem="; ".join(problems))
    one, other = convert[0] if len(convert) == 1 else (product(zip(side, (1, 1))) for side in zip(*convert))
    expression = conversion(column, one, other)
    return Conversion(expression, f"{column} is in {one.name}, the field in {other.name}") if expression else Conversion()


_PERCENT, _OF_ONE = units_of("percent")[0], units_of("fraction")[0]
_RATES = frozenset({"rate", "share", "ratio", "proportion", "humidity", "satz", "quote", "anteil", "taux"})


def _is_shown(column: str, wanted: frozenset[Unit], values: Sequence[float]) -> bool:
    """Whether the numbers of a column whose name says no unit show that they are percents, or shares of 1."""
    sizes = [abs(value) for value in values if value]
    if not sizes:
        return False
    if wanted == {_OF_ONE}:
        return max(sizes) <= 1 and min(sizes) < 1
    is_rate = bool(_RATES & set(_spaced(column).lower().split()))
    return wanted == {_PERCENT} and is_rate and 2 * sum(1 < size <= 100 for size in sizes) > len(sizes)


def _is_doubtful(source: Unit, target: Unit, values: Sequence[float]) -> bool:
    """Whether percents are none: all of them from 0 to 1; or shares of 1 are far above it."""
    sizes = [abs(value) for value in values]
    if not sizes or not {source, target} & {_OF_ONE}:
        return False
    return max(sizes) > 1 if source == _OF_ONE else max(sizes) <= 1


def _says_little(aspect: Aspect, ours: frozenset[Unit], theirs: frozenset[Unit]) -> bool:
    """Whether only one side speaks, and nothing is open by that.

    A field of which no currency is told takes any; `per person` on one side alone is what the number is about.
    """
    if aspect is Aspect.CURRENCY:
        return not theirs
    things = all(unit.kind == "thing" for unit in ours | theirs)
    return aspect is Aspect.PERIOD and things and not (ours and theirs)


def _problem(aspect: Aspect, column: str, ours: frozenset[Unit], theirs: frozenset[Unit]) -> str:
    word = "per" if aspect is Aspect.PERIOD else "in"
    if not ours:
        return f"the field is {word} {_either(theirs)}; nothing says that {column} is"
    if not theirs:
        return f"{column} is {word} {_either(ours)}; nothing says that the field is"
    return f"{column} is {word} {_either(ours)}, the field {word} {_either(theirs)}"


def _either(units: frozenset[Unit]) -> str:
    return " or ".join(sorted(unit.name for unit in units))


def units_beside(sign: str) -> frozenset[Unit]:
    """The units that a sign beside a number can be, such as `km/h`; none if it is no unit, or a scale such as `k`."""
    tokens = tuple(_tokens(sign))
    found = tuple(_mentions(tokens, set(), named=False))
    if len(found) != 1 or (found[0].start, found[0].end) != (0, len(tokens)):
        return frozenset()
    units = _of(found[0], Aspect.UNIT)
    scaled = any(unit.kind in ("scale", "share") for unit in units) and sign.strip() != "m"
    return frozenset() if scaled or len(units) < len(found[0].meanings) else units
