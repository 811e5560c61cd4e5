"""The arithmetic language of a mapper: numbers, source columns, + - * /, parentheses and round(x, decimals).

It is closed: what is not in this grammar is refused, and nothing of it reaches the database as text.

    sum     := product (("+" | "-") product)*
    product := unary (("*" | "/") unary)*
    unary   := "-" unary | atom
    atom    := NUMBER | COLUMN | "(" sum ")" | "round" "(" sum ["," DIGITS] ")"

A column is written as it is if its name is made of ASCII letters, digits and underscores, else in double quotes
(a quote in a name is doubled). All arithmetic is in 64-bit floats.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lume_dagster.engine.plan import Arithmetic, Column, Negate, Node, Number, Parse, Round
from lume_dagster.engine.values import ValueType

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<sign>[-+*/(),])
    | (?P<end>$))""",
    re.VERBOSE,
)
_MAX_LENGTH = 2000
_MAX_DEPTH = 40
_MAX_DECIMALS = 15


class ExpressionProblem(ValueError):  # noqa: N818 - the message for an error, not one of its own
    """An expression is not in the grammar; the message says where."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_expression(text: str) -> Node:
    """Parse an expression into the nodes of a plan; columns are read as numbers.

    Args:
        text: The expression, such as `round(distance * 1.609344, 1)`.

    Raises:
        ExpressionProblem: The text is no expression, or a too long or too deep one.
    """
    if len(text) > _MAX_LENGTH:
        raise ExpressionProblem(f"longer than {_MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    node = parser.sum(0)
    parser.expect("end", "")
    return node


def columns_of(node: Node) -> tuple[Column, ...]:
    """The source columns of an expression in the order in which they are first named."""
    if isinstance(node, Parse) and isinstance(node.source, Column):
        return (node.source,)
    if isinstance(node, Arithmetic):
        return tuple(dict.fromkeys((*columns_of(node.left), *columns_of(node.right))))
    if isinstance(node, (Negate, Round)):
        return columns_of(node.operand)
    return ()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ExpressionProblem(f"cannot be read from character {at + 1} on: {text[at : at + 20]!r}")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def take(self, *signs: str) -> str | None:
        """The next token's text if it is one of these signs."""
        if self.token.kind == "sign" and self.token.text in signs:
            self.position += 1
            return self.tokens[self.position - 1].text
        return None

    def expect(self, kind: str, text: str) -> None:
        if self.token.kind != kind or self.token.text != text:
            wanted = repr(text) if text else "the end"
            found = repr(self.token.text) if self.token.text else "the end"
            raise ExpressionProblem(f"expected {wanted} at character {self.token.at + 1}, found {found}")
        self.position += 1

    def sum(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise ExpressionProblem(f"nested deeper than {_MAX_DEPTH} levels")
        node = self.product(depth)
        while operator := self.take("+", "-"):
            node = Arithmetic(operator, node, self.product(depth))
        return node

    def product(self, depth: int) -> Node:
        node = self.unary(depth)
        while operator := self.take("*", "/"):
            node = Arithmetic(operator, node, self.unary(depth))
        return node

    def unary(self, depth: int) -> Node:
        negative = False
        while self.take("-"):
            negative = not negative
        node = self.atom(depth)
        return Negate(node) if negative else node

    def atom(self, depth: int) -> Node:
        token = self.token
        if self.take("("):
            node = self.sum(depth + 1)
            self.expect("sign", ")")
            return node
        if token.kind == "number":
            self.position += 1
            return _number(token)
        if token.kind == "name":
            self.position += 1
            if token.text == "round" and self.take("("):
                return self.round(depth)
            return Parse(Column(token.text), ValueType.NUMBER)
        if token.kind == "quoted":
            self.position += 1
            return Parse(Column(token.text[1:-1].replace('""', '"')), ValueType.NUMBER)
        found = repr(token.text) if token.text else "the end"
        raise ExpressionProblem(
            f"expected a number, a column or '(' at character {token.at + 1}, found {found}"
        )

    def round(self, depth: int) -> Node:
        operand = self.sum(depth + 1)
        decimals = 0
        if self.take(","):
            token = self.token
            if token.kind != "number" or not token.text.isdigit() or int(token.text) > _MAX_DECIMALS:
                raise ExpressionProblem(
                    f"round takes 0 to {_MAX_DECIMALS} decimals, at character {token.at + 1}"
                )
            decimals = int(token.text)
            self.position += 1
        self.expect("sign", ")")
        return Round(operand, decimals)


def _number(token: _Token) -> Number:
    value = float(token.text)
    if not math.isfinite(value):
        raise ExpressionProblem(f"{token.text} is too large a number, at character {token.at + 1}")
    return Number(value)
