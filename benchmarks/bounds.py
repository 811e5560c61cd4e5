"""Figures of a benchmark and what they have to be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """A figure, and what it has to be at least (or at most).

    Attributes:
        name: What is measured.
        value: What was found.
        least: What it has to be.
        at_most: It must not be more, rather than not less.
        aim: What is aimed at, where that is more than what it has to be.
    """

    name: str
    value: float
    least: float
    at_most: bool = False
    aim: float | None = None

    @property
    def kept(self) -> bool:
        """Whether it is."""
        return self.value <= self.least if self.at_most else self.value >= self.least - 1e-9

    @property
    def verdict(self) -> str:
        """What is to be said of it; nothing if it is kept."""
        if not self.kept:
            return "MISSED"
        return f"below the aim of {self.aim}" if self.aim is not None and self.value < self.aim else ""
