"""`GET /docs`: the OpenAPI document as a page to read. Nothing is loaded from elsewhere and no script runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from api.openapi import DOCUMENT
from api.pages import content_security_policy
from api.parameters import query
from api.problems import KINDS

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
h2 code { font-size: 1.1em; }
code { background: var(--soft); padding: .1em .3em; border-radius: .2em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; }
:target { background: var(--soft); }
"""

CONTENT_SECURITY_POLICY = content_security_policy(_STYLE)


def docs_blueprint() -> Blueprint:
    """Return the route of the page."""
    blueprint = Blueprint("docs", __name__)

    @blueprint.get("/docs")
    def docs() -> ResponseReturnValue:
        query()
        response = Response(_page(), content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return blueprint


@cache
def _page() -> str:
    # When somebody first asks for it: the commands, which start an application as well, never do.
    return render(DOCUMENT)


def render(document: Mapping[str, Any]) -> str:
    """Return *document* as one HTML page: every operation, every schema, every problem code."""
    info = document["info"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    contents = Markup("").join(
        (
            *(
                Markup('<li><a href="#{}">{}</a> {}</li>').format(
                    _anchor(method, path), _code(_line_of(method, path)), operation["summary"]
                )
                for method, path, operation in operations
            ),
            Markup('<li><a href="#problem-codes">Problem codes</a></li><li><a href="#schemas">Schemas</a></li>'),
            Markup('<li><a href="/openapi.json">openapi.json</a>, the same for programs</li>'),
        )
    )
    schemas = Markup("").join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    problems = _table(
        ("Code", "Status", "Meaning", "Try again after"),
        (
            (
                _code(kind.code, anchor=kind.code),
                str(kind.status),
                kind.title,
                "" if kind.retry_after_s is None else f"{kind.retry_after_s} s",
            )
            for kind in KINDS.values()
        ),
    )
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>{title}</title><style>{style}</style></head><body>'
        "<h1>{title} <small>{version}</small></h1><p>{description}</p><ul>{contents}</ul>"
        '{operations}<section id="problem-codes"><h2>Problem codes</h2>{problems}</section>'
        '<section id="schemas"><h2>Schemas</h2>{schemas}</section></body></html>'
    ).format(
        title=info["title"],
        version=info["version"],
        description=_prose(info["description"]),
        style=Markup(_STYLE),  # noqa: S704 - a constant of this module
        contents=contents,
        operations=Markup("").join(_operation(*one) for one in operations),
        problems=problems,
        schemas=schemas,
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Markup:
    parameters = operation.get("parameters", [])
    body = operation.get("requestBody")
    return Markup(
        '<section id="{anchor}"><h2>{line}</h2><p><b>{summary}.</b> {description} {token}</p>'
        "{inputs}{answers}</section>"
    ).format(
        anchor=_anchor(method, path),
        line=_code(_line_of(method, path)),
        summary=operation["summary"],
        description=_prose(operation["description"]),
        token="Wants a Bearer token." if operation["security"] else "Wants no token.",
        inputs=_table(
            ("Parameter", "In", "Type", ""),
            [
                *(
                    (_code(one["name"]), one["in"], _type(one["schema"]), _prose(one.get("description", "")))
                    for one in parameters
                ),
                *([("", "body", _type(_only_schema(body)), "")] if body else []),
            ],
        ),
        answers=_table(
            ("Status", "Body", ""),
            (
                (status, _type(_only_schema(answer)), _prose(answer["description"]))
                for status, answer in operation["responses"].items()
            ),
        ),
    )


def _line_of(method: str, path: str) -> str:
    return f"{method.upper()} {path}"


def _anchor(method: str, path: str) -> str:
    # With a hyphen, which no code has: those are anchors too.
    return re.sub(r"\W+", "-", f"{method} {path}").strip("-")


def _schema(name: str, schema: Mapping[str, Any]) -> Markup:
    required = schema.get("required", [])
    return Markup('<h3 id="schema-{name}">{name}</h3>{table}').format(
        name=name,
        table=_table(
            ("Field", "Type", ""),
            (
                (
                    _code(field),
                    _type(kind),
                    _prose(kind.get("description", "") + ("" if field in required else " Optional.")),
                )
                for field, kind in schema["properties"].items()
            ),
        ),
    )


def _type(schema: Mapping[str, Any]) -> Markup:
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#schema-{name}">{name}</a>').format(name=name)
    if "enum" in schema or "const" in schema:
        return Markup(" ").join(_code(value) for value in schema.get("enum", [schema.get("const")]))
    if "items" in schema:
        return Markup("array of {}").format(_type(schema["items"]))
    if "properties" in schema:
        return Markup("object of {}").format(Markup(" ").join(_code(name) for name in schema["properties"]))
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return escape(f"{' or '.join(kinds)} {schema.get('format', '')}".strip())


def _only_schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    # Where there are several forms of one answer, the first is the one that a caller gets who wants anything.
    content = next(iter(holder["content"].values()))
    schema: Mapping[str, Any] = content["schema"]
    return schema


def _table(headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Markup:
    lines = [_line(Markup("<td>{}</td>"), row) for row in rows]
    if not lines:
        return Markup("")
    return Markup("<table>{}{}</table>").format(_line(Markup("<th>{}</th>"), headings), Markup("").join(lines))


def _line(cell: Markup, values: tuple[Any, ...]) -> Markup:
    return Markup("<tr>{}</tr>").format(Markup("").join(cell.format(value) for value in values))


def _code(text: object, *, anchor: str | None = None) -> Markup:
    if anchor is None:
        return Markup("<code>{}</code>").format(text)
    return Markup('<code id="{}">{}</code>').format(anchor, text)


def _prose(text: str) -> Markup:
    """Text in which only `code` is marked."""
    parts = text.split("`")
    return Markup("").join(_code(part) if number % 2 else escape(part) for number, part in enumerate(parts))
