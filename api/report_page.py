"""The report of a session as one HTML page, which needs nothing else: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from api.pages import content_security_policy

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --good: #1a7f37; --bad: #cf222e; --wait: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #3fb950; --bad: #f85149; --wait: #d29922; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; }
h1 { margin: 0; }
h1 span { font-weight: 400; }
h2 { margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.5rem 0 .25rem; font-size: 1rem; }
header p { margin: .25rem 0; }
code, .value, .figures b { overflow-wrap: anywhere; }
time { white-space: nowrap; }
code { font-size: .9em; }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; }
.figures p { flex: 1 1 auto; margin: 0; padding: .5rem .75rem; background: var(--soft); border-radius: .4rem; }
.figures p { font-size: .85rem; }
.figures b { display: block; font-size: 1.05rem; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { opacity: .75; }
dd { margin: 0; min-width: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
th.n, td.n { text-align: right; white-space: nowrap; }
thead th { font-weight: 400; opacity: .75; }
.value { min-width: 9rem; }
.state { padding: 0 .5em; border-radius: 1em; border: 1px solid; font-size: .85em; white-space: nowrap; }
.refined, .passed { color: var(--good); }
.failed { color: var(--bad); }
.stored, .refining, .pending { color: var(--wait); }
@media (max-width: 32rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  table { font-size: .9rem; }
  th, td { padding-right: .4rem; }
  .value { min-width: 7rem; }
}
@media print {
  :root { color-scheme: light; --soft: #fff; }
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  h2, h3 { break-after: avoid; }
  tr, .figures, dl { break-inside: avoid; }
  .wide { overflow: visible; }
  .figures p { border: 1px solid var(--line); }
}
"""

CONTENT_SECURITY_POLICY = content_security_policy(_STYLE)

_LABELS = {
    "theoretical_quantity": "Sum of the quantities",
    "participation_pct": "Sum of the participations",
    "source_sha256": "Digest of B3's bytes",
    "source_values": "B3's bytes, read again",
    "refined_rows": "Rows that answer SQL",
}
"""What each check of `bovespa.session_report` is called."""


def render_report(report: Mapping[str, Any]) -> str:
    """Return *report*, of `bovespa.session_report`, as a page. Its text is escaped, wherever it came from."""
    style = Markup(_STYLE)  # noqa: S704 - a constant of this module
    return _template().render(report=report, labels=_LABELS, style=style)


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).resolve().parent / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["grouped"] = lambda text: f"{Decimal(text):,f}"
    return environment.get_template("report.html")
