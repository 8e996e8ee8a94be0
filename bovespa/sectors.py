"""B3's sectors under one name each, whatever the spelling: an explicit table, and nothing fuzzy.

In its portfolios B3 abbreviates `Setor`, and not always alike (`Bens Indls / Mat Transporte`, but
`Bens Industriais / Constr e Engenh`). The names here are those of B3's own classification of listed companies, written
out. A spelling that is not in the table has no name: a sector is better unknown than wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class SectorName:
    """A sector of B3's classification, and the subsector where the label names one."""

    sector: str
    subsector: str | None


# Name, then the spellings that stand for it before the slash. Every name also stands for itself. A spelling without a
# comment is in recorded portfolios.
_SECTORS: Mapping[str, tuple[str, ...]] = {
    "Bens Industriais": ("Bens Indls",),
    "Comunicações": (),
    # The classification before 2016, whose companies are in two other sectors now; seen in a public copy of 2014.
    "Construção e Transporte": ("Const e Transp",),
    "Consumo Cíclico": (),
    # *Básico* is what B3 wrote before it said *não Cíclico*, and still stands before processed food.
    "Consumo não Cíclico": ("Cons N Cíclico", "Cons N Ciclico", "Cons N Básico"),
    # *Financeiro* alone is what the classification says today; portfolios still say *e Outros*.
    "Financeiro e Outros": ("Financ e Outros", "Financeiro"),
    "Materiais Básicos": ("Mats Básicos",),
    "Saúde": (),
    "Tecnologia da Informação": ("Tec.Informação",),
    "Utilidade Pública": ("Utilidade Públ",),
}

# The same for what stands behind the slash. A subsector without a spelling is in the classification, and in no recorded
# portfolio, so that its abbreviation is not known.
_SUBSECTORS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Bens Industriais": {
        "Comércio": (),
        "Construção e Engenharia": ("Constr e Engenh",),
        "Máquinas e Equipamentos": ("Máqs e Equips",),
        "Material de Transporte": ("Mat Transporte",),
        "Serviços": (),
        "Transporte": (),
    },
    "Comunicações": {
        "Mídia": (),
        "Telecomunicações": ("Telecomunicação",),
    },
    "Construção e Transporte": {
        "Construção e Engenharia": ("Constr e Engenh",),
        "Transporte": (),
    },
    "Consumo Cíclico": {
        "Automóveis e Motocicletas": ("Autos e Motos",),
        "Comércio": (),
        "Construção Civil": ("Constr Civil",),
        "Diversos": (),
        "Hotéis e Restaurantes": ("Hotel e Restaur", "Hoteis e Restaurantes"),  # the latter is the classification's
        "Tecidos, Vestuário e Calçados": ("Tecid Vest Calç",),
        "Utilidades Domésticas": (),
        "Viagens e Lazer": (),
    },
    "Consumo não Cíclico": {
        "Agropecuária": (),
        "Alimentos Processados": (),
        "Bebidas": (),
        "Comércio e Distribuição": ("Comércio Distr.",),
        "Fumo": (),
        "Produtos de Uso Pessoal e de Limpeza": ("Pr Pessoal Limp",),
    },
    "Financeiro e Outros": {
        "Exploração de Imóveis": ("Explor Imóveis",),
        "Fundos": (),  # `Financ e Outros / Fundos` is every row of IFIX, as public copies of it say
        "Holdings Diversificadas": ("Holdings Divers",),
        "Intermediários Financeiros": ("Interms Financs",),
        "Previdência e Seguros": ("Previd Seguros",),
        "Securitizadoras de Recebíveis": (),
        "Serviços Financeiros Diversos": (),
    },
    "Materiais Básicos": {
        "Embalagens": (),
        "Madeira e Papel": (),
        "Materiais Diversos": (),
        "Mineração": (),
        "Químicos": (),
        "Siderurgia e Metalurgia": ("Sid Metalurgia",),
    },
    "Saúde": {
        "Comércio e Distribuição": ("Comércio Distr.",),
        "Equipamentos": (),
        "Medicamentos e Outros Produtos": (),
        "Serviços Médico-Hospitalares, Análises e Diagnósticos": ("SM Hosp An.Diag",),
    },
    "Tecnologia da Informação": {
        "Computadores e Equipamentos": ("Comput e Equips",),
        "Programas e Serviços": ("Programas Servs",),
    },
    "Utilidade Pública": {
        "Água e Saneamento": ("Água Saneamento",),
        "Energia Elétrica": ("Energ Elétrica",),
        "Gás": (),
    },
}

# Labels without a sector before a slash. Each is in recorded portfolios.
_UNDIVIDED: Mapping[str, SectorName] = {
    "Comput e Equips": SectorName("Tecnologia da Informação", "Computadores e Equipamentos"),
    # B3 drops the sector here too: the schools and car rentals that carry this label (COGN3, YDUQ3, RENT3, MOVI3) are
    # *Consumo Cíclico / Diversos* in the classification. Its sector *Outros* is another thing.
    "Diversos": SectorName("Consumo Cíclico", "Diversos"),
    # The classification has one subsector here, of the same name, and the label says it once. The slash is a comma.
    "Petróleo, Gás e Biocombustíveis": SectorName("Petróleo, Gás e Biocombustíveis", None),
    "Petróleo/Gás e Biocombustíveis": SectorName("Petróleo, Gás e Biocombustíveis", None),
    "Telecomunicação": SectorName("Comunicações", "Telecomunicações"),
}


def _all_spellings() -> dict[str, SectorName]:
    divided = {
        f"{before}/{behind}": SectorName(sector, subsector)
        for sector, spellings in _SECTORS.items()
        for before in (sector, *spellings)
        for subsector, abbreviations in _SUBSECTORS[sector].items()
        for behind in (subsector, *abbreviations)
    }
    return {**divided, **_UNDIVIDED}


SECTOR_NAMES: Mapping[str, SectorName] = MappingProxyType(_all_spellings())
"""What each known label means. The labels have single blanks, and none around a slash."""


def sector_name(label: str) -> SectorName | None:
    """Return what B3 means by *label*, or None if the label is not known.

    Only blanks are forgiven, because B3 itself varies them: how many there are, and whether they stand around the
    slash. Accents, capitals and everything else must be as in the table.
    """
    return SECTOR_NAMES.get(re.sub(" +", " ", re.sub(" */ *", "/", label)).strip(" "))
