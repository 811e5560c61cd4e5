"""How the numbers of a column are written: which styles read all of them, and whether they agree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lume_dagster.engine.values import GROUPING, NumberStyle, ValueType
from lume_dagster.generator.aliases import alias_packs
from lume_dagster.generator.measures import units_beside
from lume_dagster.generator.reading import Reading, Value, cast, number_reader, telling_text

_MARKS = (
    (".", ""),
    (".", ","),
    (".", " "),
    (".", "'"),
    (".", "_"),
    (",", ""),
    (",", "."),
    (",", " "),
    (",", "'"),
)
"""Decimal and thousands marks, the commonest first."""
_ZERO_BEFORE_GROUP = re.compile(r"(?<![\d.,])0\d*[.,  \u202f'’_]\d{3}(?!\d)")
_EXPONENT = re.compile(r"\d[eE][+-]?\d")


@dataclass(frozen=True)
class NumberFinding:
    """How numbers are written.

    Attributes:
        readings: One if that is settled, several if it is not; the likelier first.
        problem: Why it is not settled.
        unit: The unit that stands behind each number, if one does.
    """

    readings: tuple[Reading, ...]
    problem: str = ""
    unit: str = ""


def find_number_style(
    texts: Sequence[str], value_type: ValueType, *, in_percent: bool = False
) -> NumberFinding:
    """Find how the numbers of a column are written.

    Args:
        texts: The distinct texts.
        value_type: NUMBER or INTEGER.
        in_percent: Whether the field is said to be in percent, so that 12 may be what `12%` is to become.
    """
    signs = tuple(dict.fromkeys(sign for text in texts for sign in _signs(text)))
    currencies, unit, problem = _what(signs)
    percent = any("%" in text for text in texts)
    accounting = any("(" in text for text in texts)
    styles = [NumberStyle(*marks, percent, currencies, accounting) for marks in _MARKS]
    readings = _surviving(
        [_plain(texts, ValueType.NUMBER), *(_styled(texts, style, ValueType.NUMBER) for style in styles)]
    )
    if problem and readings:
        return NumberFinding((), problem, unit)
    if len(readings) > 1:
        problem = _doubt(readings)
    if value_type is ValueType.INTEGER:
        # Found as numbers first: that only one reading gives integers is no proof that they are some.
        readings = tuple(found for one in readings if (found := _as_integers(texts, one)).values)
    if percent and len(readings) == 1 and not problem:
        return _percent(readings[0], texts, in_percent=in_percent)
    return NumberFinding(readings, problem, unit)


def _styled(texts: Sequence[str], style: NumberStyle, value_type: ValueType) -> Reading:
    read = number_reader(style, value_type)
    values = {text: value for text in texts if (value := read(text)) is not None}
    if style.thousands and any(_is_decimal(text, style.thousands) for text in values):
        values = {}
    return Reading("number", _options(style), values, _means(style))


def _as_integers(texts: Sequence[str], reading: Reading) -> Reading:
    if reading.operation == "extract":
        return _plain(texts, ValueType.INTEGER)
    return _styled(texts, _style_of(reading.options), ValueType.INTEGER)


def _plain(texts: Sequence[str], value_type: ValueType) -> Reading:
    values = {text: value for text in texts if (value := cast(text, value_type)) is not None}
    return Reading("extract", {}, values, "as it is")


def _surviving(offered: Sequence[Reading]) -> tuple[Reading, ...]:
    """The readings that take most texts, one for each meaning; those of fewer if they take what these do not."""
    candidates = [one for one in offered if one.values]
    if not candidates:
        return ()
    most = max(len(one.values) for one in candidates)
    kept: list[Reading] = []
    for one in sorted(candidates, key=lambda one: -len(one.values)):
        covered = any(one.values.keys() <= other.values.keys() for other in kept)
        if len(one.values) == most:
            if all(one.values != other.values for other in kept):
                kept.append(one)
        elif not covered:
            kept.append(one)
    return tuple(kept)


def _signs(text: str) -> tuple[str, ...]:
    """What stands before the first and behind the last digit, beside signs, blanks and parentheses."""
    digits = [at for at, char in enumerate(text) if char.isdigit()]
    if not digits or _EXPONENT.search(text):
        return ()
    before = text[: digits[0]].strip(" ()+-\u00a0\u202f\t")
    if not _currency(before):
        before = before.rstrip(".,")
    after = text[digits[-1] + 1 :].strip(" ()%\u00a0\u202f\t").lstrip(".,").strip()
    return tuple(sign for sign in (before, after) if sign)


def _what(used: Sequence[str]) -> tuple[tuple[str, ...], str, str]:
    """The signs that are one currency or one unit; the unit; why the signs do not go together."""
    money = {sign: things for sign in used if (things := _currency(sign))}
    units = {sign: unit for sign in used if sign not in money and (unit := units_beside(sign))}
    if not money and not units:
        return (), "", ""
    if money and units:
        return tuple(used), "", f"currencies and units stand beside the numbers: {_quoted(used)}"
    if money:
        common = frozenset[int].intersection(*money.values())
        problem = "" if common else f"the numbers are of several currencies: {_quoted(money)}"
        return tuple(money), "", problem
    if len(set(units.values())) > 1:
        return tuple(units), "", f"the numbers are of several units: {_quoted(units)}"
    return tuple(units), next(iter(units)), ""


def _quoted(signs: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(sorted(signs)[:4])


def _currency(sign: str) -> frozenset[int]:
    """The currencies that a sign may stand for; a sign of several, like $, stands for each."""
    pack = next(pack for pack in alias_packs() if pack.name == "currencies")
    shared = {"$": "USD CAD AUD NZD HKD SGD MXN TWD BRL", "¥": "JPY CNY", "kr": "SEK NOK DKK ISK", "kr.": "DKK",
              "rs": "INR PKR LKR NPR", "rs.": "INR PKR LKR NPR", "fr": "CHF", "fr.": "CHF", "£": "GBP EGP"}  # fmt: skip
    codes = shared.get(sign.lower())
    if codes:
        return frozenset[int]().union(*(pack.things(code) for code in codes.split()))
    return pack.things(sign) if len(sign) <= 4 or not sign.isascii() else frozenset()


def _is_decimal(text: str, thousands: str) -> bool:
    """Whether what would be a group of thousands is none, as its number begins with a zero: `0.125`."""
    found = _ZERO_BEFORE_GROUP.search(text)
    return found is not None and any(mark in found[0] for mark in GROUPING[thousands])


def _options(style: NumberStyle) -> dict[str, object]:
    options: dict[str, object] = {}
    if style.decimal != ".":
        options["decimal"] = style.decimal
    if style.thousands:
        options["thousands"] = style.thousands
    if style.percent:
        options["percent"] = True
    if style.currencies:
        options["currency"] = list(style.currencies)
    if style.accounting:
        options["negatives"] = "accounting"
    return options


def _style_of(options: Mapping[str, Any]) -> NumberStyle:
    return NumberStyle(
        options.get("decimal", "."),
        options.get("thousands", ""),
        options.get("percent", False),
        tuple(options.get("currency", ())),
        "negatives" in options,
    )


def _means(style: NumberStyle) -> str:
    return f"decimals behind {style.decimal!r}" + (
        f", thousands between {style.thousands!r}" if style.thousands else ""
    )


def _doubt(readings: Sequence[Reading]) -> str:
    text = telling_text(readings)
    ways = (f"{_shown(one.values.get(text))} ({one.means})" for one in readings)
    return f"{text.strip()} may mean {' or '.join(ways)}"


def _shown(value: Value | None) -> str:
    if value is None:
        return "no number"
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _percent(reading: Reading, texts: Sequence[str], *, in_percent: bool) -> NumberFinding:
    bare = [text for text in reading.values if "%" not in text]
    if bare:
        return NumberFinding((), f"some of the numbers are in percent and others, like {bare[0]}, are not")
    if not in_percent:
        return NumberFinding((reading,))
    pattern = r"^ *([+-]?[0-9]+(?:\.[0-9]*)?) *% *$"
    points = {text: float(found[1]) for text in texts if (found := re.fullmatch(pattern, text, re.ASCII))}
    other = Reading("regex", {"pattern": pattern}, points, "percent as they are")
    share = Reading(reading.operation, reading.options, reading.values, "a hundredth of it")
    return NumberFinding((share, other), "12% may become 0.12 or, in a field that is in percent, 12")
