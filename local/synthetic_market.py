"""An invented stock market: companies, shares, prices and corporate events, each a pure function of its arguments.

No company, ticker or number here exists. What is real is the shape: how many share classes a company has, how sectors
are spelled, how large quantities get. Nothing is drawn from a random state that walks through time: every draw is a
hash of what it is about, so any day costs the same. Floats see the four basic operations only: every machine rounds
those alike.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TypeVar

_T = TypeVar("_T")

FIRST_YEAR = 2000
"""The file's title has two digits for the year, and they mean 20xx."""

_COMPANIES, _BDRS, _FUNDS = 320, 140, 140

# (B3's spelling of the sector, group that indexes select by, weight, words that end a company's name)
_SECTORS: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("Utilidade Públ / Energ Elétrica", "electricity", 6, ("ENERGIA", "ELETR", "TRANSM")),
    ("Consumo Cíclico/Constr Civil", "real_estate", 5, ("CONSTR", "INCORP", "REALT")),
    ("Consumo Cíclico / Comércio", "consumption", 5, ("LOJAS", "VAREJO", "MODA")),
    ("Financ e Outros / Interms Financs", "finance", 4, ("BANCO", "BCO", "CREDITO")),
    ("Cons N  Básico / Alimentos Processados", "food", 4, ("ALIM", "FOODS", "CARNES")),
    ("Financ e Outros / Explor Imóveis", "real_estate", 3, ("MALLS", "PROPERT", "IMOV")),
    ("Saúde/SM Hosp An.Diag", "consumption", 3, ("SAUDE", "DIAG", "HOSP")),
    ("Petróleo/ Gás e Biocombustíveis", "oil", 3, ("PETROLEO", "OLEO", "GAS")),
    ("Bens Indls/Transporte", "industry", 3, ("LOG", "FERROVIA", "TRANSP")),
    ("Financ e Outros / Previd  Seguros", "finance", 2, ("SEGUROS", "SEG", "PREV")),
    ("Financeiro e Outros/Serviços Financeiros Diversos", "finance", 2, ("PAGTO", "INVEST", "CAP")),
    ("Utilidade Públ / Água Saneamento", "water", 2, ("SANEAM", "AGUAS", "SANE")),
    ("Saúde/Comércio Distr.", "consumption", 2, ("FARMA", "DROGAS", "MEDIC")),
    ("Diversos", "other", 2, ("EDUC", "PART", "S.A.")),
    ("Mats Básicos / Sid Metalurgia", "materials", 2, ("METAL", "ACOS", "SID")),
    ("Mats Básicos / Mineração", "materials", 2, ("MINER", "MINAS", "FERRO")),
    ("Consumo Cíclico / Tecid Vest Calç", "consumption", 2, ("TEXTIL", "CALC", "FIOS")),
    ("Tec.Informação/Programas Servs", "industry", 2, ("TECH", "DADOS", "SOFT")),
    ("Cons N Ciclico/Agropecuária", "food", 2, ("AGRO", "GRAOS", "TERRAS")),
    ("Bens Indls / Máqs e Equips", "industry", 2, ("MAQ", "MOTORES", "IND")),
    ("Bens Indls / Mat Transporte", "industry", 2, ("VEIC", "AERO", "ONIBUS")),
    ("Financ e Outros / Holdings Divers", "finance", 1, ("HOLD", "PART", "GRUPO")),
    ("Mats Básicos / Madeira e Papel", "materials", 1, ("PAPEL", "CELUL", "MAD")),
    ("Mats Básicos / Químicos", "materials", 1, ("QUIM", "RESINAS", "FERT")),
    ("Mats Básicos / Embalagens", "materials", 1, ("EMBAL", "LATAS", "VIDROS")),
    ("Comput e Equips", "industry", 1, ("COMPUT", "CHIPS", "EQUIP")),
    ("Consumo Cíclico/Viagens e Lazer", "consumption", 1, ("TUR", "LAZER", "VIAGENS")),
    ("Consumo Cíclico/Autos e Motos", "consumption", 1, ("AUTO", "MOTOS", "RENT")),
    ("Consumo Cíclico/Hotel e Restaur", "consumption", 1, ("HOTEIS", "REST", "RESORTS")),
    ("Cons N Cíclico / Bebidas", "food", 1, ("BEBIDAS", "AGUAS", "VINHOS")),
    ("Cons N Cíclico / Pr Pessoal Limp", "consumption", 1, ("COSMET", "HIGIENE", "LIMP")),
    ("Telecomunicação", "telecom", 1, ("TELEC", "FIBRA", "MOVEL")),
)

_STEMS = """
    ARAUNA BURITI CAJARI DOURADO EMBIRA FIGUEIRA GRAUNA HERVAL IPERO JATOBA LAGUNA MANACA NEBLINA OURICURI PAINEIRA
    QUARUBA RIACHO SAPUCAIA TAMARIS UMBUZEIRO VEREDA XAXIM ZIMBRO ALVORADA BARAUNA CANJERANA DRACENA ESTREMO FAROL
    GUARITA HORIZONTE IMBUIA JUREMA LUMIAR MURICI NASCENTE ORVALHO PEROBA QUIXABA ROCHEDO SERRANA TAQUARA URUCUM
    VARZEA ANDIROBA BACURI CEDRAL DIVISA ENSEADA FLORIANA GARAPA HARPIA INGAZEIRA JACURU LIRIO MARUPA NOVAERA
    OITICICA PITANGA QUERENCIA REMANSO SABIA TIMBURI UIRAPURU VENTANIA AROEIRA BIGUA CAPIM
    """.split()
_FOREIGN_STEMS = """
    ALDERWAY BIRCHTON COPPERLN DUNMORE EASTGLEN FAIRHOLT GREYFORD HOLLOWAY IRONVALE JUNIPERS KESTREL LARKFORD MOORGATE
    NORTHWIN OAKHURST PINEGATE QUAYSIDE ROWANTON SILVERLK THORNBY UPLANDS VALEBRID WESTMERE YARROWAY ZENITHCO
    """.split()
_FOREIGN_WORDS = ("INC", "CORP", "GROUP", "LABS", "PLC", "HLDG")
_FUND_WORDS = ("LOG", "MALLS", "LAJES", "RENDA", "RECEB")

# What the words above would give, and real companies have.
_REAL_ROOTS = frozenset({"EMBR", "GUAR", "ORVR", "PINE", "QUAL", "VALE"})

# What a company has listed: (share class, number at the end of the ticker, part of the company's float)
_Lines = tuple[tuple[str, int, float], ...]
_ON: _Lines = (("ON", 3, 1.0),)
_CAPITALS: tuple[tuple[float, _Lines, tuple[str | None, ...]], ...] = (
    (0.66, _ON, (*("NM",) * 9, "N2", "N1", None)),
    (0.80, (("ON", 3, 0.3), ("PN", 4, 0.7)), ("N1", "N2", None)),
    (0.87, (("PN", 4, 1.0),), ("N1", "N2")),
    (0.92, (("UNT", 11, 1.0),), ("N2", "N2", "N1", None)),
    (0.95, (("PNA", 5, 1.0),), ("N1", None)),
    (0.97, (("ON", 3, 0.4), ("PNB", 6, 0.6)), ("N1", None)),
    (1.01, (("ON", 3, 0.02), ("PN", 4, 0.08), ("UNT", 11, 0.9)), ("N2", "N1")),
)

_EVENT_KINDS = ("ED", "ED", "ED", "ED", "EJ", "EJ", "EJ", "EJ", "EDJ", "EDR", "ES", "ATZ")
_CASH_KINDS = frozenset({"ED", "EJ", "EDJ", "EDR"})
# (new shares, for so many old ones, the flag that shows it)
_SPLITS = ((2, 1, "EX"), (3, 1, "EX"), (5, 1, "EX"), (11, 10, "EB"), (1, 10, "EG"))


@dataclass(frozen=True, slots=True)
class Share:
    """One listed share, BDR or fund."""

    ticker: str
    company: str
    share_class: str
    listing_segment: str | None
    sector_label: str
    group: str
    """What indexes select by: `finance`, `electricity`, ..., `bdr`, `fund`."""
    base_price_cents: int
    base_float: int
    """Shares in free float before any split, at the company's middle size."""
    liquidity: float
    """How much it trades, beside the others of its kind: what indexes rank by."""
    listed_from: dt.date
    listed_until: dt.date

    @property
    def is_equity(self) -> bool:
        """Whether this is a share of a Brazilian company."""
        return self.group not in ("bdr", "fund")


@dataclass(frozen=True, slots=True)
class CorporateEvent:
    """A flag of *Tipo*, shown from its ex-date for several sessions."""

    kind: str
    ex_date: dt.date
    shown_until: dt.date
    yield_bp: int
    """What is paid, in hundredths of a percent of the price; 0 when nothing is."""


def draw(*about: object) -> float:
    """Return a number in [0, 1) that depends on *about* and on nothing else."""
    digest = blake2b("|".join(map(str, about)).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / (1 << 48)


def drift(about: str, day: dt.date, period_days: int, low: float, high: float) -> float:
    """Return a number between *low* and *high* that wanders with *day*: a straight line from knot to knot."""
    knot, rest = divmod(day.toordinal(), period_days)
    before, after = _knot(about, period_days, knot), _knot(about, period_days, knot + 1)
    return low + (high - low) * (before + (after - before) * rest / period_days)


@lru_cache(maxsize=1 << 16)
def _knot(about: str, period_days: int, number: int) -> float:
    return draw("knot", about, period_days, number)


@cache
def shares() -> tuple[Share, ...]:
    """Return everything that is, was or will be listed, in a fixed order."""
    roots: set[str] = set()
    names: set[str] = set()
    return tuple(
        itertools.chain(
            *(_company(number, roots, names) for number in range(_COMPANIES)),
            (_bdr(number, roots, names) for number in range(_BDRS)),
            (_fund(number, roots, names) for number in range(_FUNDS)),
        )
    )


def price_cents(share: Share, day: dt.date, as_of: dt.date) -> int:
    """Return the close of *day*, adjusted for the splits up to *as_of*."""
    ticker = share.ticker
    price = (
        share.base_price_cents
        * drift(ticker, day, 900, 0.5, 1.7)
        * drift(ticker, day, 64, 0.82, 1.2)
        * drift(ticker, day, 9, 0.95, 1.05)
        * (0.985 + 0.03 * draw("close", ticker, day))
    )
    new, old = split_factor(share, dt.date.min, as_of)
    return max(1, round(price * old / new))


def split_factor(share: Share, after: dt.date, until: dt.date) -> tuple[int, int]:
    """Return how many new shares came for how many old ones, after *after* and until *until*."""
    new = old = 1
    for ex_date, (for_new, for_old, _) in _splits(share.ticker, until.year):
        if after < ex_date <= until:
            new, old = new * for_new, old * for_old
    return new, old


def shown_event(share: Share, session_date: dt.date) -> str | None:
    """Return the flag that *Tipo* shows in the session, if any."""
    for ex_date, (_, _, kind) in _splits(share.ticker, session_date.year):
        if ex_date <= session_date < ex_date + dt.timedelta(days=10):
            return kind
    for event in events(share, session_date - dt.timedelta(days=92), session_date):
        if event.ex_date <= session_date <= event.shown_until:
            return event.kind
    return None


def events(share: Share, first: dt.date, last: dt.date) -> Iterator[CorporateEvent]:
    """Yield the events whose ex-date may lie in the quarters from *first* to *last*, in order."""
    if share.group == "bdr":
        return
    for quarter in range(_quarter(first), _quarter(last) + 1):
        event = _event(share.company, quarter)
        if event is not None:
            yield event


def _quarter(day: dt.date) -> int:
    return day.year * 4 + (day.month - 1) // 3


@lru_cache(maxsize=1 << 14)
def _event(company: str, quarter: int) -> CorporateEvent | None:
    if draw("event", company, quarter) > 0.5:
        return None
    year, part = divmod(quarter, 4)
    ex_date = dt.date(year, part * 3 + 1, 1) + dt.timedelta(days=int(88 * draw("ex-date", company, quarter)))
    kind = _pick(_EVENT_KINDS, "kind", company, quarter)
    shown_until = ex_date + dt.timedelta(days=7 + int(8 * draw("shown", company, quarter)))
    yield_bp = 20 + int(180 * draw("yield", company, quarter)) if kind in _CASH_KINDS else 0
    return CorporateEvent(kind, ex_date, shown_until, yield_bp)


@lru_cache(maxsize=1 << 12)
def _splits(ticker: str, last_year: int) -> tuple[tuple[dt.date, tuple[int, int, str]], ...]:
    found = []
    for year in range(FIRST_YEAR, last_year + 1):
        if draw("split", ticker, year) < 0.02:
            ex_date = dt.date(year, 1, 1) + dt.timedelta(days=int(360 * draw("split day", ticker, year)))
            found.append((ex_date, _pick(_SPLITS, "split factor", ticker, year)))
    return tuple(found)


def _company(number: int, roots: set[str], names: set[str]) -> Iterator[Share]:
    by_weight = [sector for sector in _SECTORS for _ in range(sector[2])]
    # 31 has no common factor with their number, so every sector gets its part of any run of companies.
    label, group, _, words = by_weight[number * 31 % len(by_weight)]
    stem = _STEMS[number % len(_STEMS)]
    name = _new_name(names, [stem] if number % 5 == 0 else [], [f"{stem} {word}" for word in words])
    root = _new_root(roots, name)
    chance = draw("capital", name)
    lines, segments = next((lines, segments) for below, lines, segments in _CAPITALS if chance < below)
    segment = _pick(segments, "segment", name)
    rank = 1 + int(_COMPANIES * draw("rank", name))
    # Zipf's law for companies, a little flattened at its head.
    capital_cents = 80_000_000_000_000 // (rank + 4)
    price = 400 + int(9_000 * draw("price", name) * draw("price again", name))
    price = max(price, capital_cents // 6_000_000_000)
    listed_from, listed_until = _lifetime(name)
    # Some companies in an index are all but worthless: their participation prints as 0,000.
    thin = 0.00002 if draw("thin", name) < 0.015 else 1.0
    for share_class, suffix, part in lines:
        size = 0.8 + 0.4 * draw("size", name, suffix)
        yield Share(
            ticker=f"{root}{suffix}",
            company=name,
            share_class=share_class,
            listing_segment=segment,
            sector_label=label,
            group=group,
            base_price_cents=price,
            base_float=int(capital_cents * part * size * thin) // price + 1_001,
            liquidity=part * size / (rank + 4),
            listed_from=listed_from,
            listed_until=listed_until,
        )


def _bdr(number: int, roots: set[str], names: set[str]) -> Share:
    stem = _FOREIGN_STEMS[number % len(_FOREIGN_STEMS)]
    name = _new_name(names, [stem], [f"{stem[:7]} {word}" for word in _FOREIGN_WORDS])
    price = 1_500 + int(60_000 * draw("price", name))
    return Share(
        ticker=f"{_new_root(roots, name, digit=number % 3 == 0)}34",
        company=name,
        share_class="DRN",
        listing_segment=None,
        sector_label="Diversos",
        group="bdr",
        base_price_cents=price,
        base_float=int(90_000_000_000 * draw("float", name)) // price + 50_021,
        liquidity=draw("liquidity", name),
        listed_from=dt.date.min,
        listed_until=dt.date.max,
    )


def _fund(number: int, roots: set[str], names: set[str]) -> Share:
    stem = _STEMS[number % len(_STEMS)]
    name = _new_name(names, [], [f"FII {stem[:4]} {word}"[:12] for word in _FUND_WORDS])
    price = 700 + int(11_000 * draw("price", name))
    return Share(
        ticker=f"{_new_root(roots, name[4:] + stem)}11",
        company=name,
        share_class="CI",
        listing_segment="MB",
        sector_label="Financ e Outros/Fundos",
        group="fund",
        base_price_cents=price,
        base_float=int(600_000_000_000 * draw("float", name)) // price + 90_007,
        liquidity=draw("liquidity", name),
        listed_from=dt.date.min,
        listed_until=dt.date.max,
    )


def _lifetime(name: str) -> tuple[dt.date, dt.date]:
    if draw("always listed", name) < 0.78:
        return dt.date.min, dt.date.max
    start = dt.date(FIRST_YEAR, 1, 1) + dt.timedelta(days=int(365 * 30 * draw("listed from", name)))
    return start, start + dt.timedelta(days=365 * 4 + int(365 * 25 * draw("listed for", name)))


def _new_name(names: set[str], first: list[str], others: list[str]) -> str:
    """Return a name nobody has, of at most the 12 characters that B3 prints."""
    numbered = (f"{other[:10].rstrip()} {number}" for number in range(2, 10) for other in others)
    candidates = itertools.chain(first, others, numbered)
    name = next(name for name in (text[:12].rstrip() for text in candidates) if name not in names)
    names.add(name)
    return name


def _new_root(roots: set[str], name: str, *, digit: bool = False) -> str:
    """Return four characters nobody has: the name's first letter and three of the others, the first that are free."""
    letters = [character for character in name if character.isalnum()]
    rest: Iterator[tuple[str, ...]] = itertools.combinations(letters[1:], 2 if digit else 3)
    numbers = "1234567890" if digit else ("",)
    candidates = (letters[0] + number + "".join(three) for three in rest for number in numbers)
    root = next(candidate for candidate in candidates if candidate not in roots and candidate not in _REAL_ROOTS)
    roots.add(root)
    return root


def _pick(choices: tuple[_T, ...], *about: object) -> _T:
    return choices[int(len(choices) * draw(*about))]
