"""Pages of a listing, from keys that are kept in order: those that a look at every key would give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.s3_listing import ObjectsInOrder

KEYS = st.text("ab/é", max_size=5)
Rows = list[tuple[str, bool]]


def rows(keys: set[str], prefix: str, delimiter: str) -> Rows:
    """Every row of a listing, and whether it is a common prefix."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            head, sign, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            found.add((prefix + head + sign, True) if sign else (key, False))
    return sorted(found)


def listed(objects: ObjectsInOrder, prefix: str, delimiter: str, most: int, start_after: str) -> Rows:
    """Every row behind *start_after*, page by page."""
    found: Rows = []
    while True:
        keys, common, is_more, last = objects.page(prefix, delimiter, most, start_after)
        page = sorted([(key, False) for key in keys] + [(one, True) for one in common])
        assert len(page) == most if is_more else len(page) <= most
        assert last == (page[-1][0] if page else "")
        found += page
        if not is_more:
            return found
        start_after = last


@given(
    changes=st.lists(st.tuples(st.sampled_from(["put", "pop", "del"]), KEYS)),
    before=st.sets(KEYS),
    prefix=KEYS,
    delimiter=st.sampled_from(["", "/", "b/"]),
    most=st.integers(1, 4),
    start_after=KEYS,
)
def test_pages_are_those_of_a_look_at_every_key(
    *, changes: list[tuple[str, str]], before: set[str], prefix: str, delimiter: str, most: int, start_after: str
) -> None:
    objects, plain = ObjectsInOrder(dict.fromkeys(before, 1)), dict.fromkeys(before, 1)
    for number, (change, key) in enumerate(changes):
        if change == "put":
            objects[key] = plain[key] = number
        elif change == "pop":
            assert objects.pop(key, None) == plain.pop(key, None)
        elif key in plain:
            del objects[key], plain[key]
    assert objects == plain
    wanted = [row for row in rows(set(plain), prefix, delimiter) if row[0] > start_after]
    assert listed(objects, prefix, delimiter, most, start_after) == wanted
