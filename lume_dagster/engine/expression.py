"""The arithmetic language of a mapper: numbers, source columns, + - * /, parentheses and round(x, decimals).

It is closed: what is not in this grammar is refused, and nothing of it reaches the database as text.

    sum     := product (("+" | "-") product)*
    product := unary (("*" | "/") unary)*
    unary   := "-" unary | atom
    atom    := NUMBER | COLUMN | "target" "(" FIELD ")" | "(" sum ")" | "round" "(" sum ["," DIGITS] ")"

A column or a target field is written as it is if its name is made of ASCII letters, digits and underscores, else in
double quotes (a quote in a name is doubled). All arithmetic is in 64-bit floats.

A rule across target fields is a condition in the same language, over target fields in place of columns:

    condition := both ("or" both)*
    both      := denied ("and" denied)*
    denied    := "not" denied | compared
    compared  := sum [("=" | "!=" | "<" | "<=" | ">" | ">=") sum]
    atom      := as above, with "(" condition ")" and a text in single quotes (one in it is doubled)

Two values are compared if they are of one type, or both numbers; a text in quotes becomes a date or time where it
meets one. Integers are compared exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lume_dagster.engine.plan import (
    Arithmetic,
    Column,
    Compare,
    Convert,
    Field,
    Finite,
    Literal,
    Logic,
    Negate,
    Node,
    Not,
    Number,
    Parse,
    Round,
)
from lume_dagster.engine.values import ValueType, is_value

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<text>'(?:[^']|'')*')
    | (?P<sign>[-+*/(),]|<=|>=|!=|[<>=])
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


def parse_expression(text: str, types: Mapping[str, ValueType]) -> Node:
    """Parse an expression into the nodes of a plan; columns and texts of target fields are read as numbers.

    Args:
        text: The expression, such as `round(distance * 1.609344, 1)`.
        types: The target fields and their types.

    Raises:
        ExpressionProblem: The text is no expression, a too long or too deep one, or reads a target field that is
            not there or no number.
    """
    parser = _Parser(_tokens(text), types)
    node = parser.sum(0)
    parser.expect("end", "")
    return node


def parse_rule(text: str, types: Mapping[str, ValueType]) -> Node:
    """Parse a condition across target fields.

    Args:
        text: The condition, such as `arrival >= departure`.
        types: The target fields and their types.

    Raises:
        ExpressionProblem: The text is no condition, names no target field, or compares what cannot be compared.
    """
    parser = _RuleParser(_tokens(text), types)
    node = parser.condition(0)
    parser.expect("end", "")
    if node.type is not ValueType.BOOLEAN:
        raise ExpressionProblem("is no condition; compare two values, as in arrival >= departure")
    if not fields_of(node):
        raise ExpressionProblem("names no target field")
    return node


def fields_of(node: Node) -> tuple[Field, ...]:
    """The target fields of a rule in the order in which they are first named."""
    if isinstance(node, Field):
        return (node,)
    if isinstance(node, (Arithmetic, Compare, Logic)):
        return tuple(dict.fromkeys((*fields_of(node.left), *fields_of(node.right))))
    if isinstance(node, (Negate, Round, Not, Finite)):
        return fields_of(node.operand)
    return fields_of(node.source) if isinstance(node, Convert) else ()


def operands_of(node: Node) -> tuple[Node, ...]:
    """What an expression reads, as numbers, in the order in which it is first named."""
    if isinstance(node, Arithmetic):
        return tuple(dict.fromkeys((*operands_of(node.left), *operands_of(node.right))))
    if isinstance(node, (Negate, Round)):
        return operands_of(node.operand)
    return () if isinstance(node, Number) else (node,)


def _tokens(text: str) -> list[_Token]:
    if len(text) > _MAX_LENGTH:
        raise ExpressionProblem(f"longer than {_MAX_LENGTH} characters")
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
    def __init__(self, tokens: list[_Token], types: Mapping[str, ValueType]) -> None:
        self.tokens = tokens
        self.types = types
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
            node = Arithmetic(operator, self.number(node), self.number(self.product(depth)))
        return node

    def product(self, depth: int) -> Node:
        node = self.unary(depth)
        while operator := self.take("*", "/"):
            node = Arithmetic(operator, self.number(node), self.number(self.unary(depth)))
        return node

    def unary(self, depth: int) -> Node:
        negative = False
        while self.take("-"):
            negative = not negative
        node = self.atom(depth)
        return Negate(self.number(node)) if negative else node

    def atom(self, depth: int) -> Node:
        token = self.token
        if self.take("("):
            node = self.inner(depth + 1)
            self.expect("sign", ")")
            return node
        if token.kind == "number":
            self.position += 1
            return self.constant(token)
        if token.kind == "name":
            self.position += 1
            if token.text == "round" and self.take("("):
                return self.round(depth)
            return self.named(token.text, token)
        if token.kind == "quoted":
            self.position += 1
            return self.named(_unquoted(token), token)
        found = repr(token.text) if token.text else "the end"
        raise ExpressionProblem(
            f"expected a number, a name or '(' at character {token.at + 1}, found {found}"
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
        return Round(self.number(operand), decimals)

    # What a rule reads in another way

    def inner(self, depth: int) -> Node:
        """What stands in parentheses."""
        return self.sum(depth)

    def constant(self, token: _Token) -> Node:
        """A number as it is written."""
        return _number(token)

    def named(self, name: str, token: _Token) -> Node:
        """What a name stands for."""
        if token.text != "target" or not self.take("("):
            return Parse(Column(name), ValueType.NUMBER)
        field = self.field_name()
        self.expect("sign", ")")
        return self.field_number(self.field(field))

    def field_name(self) -> _Token:
        token = self.token
        if token.kind not in ("name", "quoted"):
            raise ExpressionProblem(f"expected the name of a target field at character {token.at + 1}")
        self.position += 1
        return token

    def field(self, token: _Token) -> Field:
        """A target field by its name."""
        name = _unquoted(token)
        if name not in self.types:
            raise ExpressionProblem(f"there is no target field {name!r}, at character {token.at + 1}")
        if self.types[name] is ValueType.LIST:
            raise ExpressionProblem(f"the target field {name!r} is a list, at character {token.at + 1}")
        return Field(name, self.types[name])

    @staticmethod
    def field_number(field: Field) -> Node:
        """A target field as an operand of arithmetic."""
        if field.type is ValueType.NUMBER:
            return field
        if field.type is ValueType.TEXT:
            return Parse(field, ValueType.NUMBER)
        if field.type is not ValueType.INTEGER:
            raise ExpressionProblem(f"the target field {field.name!r} is a {field.type.value}, not a number")
        return Convert(field, ValueType.NUMBER)

    def number(self, node: Node) -> Node:
        """A node as an operand of arithmetic."""
        return node


class _RuleParser(_Parser):
    def word(self, word: str) -> bool:
        """Whether the next token is this word; it is taken then."""
        found = self.token.kind == "name" and self.token.text == word
        self.position += found
        return found

    def condition(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise ExpressionProblem(f"nested deeper than {_MAX_DEPTH} levels")
        node = self.both(depth)
        while self.word("or"):
            node = Logic("or", self.truth(node), self.truth(self.both(depth)))
        return node

    def both(self, depth: int) -> Node:
        node = self.denied(depth)
        while self.word("and"):
            node = Logic("and", self.truth(node), self.truth(self.denied(depth)))
        return node

    def denied(self, depth: int) -> Node:
        turned = False
        denied = False
        while self.word("not"):
            denied, turned = True, not turned
        node = self.compared(depth)
        if denied:
            node = self.truth(node)
        return Not(node) if turned else node

    def compared(self, depth: int) -> Node:
        left = self.sum(depth)
        at = self.token.at + 1
        operator = self.take("=", "!=", "<", "<=", ">", ">=")
        if operator is None:
            return left
        left, right = self.alike(left, self.sum(depth), at)
        if left.type is ValueType.BOOLEAN and operator not in ("=", "!="):
            raise ExpressionProblem(f"true and false have no order, at character {at}")
        return Compare(operator, left, right)

    def alike(self, left: Node, right: Node, at: int) -> tuple[Node, Node]:
        """Two nodes made comparable."""
        numeric = (ValueType.INTEGER, ValueType.NUMBER)
        if left.type is not right.type:
            if left.type in numeric and right.type in numeric:
                left, right = self.number(left), self.number(right)
            elif isinstance(left, Literal):
                left = self.literal(left, right.type, at)
            elif isinstance(right, Literal):
                right = self.literal(right, left.type, at)
            else:
                raise ExpressionProblem(
                    f"a {left.type.value} and a {right.type.value} are compared at character {at}"
                )
        return _finite(left), _finite(right)

    @staticmethod
    def literal(node: Literal, value_type: ValueType, at: int) -> Node:
        """A quoted text as a date or time, where it is compared with one."""
        temporal = (ValueType.DATE, ValueType.INSTANT, ValueType.TIMESTAMP, ValueType.TIME)
        if value_type not in temporal or not is_value(node.text or "", value_type):
            raise ExpressionProblem(f"{node.text!r} is compared with a {value_type.value} at character {at}")
        return Parse(node, value_type)

    def truth(self, node: Node) -> Node:
        """A node as an operand of and, or and not."""
        if node.type is not ValueType.BOOLEAN:
            raise ExpressionProblem(
                f"a {node.type.value} is no condition, before character {self.token.at + 1}"
            )
        return node

    def atom(self, depth: int) -> Node:
        token = self.token
        if token.kind == "text":
            self.position += 1
            return Literal(token.text[1:-1].replace("''", "'"))
        return super().atom(depth)

    def inner(self, depth: int) -> Node:
        return self.condition(depth)

    def constant(self, token: _Token) -> Node:
        if is_value(token.text, ValueType.INTEGER) and token.text.isdigit():
            return Parse(Literal(token.text), ValueType.INTEGER)
        return _number(token)

    def named(self, name: str, token: _Token) -> Node:  # noqa: ARG002 - it is the token's
        return self.field(token)

    def number(self, node: Node) -> Node:
        if node.type is ValueType.NUMBER:
            return node
        if node.type is not ValueType.INTEGER:
            raise ExpressionProblem(f"a {node.type.value} is no number, before character {self.token.at + 1}")
        if isinstance(node, Parse) and isinstance(node.source, Literal):
            return Number(float(node.source.text or ""))
        return Convert(node, ValueType.NUMBER)


def _unquoted(token: _Token) -> str:
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


def _finite(node: Node) -> Node:
    return Finite(node) if isinstance(node, (Arithmetic, Negate, Round)) else node


def _number(token: _Token) -> Number:
    value = float(token.text)
    if not math.isfinite(value):
        raise ExpressionProblem(f"{token.text} is too large a number, at character {token.at + 1}")
    return Number(value)
