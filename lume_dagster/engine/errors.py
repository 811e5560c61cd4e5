"""What the engine raises, and the types of error a rejected record can carry."""

from __future__ import annotations

from enum import Enum


class ErrorType(str, Enum):
    """Why a record is rejected. The values are public: they stand in the rejects and in run metadata."""

    REQUIRED = "required"
    TYPE = "type"
    ENUM = "enum"
    PATTERN = "pattern"
    LENGTH = "length"
    RANGE = "range"
    FORMAT = "format"
    DUPLICATE = "duplicate"
    LOOKUP = "lookup"
    UNPARSABLE = "unparsable"


class EngineError(Exception):
    """The engine could not do its work; the message says what happened and what to do."""


class FlowError(EngineError):
    """A flow file is not usable.

    Args:
        path: The file, as the user knows it.
        pointer: JSON pointer of the place in the file; empty for the whole document.
        message: What is wrong there and what to do.
    """

    def __init__(self, path: str, pointer: str, message: str) -> None:
        self.path = path
        self.pointer = pointer
        self.message = message
        super().__init__(f"{path}, at {pointer or 'the top'}: {message}")


class BatchError(EngineError):
    """A batch cannot be read as its flow says; the message names the file, the place and the remedy."""


class UnavailableError(EngineError):
    """A database of the user's is in use or not reachable for the moment; trying again may help."""


class CancelledError(EngineError):
    """The caller's cancel flag was set while the engine worked."""
