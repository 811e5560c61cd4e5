"""Alias packs: the names by which the same thing goes, such as `DE`, `DEU`, `276` and `Germany`.

A pack is a file in `aliases/`. Lines that start with `#` tell what it holds and where it comes from; `hints` are words
of a field's name or description that speak for the pack; `prefixes` may stand before a name; `closed: yes` says that
the pack names all there is of its kind, so that nothing else is one of them. Each further line is one thing: its names,
separated by semicolons. A name after `~` is understood in a value and never makes an option one of the pack. A name on
several lines is ambiguous, and a line none of whose things is an option says that a value is no option. A name after
`?` is that of another line, and ambiguous only where this thing is an option too: `$` beside AUD, `Congo` beside CD.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lume_dagster.generator.text_key import key, squeezed, words


@dataclass(frozen=True)
class AliasPack:
    """One kind of things and their names.

    Attributes:
        name: The file's name without its extension.
        hints: Words of a field's name or description that speak for it.
        prefixes: Keys that may stand before a name.
        closed: Whether there are no others of the kind.
        names: The things that a key can mean, in a value.
        option_names: The same without those after `~`.
        rivals: The things that a key may mean as well, if they are options.
    """

    name: str
    hints: frozenset[str]
    prefixes: tuple[str, ...]
    closed: bool
    names: Mapping[str, frozenset[int]]
    option_names: Mapping[str, frozenset[int]]
    rivals: Mapping[str, frozenset[int]]

    def things(self, text: str, options: Container[int] = ()) -> frozenset[int]:
        """The things that a value's text can mean; empty for an unknown one.

        Args:
            text: The value.
            options: The things that are options.
        """
        for form in self._forms(text):
            if found := self.things_of_key(form, options):
                return found
        return frozenset()

    def things_of_key(self, form: str, options: Container[int] = ()) -> frozenset[int]:
        """The same for a text that is a key."""
        found = self.names.get(form, frozenset())
        return found | {thing for thing in self.rivals.get(form, ()) if thing in options}

    def _forms(self, text: str) -> Iterator[str]:
        """The keys under which a text may be found, the likeliest first."""
        for form in _forms(text):
            yield form
            for prefix in self.prefixes:
                if form.startswith(f"{prefix} "):
                    yield form.removeprefix(f"{prefix} ")

    def thing_of_option(self, text: str) -> int | None:
        """The one thing that an option's text means."""
        found = self.option_names.get(key(text), frozenset())
        return next(iter(found)) if len(found) == 1 else None


def _forms(text: str) -> tuple[str, ...]:
    found = words(text)
    forms = [" ".join(found)]
    before, comma, after = text.partition(",")
    if comma and after.strip() and "," not in after:
        forms.append(f"{key(after)} {key(before)}".strip())
    forms.append(squeezed(found))
    return tuple(dict.fromkeys(forms))


def _read(name: str, content: str) -> AliasPack:
    head: dict[str, str] = {}
    every: dict[str, set[int]] = {}
    of_options: dict[str, set[int]] = {}
    squeezed_names: dict[str, set[int]] = {}
    rivals: dict[str, set[int]] = {}
    lines = [line for line in content.splitlines() if line.strip() and not line.startswith("#")]
    for thing, line in enumerate(lines):
        label, colon, rest = line.partition(": ")
        if colon and label in ("hints", "prefixes", "closed"):
            head[label] = rest
            continue
        for alias in line.split(";"):
            text = alias.strip()
            if text.startswith("?"):
                rivals.setdefault(key(text[1:]), set()).add(thing)
                continue
            found = words(text.removeprefix("~"))
            every.setdefault(" ".join(found), set()).add(thing)
            if len(squeezed(found)) >= 4 or all(len(word) == 1 for word in found):
                squeezed_names.setdefault(squeezed(found), set()).add(thing)
            if not text.startswith("~"):
                of_options.setdefault(" ".join(found), set()).add(thing)
    for form, things in squeezed_names.items():
        every.setdefault(form, things)
    return AliasPack(
        name=name,
        hints=frozenset(head.get("hints", "").split()),
        prefixes=tuple(key(prefix) for prefix in head.get("prefixes", "").split(";") if prefix.strip()),
        closed=head.get("closed") == "yes",
        names={form: frozenset(things) for form, things in every.items()},
        option_names={form: frozenset(things) for form, things in of_options.items()},
        rivals={form: frozenset(things) for form, things in rivals.items()},
    )


@cache
def alias_packs() -> tuple[AliasPack, ...]:
    """All packs of the package, in the order of their names."""
    folder = files(__package__) / "aliases"
    texts = sorted(
        (entry.name.removesuffix(".txt"), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".txt")
    )
    return tuple(_read(name, content) for name, content in texts)
