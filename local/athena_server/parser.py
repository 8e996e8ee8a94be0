"""Athena's SQL read into a tree: with Trino's grammar only, and every function under the name it was called by."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from local.athena_server.errors import StatementFailed
from local.athena_server.scope import Node

_OTHER_DIALECTS = frozenset(
    {
        TokenType.SEMICOLON,
        TokenType.DCOLON,
        TokenType.QUALIFY,
        TokenType.PIVOT,
        TokenType.UNPIVOT,
        TokenType.DQMARK,
        TokenType.PARAMETER,
    }
    | {TokenType.ILIKE, TokenType.RLIKE, TokenType.GLOB, TokenType.DIV, TokenType.AMP, TokenType.PIPE, TokenType.CARET}
    | {TokenType.TILDE, TokenType.HASH, TokenType.DSTAR, TokenType.PLACEHOLDER, TokenType.DOLLAR}
)
"""What sqlglot reads and Trino does not."""
_BEFORE_NO_TEXT = frozenset(
    {TokenType.FROM, TokenType.JOIN, TokenType.ALIAS, TokenType.NUMBER, TokenType.STRING, TokenType.VAR}
    | {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.IDENTIFIER}
)
"""Where sqlglot takes a text in quotes for a name."""
_NOT_AFTER_LIMIT = frozenset({TokenType.OFFSET, TokenType.COMMA})
_FIRST_WORDS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.L_PAREN})
_TYPED_LITERALS = frozenset({"DATE", "TIMESTAMP", "INTERVAL", "ESCAPE", "LIKE", "DECIMAL"})


class AthenaSelect(Trino):
    """Trino's grammar without sqlglot's own idea of what a function is."""

    # sqlglot would move each literal index by one, in maps as well as in arrays.
    INDEX_OFFSET = 0

    class Parser(Trino.Parser):  # type: ignore[misc, valid-type]  # sqlglot makes it an attribute
        """Leaves every function call as it is written."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: parser
            for name, parser in Trino.Parser.FUNCTION_PARSERS.items()
            if name in ("CAST", "TRY_CAST", "EXTRACT", "POSITION")
        }


def parse_query(text: str) -> Node:
    """Return the tree of a SELECT, WITH or VALUES statement.

    Raises:
        StatementFailed: It is none, or Athena could not read it.
    """
    try:
        tokens = AthenaSelect().tokenize(text)
    except TokenError as error:
        raise StatementFailed("SYNTAX_ERROR", f"line 1:1: {error}") from None
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    _check(tokens, text)
    try:
        trees = AthenaSelect().parser().parse(_decimals_marked(tokens), text)
    except ParseError as error:
        first = error.errors[0]
        place = f"line {first['line']}:{max(1, first['col'] - len(first['highlight'] or '') + 1)}"
        raise StatementFailed(
            "SYNTAX_ERROR", f"{place}: mismatched input '{first['highlight']}'. {first['description']}"
        ) from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query | exp.Values):
        raise StatementFailed("SYNTAX_ERROR", f"line 1:1: mismatched input '{text.strip()[:40]}'")
    return tree


def _check(tokens: list[Token], text: str) -> None:
    """Refuse what sqlglot reads in other dialects, or in another order than Trino."""
    if not tokens:
        raise StatementFailed("SYNTAX_ERROR", "line 1:1: mismatched input '<EOF>'")
    wrong = tokens[0] if tokens[0].token_type not in _FIRST_WORDS else None
    for index, token in enumerate(tokens):
        if wrong is None and (token.token_type in _OTHER_DIALECTS or text[token.start : token.end + 1] == "=="):
            wrong = token
        if wrong is None and index + 1 < len(tokens) and _cannot_follow(token, tokens[index + 1]):
            wrong = tokens[index + 1]
        # Trino's grammar has OFFSET before LIMIT.
        after_count = tokens[index + 2] if index + 2 < len(tokens) else token
        if wrong is None and token.token_type == TokenType.LIMIT and after_count.token_type in _NOT_AFTER_LIMIT:
            wrong = after_count
    if wrong is not None:
        column = wrong.start - text.rfind("\n", 0, wrong.start)
        raise StatementFailed("SYNTAX_ERROR", f"line {wrong.line}:{column}: mismatched input '{wrong.text}'")


def _cannot_follow(token: Token, following: Token) -> bool:
    kind, next_kind = token.token_type, following.token_type
    if kind == TokenType.SELECT:
        return next_kind == TokenType.FROM
    if kind == TokenType.COMMA:
        return next_kind in (TokenType.FROM, TokenType.R_PAREN)
    named = kind in _BEFORE_NO_TEXT or kind in Trino.Parser.TYPE_TOKENS
    return next_kind == TokenType.STRING and named and token.text.upper() not in _TYPED_LITERALS


def _decimals_marked(tokens: list[Token]) -> list[Token]:
    """Return the tokens with `DECIMAL '1.50'` as the number it is: in the tree it would look like a cast."""
    result: list[Token] = []
    for token in tokens:
        previous = result[-1] if result else None
        if token.token_type == TokenType.STRING and previous is not None and previous.text.upper() == "DECIMAL":
            number = token.text.strip()
            sign = number[0] if number[:1] in ("-", "+") else ""
            number = number[len(sign) :]
            digits = number.replace(".", "", 1)
            if not (digits.isascii() and digits.isdigit()):
                raise StatementFailed("INVALID_LITERAL", f"'{token.text}' is not a valid DECIMAL literal")
            result.pop()
            if sign == "-":
                result.append(_token(TokenType.DASH, "-", token))
            result.append(_token(TokenType.NUMBER, number if "." in number else f"{number}.", token))
        else:
            result.append(token)
    return result


def _token(kind: TokenType, text: str, like: Token) -> Token:
    return Token(kind, text, line=like.line, col=like.col, start=like.start, end=like.end)
