"""Units of measure, their products and quotients, and the arithmetic from one to another.

Factors are exact: SI brochure (9th edition) and NIST SP 811 (2008), appendix B. A word that stands for several units,
such as `gallon` or `hp`, is in the table once for each: none of them is ever taken for the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

_DIMENSIONS: dict[str, dict[str, int]] = {
    "area": {"length": 2},
    "volume": {"length": 3},
    "speed": {"length": 1, "time": -1},
    "frequency": {"time": -1},
    "data rate": {"data": 1, "time": -1},
    "pressure": {"mass": 1, "length": -1, "time": -2},
    "energy": {"mass": 1, "length": 2, "time": -2},
    "power": {"mass": 1, "length": 2, "time": -3},
    "distance by fuel": {"length": -2},
    "scale": {},
}
"""What a kind is made of; any other is made of itself."""


@dataclass(frozen=True)
class Unit:
    """A unit of measure, or a product of several: one of it is `factor` times the base unit of its dimensions.

    Attributes:
        name: Its short name.
        kind: What it measures; empty for a product.
        factor: How many base units one of it is.
        dimensions: Base kinds with their powers, none of them 0.
        zero: What the base unit shows where this one shows 0.
        words: Other names; those with capitals only as they are written, or where a name has lost its case.
        sure: Names that say, inside a column's name, how the column is measured and not what it is.
    """

    name: str = field(compare=False)
    kind: str = field(compare=False)
    factor: Fraction
    dimensions: frozenset[tuple[str, int]]
    zero: Fraction = Fraction(0)
    words: tuple[str, ...] = field(default=(), compare=False)
    sure: tuple[str, ...] = field(default=(), compare=False)


def _unit(
    name: str, kind: str, factor: str, names: str, sure: str = "", zero: Fraction = Fraction(0)
) -> Unit:
    made_of = frozenset(_DIMENSIONS.get(kind, {name if kind == "currency" else kind: 1}).items())
    return Unit(name, kind, Fraction(factor), made_of, zero, tuple(names.split("|")), tuple(sure.split()))


_CURRENCIES = (
    "EUR USD GBP JPY CHF CAD AUD NZD CNY INR SEK NOK DKK PLN CZK HUF RON BGN ISK BRL MXN ARS CLP ZAR KRW SGD HKD TWD "
    "THB IDR MYR PHP VND ILS AED SAR RUB UAH EGP NGN KES PKR"
)  # codes that are no words: TRY, ALL, TOP, CUP and such are not among them
_CURRENCY_WORDS = {
    "EUR": "€|euro|euros",
    "USD": "$|us$|us dollar|us dollars|dollar|dollars",
    "GBP": "£|pound sterling|pounds sterling|pound|pounds|british pounds",
    "JPY": "¥|yen|japanese yen",
    "CNY": "¥|rmb|yuan",
    "CHF": "swiss franc|swiss francs",
    "NZD": "nz$",
    "HKD": "hk$",
    "SGD": "s$|sg$",
    "TWD": "nt$",
    "BRL": "r$",
    "MXN": "mx$",
    "CAD": "ca$|c$|canadian dollar|canadian dollars",
    "AUD": "a$|au$|australian dollar|australian dollars",
    "INR": "₹|indian rupee|indian rupees|rupees",
}

UNITS = (
    _unit("nm", "length", "0.000000001", "nm|nanometer|nanometre|nanometers|nanometres"),
    _unit("µm", "length", "0.000001", "µm|um|micrometer|micrometre|micrometers|micrometres|microns"),
    _unit("mm", "length", "0.001", "mm|millimeter|millimetre|millimeters|millimetres", "mm"),
    _unit("cm", "length", "0.01", "cm|centimeter|centimetre|centimeters|centimetres|zentimeter", "cm"),
    _unit("dm", "length", "0.1", "decimeter|decimetre|decimeters|decimetres"),
    _unit("m", "length", "1", "m|meter|metre|meters|metres|mtr", "m"),
    _unit("km", "length", "1000", "km|kms|kilometer|kilometre|kilometers|kilometres", "km kms"),
    _unit("in", "length", "0.0254", "in|inch|inches", "inch"),
    _unit("ft", "length", "0.3048", "ft|foot|feet", "ft"),
    _unit("yd", "length", "0.9144", "yd|yds|yard|yards", "yd"),
    _unit("mi", "length", "1609.344", "mi|mile|miles", "mi"),
    _unit("nmi", "length", "1852", "nmi|nautical mile|nautical miles|NM", "nmi"),
    _unit("m²", "area", "1", "sqm|qm"),
    _unit("km²", "area", "1000000", "sqkm|qkm"),
    _unit("ft²", "area", "0.09290304", "sqft|sf"),
    _unit("mi²", "area", "2589988.110336", "sqmi"),
    _unit("ha", "area", "10000", "ha|hectare|hectares"),
    _unit("acre", "area", "4046.8564224", "acre|acres|ac"),
    _unit("US survey acre", "area", "62726400000/15499969", "acre|acres|ac"),
    _unit("µg", "mass", "0.000000001", "µg|ug|mcg|microgram|micrograms"),
    _unit("mg", "mass", "0.000001", "mg|milligram|milligrams", "mg"),
    _unit("g", "mass", "0.001", "g|gram|grams|gramme|grammes|gramm", "g"),
    _unit("kg", "mass", "1", "kg|kgs|kilogram|kilograms|kilo|kilos|kilogramm", "kg kgs"),
    _unit("t", "mass", "1000", "t|tonne|tonnes|metric ton|metric tons|ton|tons"),
    _unit("short ton", "mass", "907.18474", "ton|tons|short ton|short tons|us ton|us tons"),
    _unit("long ton", "mass", "1016.0469088", "ton|tons|long ton|long tons"),
    _unit("oz", "mass", "0.028349523125", "oz|ounce|ounces", "oz"),
    _unit("troy oz", "mass", "0.0311034768", "oz t|troy ounce|troy ounces"),
    _unit("lb", "mass", "0.45359237", "lb|lbs|pound|pounds", "lb lbs"),
    _unit("st", "mass", "6.35029318", "stone|stones"),
    _unit("ml", "volume", "0.000001", "ml|milliliter|millilitre|milliliters|millilitres|cc", "ml"),
    _unit("cl", "volume", "0.00001", "cl|centiliter|centilitre|centiliters|centilitres"),
    _unit("dl", "volume", "0.0001", "dl|deciliter|decilitre|deciliters|decilitres"),
    _unit("l", "volume", "0.001", "l|liter|litre|liters|litres|ltr|ltrs"),
    _unit("m³", "volume", "1", "cbm"),
    _unit("ft³", "volume", "0.028316846592", "cuft|cft"),
    _unit("US gal", "volume", "0.003785411784", "gal|gallon|gallons|us gallon|us gallons"),
    _unit("imperial gal", "volume", "0.00454609", "gal|gallon|gallons|imperial gallon|imperial gallons|uk gallons"),
    _unit("US fl oz", "volume", "0.0000295735295625", "oz|ounce|ounces|fl oz|floz|fluid ounce|fluid ounces|us fl oz"),
    _unit("imperial fl oz", "volume", "0.0000284130625", "oz|ounce|ounces|fl oz|floz|fluid ounce|fluid ounces"),
    _unit("bbl", "volume", "0.158987294928", "bbl|bbls|oil barrels"),
    _unit("µs", "time", "0.000001", "µs|microsecond|microseconds|usec"),
    _unit("ms", "time", "0.001", "ms|millisecond|milliseconds|msec|millis", "ms msec"),
    _unit("s", "time", "1", "s|sec|secs|second|seconds|sekunden", "sec secs"),
    _unit("min", "time", "60", "min|mins|minute|minutes|minuten|m", "mins"),
    _unit("h", "time", "3600", "h|hr|hrs|hour|hours|stunden", "hrs hr"),
    _unit("day", "time", "86400", "day|days|tage"),
    _unit("week", "time", "604800", "week|weeks|wochen"),
    # A month has no fixed number of days: months, quarters and years are turned only into each other.
    _unit("month", "months", "1", "month|months|monate"),
    _unit("quarter", "months", "3", "quarter|quarters"),
    _unit("year", "months", "12", "year|years|yrs|yr|jahre"),
    _unit("m/s", "speed", "1", "mps|ms|meters per second|metres per second", "mps"),
    _unit("km/h", "speed", "5/18", "kmh|kph|kmph", "kmh kph"),
    _unit("mph", "speed", "0.44704", "mph", "mph"),
    _unit("kn", "speed", "463/900", "kn|knot|knots|kts|kt", "knots kts"),
    _unit("Hz", "frequency", "1", "hz|hertz"),
    _unit("kHz", "frequency", "1000", "khz|kilohertz"),
    _unit("MHz", "frequency", "1000000", "mhz|megahertz"),
    _unit("GHz", "frequency", "1000000000", "ghz|gigahertz"),
    _unit("rpm", "frequency", "1/60", "rpm"),
    _unit("Pa", "pressure", "1", "pa|pascal|pascals"),
    _unit("hPa", "pressure", "100", "hpa|hectopascal|hectopascals|mbar|millibar|millibars|mb", "hpa mbar"),
    _unit("kPa", "pressure", "1000", "kpa|kilopascal|kilopascals"),
    _unit("MPa", "pressure", "1000000", "mpa|megapascal|megapascals"),
    _unit("bar", "pressure", "100000", "bar|bars"),
    _unit("atm", "pressure", "101325", "atm"),
    _unit("psi", "pressure", "44482216152605/6451600000", "psi|pounds per square inch", "psi"),
    _unit("mmHg", "pressure", "133.322387415", "mmhg|mm hg"),
    _unit("inHg", "pressure", "3386.388640341", "inhg|in hg"),
    _unit("J", "energy", "1", "joule|joules"),
    _unit("kJ", "energy", "1000", "kj|kilojoule|kilojoules"),
    _unit("MJ", "energy", "1000000", "MJ|megajoule|megajoules"),
    _unit("mJ", "energy", "0.001", "mJ|millijoule|millijoules"),
    _unit("GJ", "energy", "1000000000", "gj|gigajoule|gigajoules"),
    _unit("kcal", "energy", "4184", "kcal|kcals|kilocalorie|kilocalories"),
    _unit("kcal (IT)", "energy", "4186.8", "kcal|kcals|kilocalorie|kilocalories"),
    _unit("Wh", "energy", "3600", "wh|watt hour|watt hours"),
    _unit("kWh", "energy", "3600000", "kwh|kilowatt hour|kilowatt hours"),
    _unit("MWh", "energy", "3600000000", "mwh|megawatt hour|megawatt hours"),
    _unit("GWh", "energy", "3600000000000", "gwh|gigawatt hour|gigawatt hours"),
    _unit("W", "power", "1", "watt|watts"),
    _unit("kW", "power", "1000", "kw|kilowatt|kilowatts"),
    _unit("mW", "power", "0.001", "mW|milliwatt|milliwatts"),
    _unit("MW", "power", "1000000", "MW|megawatt|megawatts"),
    _unit("GW", "power", "1000000000", "gw|gigawatt|gigawatts"),
    _unit("hp", "power", "745.69987158227022", "hp|bhp|horsepower"),
    _unit("metric hp", "power", "735.49875", "hp|ps|horsepower|metric horsepower"),
    _unit("mpg (US)", "distance by fuel", "48000000000/112903", "mpg|miles per gallon"),
    _unit("mpg (imperial)", "distance by fuel", "160934400000/454609", "mpg|miles per gallon"),
    _unit("°C", "temperature", "1", "°c|c|celsius|degrees celsius|degree celsius|degc|deg c|centigrade",
          "c celsius degc", Fraction("273.15")),
    _unit("°F", "temperature", "5/9", "°f|f|fahrenheit|degrees fahrenheit|degree fahrenheit|degf|deg f",
          "f fahrenheit degf", Fraction("273.15") - Fraction(160, 9)),
    _unit("K", "temperature", "1", "kelvin|degrees kelvin|k", "kelvin"),
    _unit("byte", "data", "1", "byte|bytes", "bytes"),
    _unit("kB", "data", "1000", "kb|kilobyte|kilobytes", "kb"),
    _unit("MB", "data", "1000000", "MB|mb|megabyte|megabytes", "mb"),
    _unit("GB", "data", "1000000000", "gb|gigabyte|gigabytes", "gb"),
    _unit("TB", "data", "1000000000000", "tb|terabyte|terabytes"),
    _unit("KiB", "data", "1024", "kib|kibibyte|kibibytes"),
    _unit("MiB", "data", "1048576", "mib|mebibyte|mebibytes"),
    _unit("GiB", "data", "1073741824", "gib|gibibyte|gibibytes"),
    _unit("Mbit", "data", "125000", "mbit|megabit|megabits"),
    _unit("bit/s", "data rate", "0.125", "bps|bits per second"),
    _unit("kbit/s", "data rate", "125", "kbps|kilobits per second"),
    _unit("Mbit/s", "data rate", "125000", "mbps|megabits per second"),
    _unit("Gbit/s", "data rate", "125000000", "gbps|gigabits per second"),
    _unit("mol", "substance", "1", "mol"),
    _unit("mmol", "substance", "0.001", "mmol|millimole|millimoles"),
    _unit("µmol", "substance", "0.000001", "µmol|umol|micromole|micromoles"),
    _unit("radians", "plane angle", "1", "rad|radian|radians"),  # degrees are what nobody names
    _unit("mA", "current", "0.001", "mA|milliampere|milliamperes"),
    _unit("A", "current", "1", "amp|amps|ampere|amperes"),
    _unit("mV", "voltage", "0.001", "mV|millivolt|millivolts"),
    _unit("V", "voltage", "1", "volt|volts"),
    _unit("kV", "voltage", "1000", "kv|kilovolt|kilovolts"),
    _unit("mAh", "charge", "0.001", "mah"),
    _unit("N", "force", "1", "newton|newtons"),
    _unit("kN", "force", "1000", "kn|kilonewton|kilonewtons"),
    _unit("Nm", "torque", "1", "Nm|newton metres|newton meters"),
    _unit("lb ft", "torque", "1.3558179483314004", "lb ft|ft lb|ft lbs|lbft"),
    _unit("beats/min", "heart rate", "1", "bpm|beats per minute"),
    _unit("ppm", "share", "0.000001", "ppm|parts per million"),
    _unit("ppb", "share", "0.000000001", "ppb|parts per billion"),
    _unit("percent", "share", "0.01", "%|percent|percents|percentage|pct|perc|prozent|per cent"),
    _unit("permille", "share", "0.001", "‰|permille|per mille"),
    _unit("basis points", "share", "0.0001", "bps|basis points"),
    _unit("shares of 1", "share", "1", "fraction|between 0 and 1|0 to 1|0 - 1|from 0 to 1|0 through 1"),
    _unit("cents", "scale", "0.01", "cent|cents|pence|minor units|minor unit"),
    _unit("hundreds", "scale", "100", "hundreds"),
    _unit("thousands", "scale", "1000", "k|thousand|thousands|thsd|tsd|tausend"),
    _unit("millions", "scale", "1000000", "m|mm|mn|mln|mio|million|millions|millionen"),
    _unit("billions", "scale", "1000000000", "bn|bln|mrd|billion|billions"),
    *(
        _unit(code, "currency", "1", f"{code.lower()}|{_CURRENCY_WORDS.get(code, code.lower())}")
        for code in _CURRENCIES.split()
    ),
)  # fmt: skip


@cache
def _by_word() -> tuple[dict[str, tuple[Unit, ...]], dict[str, tuple[Unit, ...]]]:
    """The units of each word as it is written, and of each in lower case."""
    exact: dict[str, tuple[Unit, ...]] = {}
    folded: dict[str, tuple[Unit, ...]] = {}
    for unit in UNITS:
        for word in dict.fromkeys(unit.words):
            exact[word] = (*exact.get(word, ()), unit)
            folded[word.lower()] = (*folded.get(word.lower(), ()), unit)
    return exact, folded


def units_of(word: str) -> tuple[Unit, ...]:
    """The units that a word, or some with blanks between them, can stand for: `mJ` for one, `mj` for two."""
    exact, folded = _by_word()
    word = word.replace("\u03bc", "µ")
    return (exact.get(word, ()) if word != word.lower() else ()) or folded.get(word.lower(), ())


def product(factors: Iterable[tuple[Unit, int]], number: Fraction = Fraction(1)) -> Unit:
    """The unit that several make, each with its power; `km` and `h` with -1 are `km/h`.

    Args:
        factors: The units with their powers.
        number: How many of those below the line, such as the 100 of `l/100 km`.
    """
    given = tuple(factors)
    if len(given) == 1 and given[0][1] == 1 and number == 1:
        return given[0][0]
    factor = 1 / number
    powers: dict[str, int] = {}
    for unit, power in given:
        factor *= unit.factor**power
        for kind, own in unit.dimensions:
            powers[kind] = powers.get(kind, 0) + own * power
    over = " ".join(unit.name + _POWERS[power] for unit, power in given if power > 0)
    under = " ".join(unit.name + _POWERS[-power] for unit, power in given if power < 0)
    count = f"{number} " if number != 1 else ""
    name = f"{over}/{count}{under}" if over and under else over or f"per {count}{under}"
    return Unit(name, "", factor, frozenset(one for one in powers.items() if one[1]))


_POWERS = {1: "", 2: "²", 3: "³"}


def is_convertible(source: Unit, target: Unit) -> bool:
    """Whether both measure the same."""
    return source.dimensions == target.dimensions


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
    if source == target or not is_convertible(source, target):
        return None
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column)
    name = column if plain and column != "round" else '"' + column.replace('"', '""') + '"'
    factor, shift = source.factor / target.factor, (source.zero - target.zero) / target.factor
    if not shift:
        return _times(name, factor)
    if _decimal(shift) is not None or _decimal(shift / factor) is None:
        return f"{_times(name, factor)} {_signed(shift)}"
    return _times(f"({name} {_signed(shift / factor)})", factor)


def _times(name: str, factor: Fraction) -> str:
    """A product, or a division where that is the exacter one: by 1000 and not times 0.001, which no float is."""
    if factor == 1:
        return name
    whole_below = factor.numerator == 1
    if not whole_below and (written := _decimal(factor)) is not None:
        return f"{name} * {written}"
    if (written := _decimal(1 / factor)) is not None:
        return f"{name} / {written}"
    return f"{name} * {factor.numerator} / {factor.denominator}"


def _signed(number: Fraction) -> str:
    size = abs(number)
    return f"{'+' if number > 0 else '-'} {_decimal(size) or f'{size.numerator} / {size.denominator}'}"


def _decimal(number: Fraction) -> str | None:
    """A number with decimals; None if they do not end."""
    digits = next((digits for digits in range(18) if 10**digits % number.denominator == 0), None)
    if digits is None:
        return None
    sign, number = ("-", -number) if number < 0 else ("", number)
    text = f"{number.numerator * 10**digits // number.denominator:0{digits + 1}d}"
    plain = (f"{text[:-digits]}.{text[-digits:]}".rstrip("0").rstrip(".") or "0") if digits else text
    return sign + plain
