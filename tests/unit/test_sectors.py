"""The table of sector spellings: every recorded one is known, and none is guessed."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest

from bovespa.errors import InvalidPortfolio
from bovespa.indexes import INDEX_CODES
from bovespa.portfolio_csv import parse_csv
from bovespa.sectors import SECTOR_NAMES, SectorName, sector_name
from local.synthetic import synthetic_portfolio

EVERY_NAME = sorted(set(SECTOR_NAMES.values()), key=str)


def labels_of_files(recordings: Path) -> set[str]:
    """The labels of every recorded file that the parser takes."""
    labels = set()
    for path in sorted(recordings.rglob("*.csv")):
        try:
            holdings = parse_csv(path.read_bytes()).holdings
        except InvalidPortfolio:
            continue
        labels |= {holding.sector_label for holding in holdings if holding.sector_label is not None}
    return labels


@pytest.mark.recordings
def test_every_recorded_label_is_known(recordings: Path) -> None:
    labels = labels_of_files(recordings)

    assert len(labels) >= 35
    assert {label for label in labels if sector_name(label) is None} == set()


@pytest.mark.recordings
def test_every_label_of_the_recorded_calls_is_known(recordings: Path) -> None:
    labels = {
        row["segment"]
        for path in (recordings / "json").glob("*.pt-br.*.json")
        for row in json.loads(path.read_text("utf-8"))["results"]
    }
    damaged = {label for label in labels if "\ufffd" in label}

    assert len(labels) > 25
    assert {label for label in labels if sector_name(label) is None} == damaged


@pytest.mark.parametrize("session_date", [dt.date(2014, 6, 13), dt.date(2025, 2, 24)])
def test_every_label_of_the_synthetic_sessions_is_known(session_date: dt.date) -> None:
    portfolios = [synthetic_portfolio(index_code, session_date) for index_code in INDEX_CODES]
    labels = {str(holding.sector_label) for portfolio in portfolios for holding in portfolio.holdings}

    assert len(labels) > 30
    assert {label for label in labels if sector_name(label) is None} == set()


@pytest.mark.parametrize(
    ("label", "sector", "subsector"),
    [
        ("Bens Indls / Mat Transporte", "Bens Industriais", "Material de Transporte"),
        ("Bens Industriais / Constr e Engenh", "Bens Industriais", "Construção e Engenharia"),
        ("Bens Indls/Transporte", "Bens Industriais", "Transporte"),
        ("Const e Transp / Constr e Engenh", "Construção e Transporte", "Construção e Engenharia"),
        ("Cons N  Básico / Alimentos Processados", "Consumo não Cíclico", "Alimentos Processados"),
        ("Cons N Ciclico/Agropecuária", "Consumo não Cíclico", "Agropecuária"),
        ("Cons N Cíclico / Bebidas", "Consumo não Cíclico", "Bebidas"),
        ("Cons N Cíclico / Comércio Distr.", "Consumo não Cíclico", "Comércio e Distribuição"),
        ("Saúde/Comércio Distr.", "Saúde", "Comércio e Distribuição"),
        ("Consumo Cíclico / Comércio", "Consumo Cíclico", "Comércio"),
        ("Financ e Outros / Fundos", "Financeiro e Outros", "Fundos"),
        ("Financ e Outros / Previd  Seguros", "Financeiro e Outros", "Previdência e Seguros"),
        ("Financeiro e Outros/Serviços Financeiros Diversos", "Financeiro e Outros", "Serviços Financeiros Diversos"),
        ("Petróleo/ Gás e Biocombustíveis", "Petróleo, Gás e Biocombustíveis", None),
        ("Petróleo, Gás e Biocombustíveis", "Petróleo, Gás e Biocombustíveis", None),
        ("Comput e Equips", "Tecnologia da Informação", "Computadores e Equipamentos"),
        ("Telecomunicação", "Comunicações", "Telecomunicações"),
        ("Diversos", "Consumo Cíclico", "Diversos"),
    ],
)
def test_a_label_has_the_names_of_the_classification(label: str, sector: str, subsector: str | None) -> None:
    assert sector_name(label) == SectorName(sector, subsector)


@pytest.mark.parametrize(
    "spellings",
    [
        ("Bens Indls / Serviços", "Bens Industriais/Serviços", " Bens  Indls /  Serviços "),
        ("Cons N Cíclico/Bebidas", "Cons N Ciclico / Bebidas", "Cons N  Básico / Bebidas"),
        ("Financ e Outros / Explor Imóveis", "Financeiro e Outros/Exploração de Imóveis"),
        ("Petróleo/ Gás e Biocombustíveis", "Petróleo / Gás e Biocombustíveis", "Petróleo, Gás e Biocombustíveis"),
        ("Comput e Equips", "Tec.Informação/Comput e Equips"),
        ("Diversos", "Consumo Cíclico / Diversos"),
    ],
)
def test_the_spellings_of_one_sector_meet(spellings: tuple[str, ...]) -> None:
    names = {sector_name(spelling) for spelling in spellings}

    assert None not in names
    assert len(names) == 1


@pytest.mark.parametrize(
    "label",
    [
        "",
        " ",
        "/",
        "Bens Indls",
        "Bens Indls / ",
        "Transporte",
        "Bens Indls / Bebidas",  # a subsector of another sector
        "bens indls / transporte",
        "Bens Indls / Transporte / Transporte Ferroviário",
        "Bens Indls\t/\tTransporte",
        "Cons N Cìclico / Bebidas",
        "Consumo Ciclico / Comércio",
        "Saude/Comércio Distr.",
        "Sa\ufffdde/Comércio Distr.",
        "Saúde / Comércio Distr",
        "Petróleo",
        "Petróleo Gás e Biocombustíveis",
        "Diversos / Diversos",
        "Outros",
        "Industrials / Transportation",
    ],
)
def test_what_is_not_in_the_table_is_not_guessed(label: str) -> None:
    assert sector_name(label) is None


@pytest.mark.parametrize("name", EVERY_NAME, ids=str)
def test_a_name_written_out_is_its_own_label(name: SectorName) -> None:
    written_out = name.sector if name.subsector is None else f"{name.sector} / {name.subsector}"

    assert sector_name(written_out) == name


def test_no_two_names_differ_by_accents_capitals_or_punctuation_alone() -> None:
    names = {text for name in EVERY_NAME for text in (name.sector, name.subsector) if text is not None}
    alike = defaultdict(set)
    for text in names:
        letters = filter(str.isalpha, unicodedata.normalize("NFD", text).casefold())
        alike["".join(letters)].add(text)

    assert len(names) > 40
    assert [texts for texts in alike.values() if len(texts) > 1] == []
