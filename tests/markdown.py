"""Reads the project's own documents: fenced blocks, code, links, headings and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCED = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str


def blocks(text: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of a document, in order; only those of one language if it is given."""
    found = [Block(match[1], match[2]) for match in _FENCED.finditer(text)]
    return [block for block in found if language in (None, block.language)]


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return _FENCED.sub("", text)


def code(text: str) -> Iterator[str]:
    """All that a document shows as code: each command line of the blocks, joined over its continuations, and inline."""
    for block in blocks(text):
        yield from block.text.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", prose(text))


def links(text: str) -> list[str]:
    """The targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def headings(text: str) -> list[tuple[int, str]]:
    """Level and text of each heading."""
    return [(len(match[1]), match[2]) for match in re.finditer(r"^(#+) (.+)$", prose(text), re.MULTILINE)]


def anchor_order(text: str) -> list[str]:
    """What a link may name after `#`, as GitHub makes it from the headings, in their order."""
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for _, heading in headings(text)]


def anchors(text: str) -> set[str]:
    """What a link may name after `#`."""
    return set(anchor_order(text))


def tables(text: str) -> list[list[list[str]]]:
    """The tables, each a list of rows of cells, the heading first and the line under it left out."""
    found = []
    for match in re.finditer(r"(?:^\|.*\|\n)+", prose(text), re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in match[0].splitlines()]
        found.append([rows[0], *rows[2:]])
    return found
