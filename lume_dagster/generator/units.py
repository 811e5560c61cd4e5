"""Units of measure and the arithmetic from one to another, where names and descriptions tell both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache


@dataclass(frozen=True)
class Unit:
    """A unit of measure: one of it is `factor` times the base unit of its kind, from `zero` on.

    Attributes:
        name: Its short name.
        kind: What it measures.
        factor: How many base units one of it is.
        zero: What the base unit shows where this one shows 0.
        words: Other names, in lower case.
        sure: Names that stand for it inside a column's name; short ones that are common words are not among them.
    """

    name: str
    kind: str
    factor: Fraction
    words: tuple[str, ...]
    sure: tuple[str, ...] = ()
    zero: Fraction = Fraction(0)


def _unit(
    name: str, kind: str, factor: str, names: str, sure: str = "", zero: Fraction = Fraction(0)
) -> Unit:
    return Unit(name, kind, Fraction(factor), tuple(names.split("|")), tuple(sure.split()), zero)


UNITS = (
    _unit("mm", "length", "0.001", "mm|millimeter|millimetre|millimeters|millimetres", "mm"),
    _unit("cm", "length", "0.01", "cm|centimeter|centimetre|centimeters|centimetres", "cm"),
    _unit("m", "length", "1", "m|meter|metre|meters|metres", "m"),
    _unit("km", "length", "1000", "km|kms|kilometer|kilometre|kilometers|kilometres", "km kms"),
    _unit("in", "length", "0.0254", "in|inch|inches", "inch"),
    _unit("ft", "length", "0.3048", "ft|foot|feet", "ft"),
    _unit("yd", "length", "0.9144", "yd|yds|yard|yards", "yd"),
    _unit("mi", "length", "1609.344", "mi|mile|miles", "mi"),
    _unit("nmi", "length", "1852", "nmi|nautical mile|nautical miles", "nmi"),
    _unit("mg", "mass", "0.000001", "mg|milligram|milligrams", "mg"),
    _unit("g", "mass", "0.001", "g|gram|grams|gramme|grammes", "g"),
    _unit("kg", "mass", "1", "kg|kgs|kilogram|kilograms|kilo|kilos", "kg kgs"),
    _unit("t", "mass", "1000", "t|tonne|tonnes|metric ton|metric tons"),
    _unit("oz", "mass", "0.028349523125", "oz|ounce|ounces", "oz"),
    _unit("lb", "mass", "0.45359237", "lb|lbs|pound|pounds", "lb lbs"),
    _unit("ml", "volume", "0.001", "ml|milliliter|millilitre|milliliters|millilitres", "ml"),
    _unit("l", "volume", "1", "l|liter|litre|liters|litres"),
    _unit("gal", "volume", "3.785411784", "us gallon|us gallons", ""),
    _unit("ms", "time", "0.001", "ms|millisecond|milliseconds|msec", "ms msec"),
    _unit("s", "time", "1", "s|sec|secs|second|seconds", "sec secs"),
    _unit("min", "time", "60", "min|mins|minute|minutes", "mins"),
    _unit("h", "time", "3600", "h|hr|hrs|hour|hours", "hrs hr"),
    _unit("d", "time", "86400", "day|days"),
    _unit("m/s", "speed", "1", "m/s|meters per second|metres per second|mps", "mps"),
    _unit("km/h", "speed", "5/18", "km/h|kmh|kph|kilometers per hour|kilometres per hour", "kmh kph"),
    _unit("mph", "speed", "0.44704", "mph|miles per hour", "mph"),
    _unit("kn", "speed", "463/900", "kn|knot|knots|kts", "knots kts"),
    _unit("Pa", "pressure", "1", "pa|pascal|pascals", ""),
    _unit("hPa", "pressure", "100", "hpa|hectopascal|hectopascals|mbar|millibar|millibars", "hpa mbar"),
    _unit("psi", "pressure", "6894.757293168", "psi|pounds per square inch", "psi"),
    _unit("°C", "temperature", "1", "°c|celsius|degrees celsius|degree celsius|degc", "c celsius degc",
          Fraction("273.15")),
    _unit("°F", "temperature", "5/9", "°f|fahrenheit|degrees fahrenheit|degree fahrenheit|degf", "f fahrenheit degf",
          Fraction("273.15") - Fraction(160, 9)),
    _unit("K", "temperature", "1", "kelvin|degrees kelvin", "kelvin"),
    _unit("byte", "data", "1", "byte|bytes", "bytes"),
    _unit("kB", "data", "1000", "kb|kilobyte|kilobytes", "kb"),
    _unit("MB", "data", "1000000", "mb|megabyte|megabytes", "mb"),
    _unit("GB", "data", "1000000000", "gb|gigabyte|gigabytes", "gb"),
)  # fmt: skip
_AMBIGUOUS = frozenset(
    {"m", "g", "t", "l", "s", "h", "c", "f", "in", "min", "second", "seconds", "minute", "foot"}
)
"""Words that are no sign of a unit in a sentence."""


@cache
def _by_word() -> dict[str, Unit]:
    return {word: unit for unit in UNITS for word in unit.words}


def unit_of(word: str) -> Unit | None:
    """The unit of a word that stands beside a number, such as `km`; None if it is none."""
    return _by_word().get(word.strip().rstrip(".").lower())


def unit_said(name: str, description: str) -> Unit | None:
    """The one unit that a column's or a field's name and description speak of; None if it is none or several.

    Args:
        name: The name; its last word may be a short unit: `distance_mi`, `temp_f`.
        description: A sentence; units stand in it by their names or in parentheses.
    """
    said = _in_sentence(description)
    parts = [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]
    for length in (1, 2, 3):
        word = " ".join(parts[-length:])
        if word in _by_word() and word not in _AMBIGUOUS:
            said.add(_by_word()[word])
    said |= {unit for unit in UNITS if len(parts) > 1 and parts[-1] in unit.sure}
    return said.pop() if len(said) == 1 else None


def _in_sentence(description: str) -> set[Unit]:
    text = description.lower()
    found: list[tuple[int, int, Unit]] = []
    for word, unit in _by_word().items():
        pattern = re.escape(word)
        # Short words are units only where they can be nothing else: in parentheses, or behind `in`.
        place = rf"(?<=\(){pattern}(?=\))|(?<=\bin ){pattern}(?=$|[\s.,;)])"
        if word not in _AMBIGUOUS:
            place += rf"|(?<![\w/]){pattern}(?![\w/])"
        found += [(match.start(), match.end(), unit) for match in re.finditer(place, text)]
    return {unit for start, end, unit in found if not _inside(start, end, found)}


def _inside(start: int, end: int, found: Iterable[tuple[int, int, Unit]]) -> bool:
    """Whether a longer name stands around: the miles of `miles per hour`."""
    return any(a <= start and end <= b and (a, b) != (start, end) for a, b, _ in found)


def conversion(column: str, source: Unit, target: Unit) -> str | None:
    """The expression that turns a column of one unit into another.

    Args:
        column: The source column.
        source: Its unit.
        target: The unit that is wanted.

    Returns:
        In the language of the mapper's `expression`, such as `distance * 1.609344`; None if the units measure
        different things or are the same.
    """
    if source == target or source.kind != target.kind:
        return None
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column)
    name = column if plain and column != "round" else '"' + column.replace('"', '""') + '"'
    factor, shift = source.factor / target.factor, (source.zero - target.zero) / target.factor
    product = _times(name, factor)
    if not shift:
        return product
    return f"{product} {'+' if shift > 0 else '-'} {_decimal(abs(shift))}"


def _times(name: str, factor: Fraction) -> str:
    if factor == 1:
        return name
    written = _decimal(factor)
    if "/" not in written:
        return f"{name} * {written}"
    over, under = (_decimal(Fraction(part)) for part in (factor.numerator, factor.denominator))
    return f"{name} / {under}" if over == "1" else f"{name} * {over} / {under}"


def _decimal(number: Fraction) -> str:
    """A number as it is written in an expression: with decimals where they end, else as a quotient."""
    digits = next((digits for digits in range(16) if 10**digits % number.denominator == 0), None)
    if digits is None:
        return f"{number.numerator} / {number.denominator}"
    text = f"{number.numerator * 10**digits // number.denominator:0{digits + 1}d}"
    return (f"{text[:-digits]}.{text[-digits:]}".rstrip("0").rstrip(".") or "0") if digits else text
