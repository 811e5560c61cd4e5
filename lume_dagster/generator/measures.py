"""How a column or a field is measured: what its name, its description and the signs beside its numbers say.

Five things are told apart, as each may be said by itself: the unit, the currency, the scale (thousands, cents), the
period (per month, yearly) and the thing (per person). A word that may stand for several units stands for all of them,
unless the other words say what the number is about: `m` is a metre of a length, and a million of a price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from itertools import product as every_choice

from lume_dagster.generator.units import Unit, product, units_of


class Aspect(Enum):
    """What is said of a number."""

    UNIT = "unit"
    CURRENCY = "currency"
    SCALE = "scale"
    PERIOD = "period"
    THING = "thing"


@dataclass(frozen=True)
class Measure:
    """How a column or a field is measured.

    Attributes:
        units: What is said of each aspect, nothing of some; several units if it is not clear which is meant.
        in_passing: Aspects of which a sentence only speaks, as in `how many miles are left`.
    """

    units: Mapping[Aspect, frozenset[Unit]]
    in_passing: frozenset[Aspect] = frozenset()

    def of(self, aspect: Aspect) -> frozenset[Unit]:
        """What is said of an aspect; empty if nothing is."""
        return self.units.get(aspect, frozenset())


@dataclass(frozen=True)
class _Factor:
    """A unit with its power, the several that a word can stand for side by side; `end` is the place behind it."""

    units: tuple[Unit, ...]
    power: int
    end: int
    number: Fraction = Fraction(1)


@dataclass(frozen=True)
class _Mention:
    """A place that speaks of measures."""

    start: int
    end: int
    meanings: tuple[tuple[Aspect, Unit], ...]
    factors: int


_TOKEN = re.compile(
    r"°\s?[CFcf](?![^\W_])|[ktmKTM]€|[A-Za-z]{1,3}\$|[^\W\d_]+[²³]|[A-Za-z]{1,4}\^?[23](?![^\W_])"
    r"|[^\W\d_]+|\d+(?:[.,]\d+)*|[%‰€$£¥₹/()\[\]{},.;:-]"
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
_LASTING = frozenset({"hour", "day", "week", "month", "year"})
_ONE_OF_TIME = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})
"""Words that are a unit only where the context says so: a `minute` may be that of a departure."""
_CLEAR = frozenset({
    "kg", "km", "cm", "mm", "mg", "ml", "dl", "ft", "lb", "gb", "kb", "kj", "hz", "%", "‰", "€", "$", "£", "¥", "₹",
})  # fmt: skip
"""Short words and signs that are hardly anything but a unit, wherever they stand."""
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
    "share": "interest yield spread discount margin rate",
    "data rate": "bandwidth bit bitrate throughput network",
    "data": "size storage memory disk file download upload traffic ram",
    "currency": "price amount revenue sales cost costs salary income budget turnover fee payment spend profit "
    "fare wage wages tip toll subtotal",
}
_KINDS_OF = {word: kind for kind, words in _CONTEXT.items() for word in words.split()}
_ALSO = {"currency": {"scale"}, "time": {"months"}}
_UNKNOWN = re.compile(r"\bin ([^\W\d_]{1,4})(?=[.,;)]|$)")
_NO_UNITS = frozenset({
    "all", "full", "fact", "us", "uk", "eu", "use", "time", "cash", "kind", "part", "it", "year", "row", "text", "that",
    "this", "them", "hand", "bank", "one", "two", "turn", "line", "care", "need", "work", "debt",
})  # fmt: skip
"""Short words behind `in` that are no unit that the table lacks."""
_ARTICLES = frozenset({"a", "an", "the"})
_ODD_SINGULARS = frozenset({"foot", "inch"})
_COUNTING = frozenset({"the", "a", "number", "count", "total", "of", "how", "many"})
"""Words before a unit at the start of a sentence that is about nothing else."""
_NEED_CONTEXT = frozenset({"in", "min", "t", "s", "h", "l", "c", "f"})
_COUNTS = frozenset({"scale", "currency", "share"})
_LONGEST, _MOST_PARTS = 4, 4
_MOST_READ = 2_000
"""Characters of a name or a description that are looked at."""
_BELOW = frozenset({"time", "volume"})
_ABOVE = frozenset({"length", "mass", "substance", "volume", "data"})


def measure_of(name: str, description: str = "", beside: Iterable[str] = (), *, about: str = "") -> Measure:
    """How a column or a field is measured.

    Args:
        name: Its name.
        description: What is known about it, in sentences.
        beside: The signs that stand beside its numbers.
        about: All that is said of it and of what it is held against: a short word such as `m` is a metre of a length
            and a million of a price.
    """
    name, description = name[:_MOST_READ], description[:_MOST_READ]
    around = _spaced(f"{name} {description} {about[: 2 * _MOST_READ]}")
    words = {word.lower() for word in re.findall(r"[^\W\d_]+", around)}
    kinds = {_KINDS_OF[word] for word in words if word in _KINDS_OF}
    kinds |= {also for kind in kinds for also in _ALSO.get(kind, ())}
    sure = [*_in_name(name, kinds), *_beside(beside, kinds)]
    plain, loose = _in_sentence(description, kinds)
    said: dict[Aspect, frozenset[Unit]] = {}
    in_passing: set[Aspect] = set()
    for aspect in Aspect:
        strong, weak = (
            [found for mention in mentions if (found := _of(mention, aspect))]
            for mentions in ((*sure, *plain), loose)
        )
        if given := strong or weak:
            common = frozenset.intersection(*given)
            said[aspect] = common or frozenset[Unit]().union(*given)
            in_passing |= set() if strong else {aspect}
    unknown = _UNKNOWN.search(description)
    if unknown and unknown[1].lower() not in _NO_UNITS and not {Aspect.UNIT, Aspect.CURRENCY} & said.keys():
        said[Aspect.UNIT] = frozenset({_thing(unknown[1])})
    return Measure(said, frozenset(in_passing))


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
            if _is_common(word) and not last:
                continue
            told = any(unit.kind in kinds for unit in units_of(word))
            if _is_one(word) and not last:
                continue  # a `meter reading` is in no metres
            if (word in _NEED_CONTEXT or word in _ONE_OF_TIME) and not (last and told):
                continue
        yield mention


def _is_common(word: str) -> bool:
    """Whether a word that may be a unit is so short or so common that it mostly is none."""
    return (len(word) <= 2 and word not in _CLEAR) or word in _LONG_BUT_COMMON


def _is_one(word: str) -> bool:
    """Whether a word is a unit's name in full and in the singular, which often is none: `foot`, `stone`, `meter`."""
    return len(word) > 2 and any(
        word in unit.words and (f"{word}s" in unit.words or word in _ODD_SINGULARS)
        for unit in units_of(word)
        if unit.kind not in ("currency", "scale", "share")
    )


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
        before = next(
            (one.lower() for one in reversed(tokens[: mention.start]) if one.lower() not in _ARTICLES), ""
        )
        word = tokens[mention.start].lower()
        whole = mention.end - mention.start == sum(one != "." for one in tokens)
        alone = mention.end == len(tokens) or tokens[mention.end] in ".;,)]}"
        single = mention.factors == 1 and mention.end - mention.start == 1
        follows = (
            previous is not None
            and previous in plain
            and tokens[previous.end : mention.start] in ((), ("of",), ("(",), ("or",), ("and",), ("/",))
        )
        leads = all(token.lower() in _COUNTING for token in tokens[: mention.start])
        if single and word in _ONE_OF_TIME and before not in _OPEN and not follows:
            continue
        if single and word == "in" and before not in _OPEN and not whole:
            continue
        if before[:1].isdigit() and word != "%":
            continue
        previous = mention
        if whole or follows or before in ("in", "as", *_OPEN) or (before == "," and alone):
            plain.append(mention)
        elif single and (_is_common(word) or _is_one(word)):
            continue
        elif leads or not single:
            plain.append(mention)
        else:
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
    first = None if word in _EACH else _factor(tokens, at)
    if first is None and word not in _EACH:
        return None
    parts = [first] if first else []
    end = first.end if first else at
    while end < len(tokens) and len(parts) < _MOST_PARTS:
        found = _below(tokens, end) or _adjacent(tokens, end, parts, named=named)
        if found is None:
            break
        parts.append(found)
        end = found.end
    if not parts:
        return None
    return _Mention(at, end, tuple(dict.fromkeys(_meanings(parts, kinds))), len(parts) + (first is None))


def _factor(tokens: Sequence[str], at: int) -> _Factor | None:
    """The unit that stands at a place, squared and cubed ones included."""
    if at >= len(tokens):
        return None
    word = tokens[at]
    if word.lower() in _SQUARE | _CUBIC:
        at += 2 if tokens[at + 1 : at + 2] == (".",) else 1
        follows = tokens[at].lower() if at < len(tokens) else ""
        base = None if follows in _SQUARE | _CUBIC else _factor(tokens, at)
        return base and _of_length(base.units, 2 if word.lower() in _SQUARE else 3, base.end)
    for end in range(min(at + _LONGEST, len(tokens)), at, -1):
        if units := units_of(" ".join(tokens[at:end])):
            after = tokens[end].lower() if end < len(tokens) else ""
            powered = (
                _of_length(units, _POWER_WORDS.get(after, 1), end + 1) if after in _POWER_WORDS else None
            )
            return powered or _Factor(units, 1, end)
    return _of_length(units_of(word[:-1].rstrip("^")), _POWER_SIGNS.get(word[-1], 0), at + 1)


def _of_length(units: Sequence[Unit], power: int, end: int) -> _Factor | None:
    lengths = tuple(unit for unit in units if unit.kind == "length")
    return _Factor(lengths, power, end) if lengths and power else None


def _below(tokens: Sequence[str], at: int) -> _Factor | None:
    """What stands behind a `per` or a stroke: a unit, some of them as in `l/100 km`, or a thing as in `per person`."""
    word = tokens[at].lower()
    lasting = at + 1 < len(tokens) and tokens[at + 1].lower() in _LASTING
    if word not in ("per", "/") and not (word in _EACH and lasting):
        return None
    at += 1
    number = Fraction(1)
    if at < len(tokens) and re.fullmatch(r"[1-9][0-9]{0,8}", tokens[at]):
        number, at = Fraction(tokens[at]), at + 1
    found = _factor(tokens, at)
    if found is not None:
        return _Factor(found.units, -found.power, found.end, number)
    if at < len(tokens) and tokens[at].isalpha():
        return _Factor((_thing(tokens[at].lower()),), -1, at + 1, number)
    return None


def _adjacent(tokens: Sequence[str], at: int, parts: Sequence[_Factor], *, named: bool) -> _Factor | None:
    """What stands right behind a unit and belongs to it: `thousand EUR`; in a name, which holds no stroke, `mg dl`."""
    found = _factor(tokens, at)
    if found is None or len(parts) != 1:
        return None
    first, second = ({unit.kind for unit in units} for units in (parts[0].units, found.units))
    if named and first & _ABOVE and (second & _BELOW or found.power > 1):
        below = tuple(unit for unit in found.units if unit.kind in _BELOW or found.power > 1)
        return _Factor(below, -found.power, found.end)
    return found if first & _COUNTS and second & _COUNTS and not first & second else None


def _thing(word: str) -> Unit:
    """A word that is no unit that we know: the person of `per person`, the IU of `in IU`."""
    return Unit(word, "thing", Fraction(1), frozenset({(word, 1)}))


def is_thing(unit: Unit) -> bool:
    """Whether a unit is a word that we do not know as one, such as the person of `per person`."""
    return unit.kind == "thing"


def _meanings(parts: Sequence[_Factor], kinds: set[str]) -> Iterator[tuple[Aspect, Unit]]:
    """What each choice of units says: the several that a word can stand for give as many."""
    choices = [_fitting(part.units, kinds) for part in parts]
    # A word that may be a scale or a unit, as in `5 m`, says neither for sure: its meanings stay side by side.
    scaled = all(unit.kind in _COUNTS for unit in choices[0])
    for chosen in every_choice(*choices):
        factors = [(unit, part.power, part.number) for unit, part in zip(chosen, parts, strict=True)]
        money = not any(power > 0 and unit.kind not in _COUNTS for unit, power, _ in factors)
        measured: list[tuple[Unit, int]] = []
        below = Fraction(1)
        for unit, power, number in factors:
            if unit.kind == "currency" and power == 1:
                yield Aspect.CURRENCY, unit
            elif unit.kind == "scale" and power == 1 and scaled:
                yield Aspect.SCALE, unit
            elif power == -1 and is_thing(unit):
                yield Aspect.THING, _several(unit, number)
            elif money and power == -1 and unit.kind in ("time", "months"):
                yield Aspect.PERIOD, _several(unit, number)
            else:
                measured.append((unit, power))
                below *= number
        if measured:
            yield Aspect.UNIT, product(measured, below)


def _several(unit: Unit, number: Fraction) -> Unit:
    return unit if number == 1 else replace(unit, name=f"{number} {unit.name}", factor=unit.factor * number)


def _fitting(units: tuple[Unit, ...], kinds: set[str]) -> tuple[Unit, ...]:
    return tuple(unit for unit in units if unit.kind in kinds) or units


def units_beside(sign: str) -> frozenset[Unit]:
    """The units that a sign beside a number can be, such as `km/h`; none if it is no unit, or a scale such as `k`."""
    tokens = tuple(_tokens(sign))
    found = tuple(_mentions(tokens, set(), named=False))
    if len(found) != 1 or (found[0].start, found[0].end) != (0, len(tokens)):
        return frozenset()
    units = _of(found[0], Aspect.UNIT)
    scaled = any(unit.kind in ("scale", "share") for unit in units) and sign.strip() != "m"
    return frozenset() if scaled or len(units) < len(found[0].meanings) else units
