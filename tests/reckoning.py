"""An independent reckoning of the refined table: plain Python over B3's CSV text.

It shares no code with the product: its own reading of the file, the trading days of `exchange_calendars`, loops instead
of SQL. What the pipeline answers must equal it, value for value.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache

import exchange_calendars

Key = tuple[str, str, str]
"""Index code, session date and ticker."""


SECTOR_NAMES = {
    "Bens Indls / Mat Transporte": "Bens Industriais > Material de Transporte",
    "Bens Indls / Máqs e Equips": "Bens Industriais > Máquinas e Equipamentos",
    "Bens Indls / Serviços": "Bens Industriais > Serviços",
    "Bens Indls/Transporte": "Bens Industriais > Transporte",
    "Bens Industriais / Constr e Engenh": "Bens Industriais > Construção e Engenharia",
    "Comput e Equips": "Tecnologia da Informação > Computadores e Equipamentos",
    "Cons N  Básico / Alimentos Processados": "Consumo não Cíclico > Alimentos Processados",
    "Cons N Ciclico/Agropecuária": "Consumo não Cíclico > Agropecuária",
    "Cons N Cíclico / Bebidas": "Consumo não Cíclico > Bebidas",
    "Cons N Cíclico / Comércio Distr.": "Consumo não Cíclico > Comércio e Distribuição",
    "Cons N Cíclico / Pr Pessoal Limp": "Consumo não Cíclico > Produtos de Uso Pessoal e de Limpeza",
    "Consumo Cíclico / Comércio": "Consumo Cíclico > Comércio",
    "Consumo Cíclico / Tecid Vest Calç": "Consumo Cíclico > Tecidos, Vestuário e Calçados",
    "Consumo Cíclico/Autos e Motos": "Consumo Cíclico > Automóveis e Motocicletas",
    "Consumo Cíclico/Constr Civil": "Consumo Cíclico > Construção Civil",
    "Consumo Cíclico/Hotel e Restaur": "Consumo Cíclico > Hotéis e Restaurantes",
    "Consumo Cíclico/Viagens e Lazer": "Consumo Cíclico > Viagens e Lazer",
    "Diversos": "Consumo Cíclico > Diversos",
    "Financ e Outros / Explor Imóveis": "Financeiro e Outros > Exploração de Imóveis",
    "Financ e Outros / Holdings Divers": "Financeiro e Outros > Holdings Diversificadas",
    "Financ e Outros / Interms Financs": "Financeiro e Outros > Intermediários Financeiros",
    "Financ e Outros / Previd  Seguros": "Financeiro e Outros > Previdência e Seguros",
    "Financ e Outros/Fundos": "Financeiro e Outros > Fundos",
    "Financeiro e Outros/Serviços Financeiros Diversos": "Financeiro e Outros > Serviços Financeiros Diversos",
    "Mats Básicos / Embalagens": "Materiais Básicos > Embalagens",
    "Mats Básicos / Madeira e Papel": "Materiais Básicos > Madeira e Papel",
    "Mats Básicos / Mineração": "Materiais Básicos > Mineração",
    "Mats Básicos / Químicos": "Materiais Básicos > Químicos",
    "Mats Básicos / Sid Metalurgia": "Materiais Básicos > Siderurgia e Metalurgia",
    "Petróleo, Gás e Biocombustíveis": "Petróleo, Gás e Biocombustíveis",
    "Petróleo/ Gás e Biocombustíveis": "Petróleo, Gás e Biocombustíveis",
    "Saúde/Comércio Distr.": "Saúde > Comércio e Distribuição",
    "Saúde/SM Hosp An.Diag": "Saúde > Serviços Médico-Hospitalares, Análises e Diagnósticos",
    "Tec.Informação/Programas Servs": "Tecnologia da Informação > Programas e Serviços",
    "Telecomunicação": "Comunicações > Telecomunicações",
    "Utilidade Públ / Energ Elétrica": "Utilidade Pública > Energia Elétrica",
    "Utilidade Públ / Água Saneamento": "Utilidade Pública > Água e Saneamento",
}
"""What the spellings in the recordings and in the synthetic sessions mean, written down by hand."""

OF_TRADING_DAYS = (
    "trades",
    "transaction_frequency",
    "index_trades_pct",
    "volume_brl",
    "index_volume_pct",
    "close_price_brl",
    "close_price_date",
    "market_value_brl",
    "closing_participation_pct",
    "participation_drift_pp",
    "index_contribution_points",
)
"""Columns that are null without trading days; `tests.trading_reckoning` has them."""


@dataclass(frozen=True)
class File:
    """One CSV file, as text."""

    index_code: str
    session_date: dt.date
    rows: list[dict[str, str]]
    total_quantity: int
    total_participation: Decimal
    reductor: Decimal


def read(content: bytes) -> File:
    """Read a CSV file that is known to be sound."""
    lines = content.decode("iso-8859-1").splitlines()
    index_code, _, date = lines[0].partition(" - Carteira do Dia ")
    names = lines[1].split(";")
    rows = [dict(zip(names, line.split(";"), strict=False)) for line in lines[2:-2]]
    total = [field for field in lines[-2].split(";") if field]
    return File(
        index_code=index_code,
        session_date=dt.datetime.strptime(date, "%d/%m/%y").date(),  # noqa: DTZ007 - a date without a time
        rows=rows,
        total_quantity=whole(total[1]),
        total_participation=decimal(total[2]),
        reductor=decimal(lines[-1].split(";")[-1]),
    )


def refined_rows(contents: Iterable[bytes]) -> dict[Key, dict[str, str | None]]:
    """Return every column of every refined row, as the text that Athena gives, when the lake holds just *contents*."""
    return {key: dict(row) for key, row in _refined_rows(tuple(contents)).items()}


# A test asks for the rows of the same few files again and again, of each table one after the other.
@lru_cache(maxsize=4)
def _refined_rows(contents: tuple[bytes, ...]) -> Mapping[Key, Mapping[str, str | None]]:
    files = {(file.index_code, file.session_date): file for file in map(read, contents)}
    expected: dict[Key, dict[str, str | None]] = {}
    for (index_code, session_date), file in files.items():
        window = _window(session_date, [date for code, date in files if code == index_code])
        held = [files[index_code, date] for date in window]
        expected |= _session(file, held)
    return expected


def _session(file: File, held: list[File]) -> dict[Key, dict[str, str | None]]:
    companies: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for row in file.rows:
        companies[row["Ação"]].append(row)
    ranked = sorted(file.rows, key=lambda row: (-decimal(row["Part. (%)"]), row["Código"]))
    earlier = [other.session_date for other in held if other.session_date < file.session_date]
    previous = max(earlier) if earlier else None
    rebalance = next_rebalance(file.session_date)
    before = {row["Código"]: row for other in held if other.session_date == previous for row in other.rows}
    ranked_before = sorted(before.values(), key=lambda row: (-decimal(row["Part. (%)"]), row["Código"]))
    rank_before = {row["Código"]: rank for rank, row in enumerate(ranked_before, start=1)}
    rebalanced = last_rebalance(file.session_date)
    sessions = sorted({*trading_sessions(), *(other.session_date for other in held)})
    cumulative = Decimal("0.000")
    rows: dict[Key, dict[str, str | None]] = {}
    for rank, row in enumerate(ranked, start=1):
        cumulative += decimal(row["Part. (%)"])
        company = companies[row["Ação"]]
        present = sum(any(other["Código"] == row["Código"] for other in one.rows) for one in held)
        kind = row["Tipo"].ljust(10)
        frequency = (Decimal(100 * present) / len(held)).quantize(Decimal("0.001"), ROUND_HALF_UP)
        quantity_change = participation_change = rank_change = cause = None
        if row["Código"] in before:
            old = before[row["Código"]]
            quantity_change = whole(row["Qtde. Teórica"]) - whole(old["Qtde. Teórica"])
            participation_change = decimal(row["Part. (%)"]) - decimal(old["Part. (%)"])
            rank_change = rank_before[row["Código"]] - rank
            if quantity_change and previous is not None:
                cause = "rebalance" if previous < rebalanced else "corporate_action"
        if previous is None:
            membership = "first_session"
        elif row["Código"] in before:
            membership = "stayed"
        else:
            membership = "re_entered" if present > 1 else "entered"
        missed = sessions.index(file.session_date) - sessions.index(previous) - 1 if previous else None
        sector, _, subsector = SECTOR_NAMES.get(row.get("Setor", ""), "").partition(" > ")
        rows[file.index_code, str(file.session_date), row["Código"]] = {
            "company": row["Ação"],
            "share_class": kind[:4].strip(),
            "corporate_event": kind[4:8].strip() or None,
            "listing_segment": kind[8:10].strip() or None,
            "sector_as_published": row.get("Setor"),
            "sector": sector or None,
            "subsector": subsector or None,
            "theoretical_quantity": str(whole(row["Qtde. Teórica"])),
            "theoretical_quantity_change": text(quantity_change),
            "quantity_change_cause": cause,
            "participation_pct": str(decimal(row["Part. (%)"])),
            "participation_change_pp": text(participation_change),
            "index_theoretical_quantity": str(file.total_quantity),
            "reductor": str(file.reductor),
            "company_share_classes": str(len(company)),
            "company_theoretical_quantity": str(sum(whole(one["Qtde. Teórica"]) for one in company)),
            "company_participation_pct": str(sum(decimal(one["Part. (%)"]) for one in company)),
            "previous_session_date": str(previous) if previous else None,
            "days_since_previous_session": str((file.session_date - previous).days) if previous else None,
            "sessions_missed": text(missed),
            "last_rebalance_date": str(rebalanced),
            "days_since_rebalance": str((file.session_date - rebalanced).days),
            "next_rebalance_date": str(rebalance),
            "days_to_next_rebalance": str((rebalance - file.session_date).days),
            "weekday": str(file.session_date.isoweekday()),
            "quarter": str((file.session_date.month + 2) // 3),
            "sessions_observed": str(len(held)),
            "sessions_present": str(present),
            "presence_frequency_pct": str(frequency),
            "membership": membership,
            "participation_rank": str(rank),
            "participation_rank_change": text(rank_change),
            "cumulative_participation_pct": str(cumulative),
            "participation_level": "A" if cumulative <= 50 else "B" if cumulative <= 80 else "C",
            **dict.fromkeys(OF_TRADING_DAYS),
        }
    return rows


def _window(session_date: dt.date, held: list[dt.date]) -> list[dt.date]:
    """The held dates among the last 21 trading sessions, this one included."""
    sessions = sorted({*trading_sessions(), *held})
    position = sessions.index(session_date)
    return sorted(set(sessions[max(0, position - 20) : position + 1]) & set(held))


def next_rebalance(day: dt.date) -> dt.date:
    """Return the first session after *day* in which a rebalanced portfolio is in force."""
    return next(session for session in _rebalances() if session > day)


def last_rebalance(day: dt.date) -> dt.date:
    """Return the latest session up to *day* in which a rebalanced portfolio came into force."""
    return [session for session in _rebalances() if session <= day][-1]


@cache
def _rebalances() -> list[dt.date]:
    """The first Mondays of January, May and September, or the sessions after them where B3 was closed."""
    sessions = trading_sessions()
    mondays = [
        next(date for date in (dt.date(year, month, n) for n in range(1, 8)) if date.weekday() == 0)
        for year in range(sessions[0].year, sessions[-1].year)
        for month in (1, 5, 9)
    ]
    return [next(session for session in sessions if session >= monday) for monday in mondays]


@cache
def trading_sessions() -> list[dt.date]:
    """Return the trading sessions of B3 from 2018 to 2028."""
    calendar = exchange_calendars.get_calendar("BVMF", start="2018-01-01", end="2028-12-31")
    return [session.date() for session in calendar.sessions]


def text(value: object) -> str | None:
    """What Athena gives for *value*."""
    return None if value is None else str(value)


def read_date(name: str) -> dt.date:
    """The date that a file name like `UTILDia_03-02-25.csv` says."""
    return dt.datetime.strptime(name[8:16], "%d-%m-%y").date()  # noqa: DTZ007 - a date without a time


def whole(text: str) -> int:
    """B3's 1.234 is 1234."""
    return int(text.replace(".", ""))


def decimal(text: str) -> Decimal:
    """B3's 1.234,5 is 1234.5."""
    return Decimal(text.replace(".", "").replace(",", "."))
