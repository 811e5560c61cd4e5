"""What a value's text comes down to when it is compared: words without case, accents and punctuation.

A sign before a number, a plus or minus behind a letter, comparisons, decimals and currency signs are kept, as they
make another value of it: `-1` is not `1`, `A+` not `A-`, `<5` not `5`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`\u00b4]")
_INITIALS = re.compile(r"(?<![^\W_])(?:[^\W\d_]\.){2,}(?:[^\W\d_](?![^\W_]))?")
_TOKEN = re.compile(
    r"(?:(?<=^)|(?<=\s))[-+]?\d+(?:[.,]\d+)*(?![^\W_])(?:\+|-(?=\s|$))?"  # a number with its sign, 65+
    r"|[^\W_]+(?:[+#]+|-(?=\s|$))?"  # a word; A+, A-, C#
    r"|(?<=\s)\+(?=\s|$)|[<>=≤≥±%$€£¥₹₩₽₺₴₦₫฿₪₱₿\"]"
    r"|[✓✔✗✘]"
)


@lru_cache(maxsize=65536)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in their order, without `the`.

    Args:
        text: Any text.

    Returns:
        Empty for a text that holds none, such as `-`.
    """
    plain = unicodedata.normalize("NFKD", text.strip().casefold().translate(_LETTERS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = _APOSTROPHES.sub("", plain).replace("&", " and ").replace("−", "-")
    plain = _INITIALS.sub(lambda found: found[0].replace(".", "") + " ", plain)
    found = tuple(_TOKEN.findall(plain))
    without = tuple(word for word in found if word != "the")
    return without or found


def key(text: str) -> str:
    """The words of a text with a blank between each two."""
    return " ".join(words(text))


@lru_cache(maxsize=65536)
def squeezed(found: tuple[str, ...]) -> str:
    """Words without what stands between them; two numbers stay apart."""
    joined = " ".join(found)
    return re.sub(r"(?<=\d) (?=\d)", "-", joined).replace(" ", "")
