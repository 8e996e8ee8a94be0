"""The local Glue's partition calls: as AWS answers them, and fast with as many partitions as AWS has.

The emulator ignores the filter and the paging of GetPartitions, lacks some of the calls, and looks through every
partition for each that is added. `install` answers these calls itself, over the emulator's own stored data: they
survive a restart as before, and whoever else reads that data finds it where it was. The places are private to the
emulator, whose version is pinned; a contract test fails if an upgrade moves them.
"""

from __future__ import annotations

import base64
import bisect
import datetime as dt
import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = tuple[str, ...]
Partition = dict[str, Any]

PAGE_LIMIT = 1000
CREATE_LIMIT = 100
DELETE_LIMIT = 25
GET_LIMIT = 1000
UPDATE_LIMIT = 100

_NUMBERS = frozenset({"tinyint", "smallint", "int", "integer", "bigint", "long"})
_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)\b|(?P<word>\w+)|(?P<sign>>=|<=|=|>|<))")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, bound: value == bound,
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
}


class Refusal(Exception):
    """A call that AWS would refuse, with AWS's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a filter: that of the partition's value at *place* with *bound*."""

    place: int
    sign: str
    bound: str | int

    def holds(self, values: Sequence[str]) -> bool:
        """Whether a partition with these values passes."""
        value: str | int = values[self.place]
        if isinstance(self.bound, int):
            try:
                value = int(value)
            except ValueError:
                return False
        return _COMPARISONS[self.sign](value, self.bound)


def parse_expression(expression: str, keys: Sequence[Mapping[str, str]]) -> list[Condition]:
    """Read the filter of GetPartitions: comparisons of partition keys with constants, joined by AND.

    Args:
        expression: For example `index_code = 'IBOV' AND session_date BETWEEN '2025-02-03' AND '2025-02-28'`.
        keys: The table's partition keys, as Glue describes them.

    Raises:
        Refusal: It is wrong, or of a kind that AWS understands and this does not; the message says where.
    """
    tokens = _tokens(expression)
    conditions: list[Condition] = []
    while True:
        place = _key(tokens, keys, expression)
        kind = keys[place]["Type"].lower()
        sign, shown = tokens.take()
        if sign == "sign":
            conditions.append(Condition(place, shown, _bound(tokens, kind, expression)))
        elif shown.upper() == "BETWEEN":
            conditions.append(Condition(place, ">=", _bound(tokens, kind, expression)))
            if tokens.take()[1].upper() != "AND":
                raise _unsupported(expression, "BETWEEN needs AND")
            conditions.append(Condition(place, "<=", _bound(tokens, kind, expression)))
        else:
            raise _unsupported(expression, f"{shown!r} instead of a comparison")
        joint = tokens.take()[1]
        if not joint:
            return conditions
        if joint.upper() != "AND":
            raise _unsupported(expression, f"{joint!r} instead of AND")


class _Tokens:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = iter(tokens)

    def take(self) -> tuple[str, str]:
        """The next token's kind and text; two empty texts after the last."""
        return next(self._tokens, ("", ""))


def _tokens(expression: str) -> _Tokens:
    found: list[tuple[str, str]] = []
    position = 0
    end = len(expression.rstrip())
    while position < end:
        match = _TOKEN.match(expression, position)
        if match is None or match.lastgroup is None:
            raise _unsupported(expression, f"{expression[position:].strip()[:20]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return _Tokens(found)


def _key(tokens: _Tokens, keys: Sequence[Mapping[str, str]], expression: str) -> int:
    kind, name = tokens.take()
    names = [key["Name"].lower() for key in keys]
    if kind != "word" or name.lower() not in names:
        raise _unsupported(expression, f"{name!r} instead of one of the partition keys {', '.join(names)}")
    return names.index(name.lower())


def _bound(tokens: _Tokens, kind: str, expression: str) -> str | int:
    form, text = tokens.take()
    if kind in _NUMBERS:
        digits = text.strip("'")
        if form not in ("number", "text") or not re.fullmatch(r"-?\d+", digits, re.ASCII):
            raise _unsupported(expression, f"{text!r} instead of a number")
        return int(digits)
    if form != "text":
        raise _unsupported(expression, f"{text!r} instead of a constant in quotes")
    value = text[1:-1].replace("''", "'")
    if kind == "date":
        try:
            return dt.date.fromisoformat(value).isoformat()
        except ValueError:
            raise _unsupported(expression, f"{text} instead of a date") from None
    return value


def _unsupported(expression: str, found: str) -> Refusal:
    return Refusal(
        "InvalidInputException",
        f"Unsupported expression {expression!r}: {found}. The local Glue understands `key = 'value'`, the comparisons "
        ">=, <=, >, < and BETWEEN ... AND, joined by AND.",
    )


@dataclass
class _Table:
    """The partitions of one table: the emulator's list, and what finds them in it."""

    stored: list[Partition]
    """The emulator's own, which it saves."""
    by_values: dict[Values, Partition]
    _ordered: list[Values] = field(default_factory=list)
    _is_ordered: bool = False

    @classmethod
    def over(cls, stored: list[Partition]) -> _Table:
        return cls(stored, {tuple(partition["Values"]): partition for partition in stored})

    def is_over(self, stored: list[Partition] | None) -> bool:
        """Whether nobody else has changed the emulator's list since."""
        return self.stored is stored and len(self.stored) == len(self.by_values)

    def add(self, values: Values, partition: Partition) -> None:
        self.stored.append(partition)
        self.by_values[values] = partition
        if self._is_ordered:
            # Sorting 450,000 again for each session that is added would be most of what a run takes.
            bisect.insort(self._ordered, values)

    def remove(self, gone: set[Values]) -> None:
        for values in gone:
            del self.by_values[values]
        # In place: the list is the emulator's.
        self.stored[:] = [partition for partition in self.stored if tuple(partition["Values"]) not in gone]
        self._is_ordered = False

    def after(self, last: Values | None, lead: Values) -> Iterator[tuple[Values, Partition]]:
        """The partitions behind *last* whose first values are *lead*, in the order of their values."""
        if not self._is_ordered:
            self._ordered = sorted(self.by_values)
            self._is_ordered = True
        start = bisect.bisect_left(self._ordered, lead)
        if last is not None:
            start = max(start, bisect.bisect_right(self._ordered, last))
        for place in range(start, len(self._ordered)):
            values = self._ordered[place]
            if values[: len(lead)] != lead:
                return
            yield values, self.by_values[values]


class PartitionCalls:
    """Answers Glue's partition calls over the emulator's data.

    Args:
        tables: The emulator's tables, by `database/table`.
        partitions: Its partitions, a list for each table.
        statistics: Its column statistics of partitions, a list for each table.
        account: Tells whose call it is; the emulator keeps accounts and regions apart.
    """

    def __init__(self, tables: Any, partitions: Any, statistics: Any, account: Callable[[], tuple[str, str]]) -> None:
        self._tables = tables
        self._partitions = partitions
        self._statistics = statistics
        self._account = account
        self._known: dict[tuple[str, str, str], _Table] = {}
        self._columns: dict[str, list[Any]] = {}
        self._lock = threading.RLock()
        self._calls: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
            "BatchCreatePartition": self._batch_create,
            "BatchDeletePartition": self._batch_delete,
            "BatchGetPartition": self._batch_get,
            "BatchUpdatePartition": self._batch_update,
            "CreatePartition": self._create,
            "DeletePartition": self._delete,
            "GetPartition": self._get,
            "GetPartitions": self._list,
            "UpdatePartition": self._update,
        }

    def __contains__(self, action: object) -> bool:
        return action in self._calls

    def answer(self, action: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return what AWS would answer.

        Raises:
            Refusal: What AWS would refuse.
        """
        key = f"{data.get('DatabaseName')}/{data.get('TableName')}"
        with self._lock:
            if key not in self._tables:
                raise Refusal("EntityNotFoundException", f"Table {key.replace('/', '.')} not found.")
            return self._calls[action](key, data)

    # ------------------------------------------------------------------------------------------------ the calls

    def _create(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        self._add(key, data, data["PartitionInput"])
        return {}

    def _batch_create(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        inputs = _limited(data, "PartitionInputList", CREATE_LIMIT)
        errors = _each(inputs, lambda one: self._add(key, data, one), lambda one: {"PartitionValues": one["Values"]})
        return {"Errors": errors}

    def _delete(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        self._remove(key, {self._find(key, data["PartitionValues"])[0]})
        return {}

    def _batch_delete(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        given = _limited(data, "PartitionsToDelete", DELETE_LIMIT)
        gone: set[Values] = set()

        def mark(one: Mapping[str, Any]) -> None:
            values, _ = self._find(key, one["Values"])
            if values in gone:
                raise _not_found(values)
            gone.add(values)

        errors = _each(given, mark, lambda one: {"PartitionValues": one["Values"]})
        self._remove(key, gone)
        return {"Errors": errors}

    def _get(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        return {"Partition": self._find(key, data["PartitionValues"])[1]}

    def _batch_get(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        # AWS leaves out what is not there; unprocessed are only those that it had no time for.
        known = self._table(key).by_values
        wanted = (self._values(key, one["Values"]) for one in _limited(data, "PartitionsToGet", GET_LIMIT))
        return {"Partitions": [known[values] for values in wanted if values in known], "UnprocessedKeys": []}

    def _update(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        self._replace(key, data, data)
        return {}

    def _batch_update(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        errors = _each(
            _limited(data, "Entries", UPDATE_LIMIT),
            lambda one: self._replace(key, data, one),
            lambda one: {"PartitionValueList": one["PartitionValueList"]},
        )
        return {"Errors": errors}

    def _list(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        size = int(data.get("MaxResults", PAGE_LIMIT))
        if not 1 <= size <= PAGE_LIMIT:
            raise _violated("maxResults", f"Member must be between 1 and {PAGE_LIMIT}")
        keys = self._tables[key]["PartitionKeys"]
        expression = data.get("Expression") or ""
        conditions = parse_expression(expression, keys) if expression.strip() else []
        in_segment = _segment(data.get("Segment"))
        shown = _without_columns if data.get("ExcludeColumnSchema") else _whole
        page: list[Partition] = []
        last: Values = ()
        for values, partition in self._table(key).after(_from_token(data.get("NextToken")), _lead(conditions)):
            if not in_segment(values) or not all(condition.holds(values) for condition in conditions):
                continue
            if len(page) == size:
                return {"Partitions": page, "NextToken": _to_token(last)}
            page.append(shown(partition))
            last = values
        return {"Partitions": page}

    # ------------------------------------------------------------------------------------------------- the data

    def _table(self, key: str) -> _Table:
        name = (*self._account(), key)
        stored = self._partitions.get(key)
        known = self._known.get(name)
        if known is None or not known.is_over(stored):
            if stored is None:
                stored = self._partitions[key] = []
            known = self._known[name] = _Table.over(stored)
        return known

    def _values(self, key: str, values: Sequence[str]) -> Values:
        keys = self._tables[key]["PartitionKeys"]
        if len(values) != len(keys):
            raise Refusal(
                "InvalidInputException",
                f"The number of partition keys ({len(keys)}) does not match the number of values ({len(values)}).",
            )
        return tuple(values)

    def _find(self, key: str, given: Sequence[str]) -> tuple[Values, Partition]:
        values = self._values(key, given)
        partition = self._table(key).by_values.get(values)
        if partition is None:
            raise _not_found(values)
        return values, partition

    def _add(self, key: str, data: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        values = self._values(key, given.get("Values", ()))
        table = self._table(key)
        if values in table.by_values:
            raise Refusal("AlreadyExistsException", f"Partition {'/'.join(values)} already exists.")
        table.add(values, self._partition(data, given, values, created_at=int(time.time())))

    def _replace(self, key: str, data: Mapping[str, Any], change: Mapping[str, Any]) -> None:
        old, partition = self._find(key, change["PartitionValueList"])
        given = change["PartitionInput"]
        new = self._values(key, given.get("Values") or old)
        table = self._table(key)
        if new != old and new in table.by_values:
            raise Refusal("AlreadyExistsException", f"Partition {'/'.join(new)} already exists.")
        table.remove({old})
        table.add(new, self._partition(data, given, new, created_at=partition["CreationTime"]))

    def _remove(self, key: str, gone: set[Values]) -> None:
        if not gone:
            return
        self._table(key).remove(gone)
        if key in self._statistics:
            self._statistics[key] = [one for one in self._statistics[key] if tuple(one.get("Values", ())) not in gone]

    def _partition(
        self, data: Mapping[str, Any], given: Mapping[str, Any], values: Values, *, created_at: int
    ) -> Partition:
        descriptor = dict(given.get("StorageDescriptor") or {})
        if "Columns" in descriptor:
            # 25,000 copies of one list of columns would be hundreds of megabytes.
            descriptor["Columns"] = self._columns.setdefault(json.dumps(descriptor["Columns"]), descriptor["Columns"])
        return {
            **given,
            "Values": list(values),
            "StorageDescriptor": descriptor,
            "DatabaseName": data["DatabaseName"],
            "TableName": data["TableName"],
            "CreationTime": created_at,
            "LastAccessTime": int(time.time()),
            "CatalogId": self._account()[0],
        }


def _each(
    items: Sequence[Mapping[str, Any]],
    work: Callable[[Mapping[str, Any]], None],
    name: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Do *work* for each item; a refusal of one is an entry of the answer and keeps no other from being done."""
    errors = []
    for item in items:
        try:
            work(item)
        except Refusal as refusal:
            errors.append(name(item) | {"ErrorDetail": {"ErrorCode": refusal.code, "ErrorMessage": str(refusal)}})
    return errors


def _limited(data: Mapping[str, Any], name: str, limit: int) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = data.get(name, [])
    if len(items) > limit:
        raise _violated(name[0].lower() + name[1:], f"Member must have length less than or equal to {limit}")
    return items


def _violated(name: str, constraint: str) -> Refusal:
    return Refusal(
        "ValidationException",
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}",
    )


def _not_found(values: Values) -> Refusal:
    return Refusal("EntityNotFoundException", f"Partition {'/'.join(values)} not found.")


def _lead(conditions: Sequence[Condition]) -> Values:
    """The first values that every wanted partition has, as far as the filter tells them."""
    equal = {one.place: one.bound for one in conditions if one.sign == "="}
    lead: list[str] = []
    while isinstance(value := equal.get(len(lead)), str):
        lead.append(value)
    return tuple(lead)


def _segment(segment: Mapping[str, int] | None) -> Callable[[Values], bool]:
    if segment is None:
        return lambda _values: True
    number, total = segment["SegmentNumber"], segment["TotalSegments"]
    if not 0 <= number < total <= 10:
        raise _violated("segment", "SegmentNumber must be less than TotalSegments, which is at most 10")
    return lambda values: zlib.crc32("\0".join(values).encode()) % total == number


def _whole(partition: Partition) -> Partition:
    return partition


def _without_columns(partition: Partition) -> Partition:
    descriptor = {name: value for name, value in partition["StorageDescriptor"].items() if name != "Columns"}
    return {**partition, "StorageDescriptor": descriptor}


def _to_token(values: Values) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _from_token(token: str | None) -> Values | None:
    if token is None:
        return None
    try:
        return tuple(map(str, json.loads(base64.urlsafe_b64decode(token))))
    except (ValueError, TypeError):
        raise Refusal("InvalidInputException", "NextToken is not one of ours.") from None


def install() -> PartitionCalls:
    """Answer the partition calls of the emulator in this process; return what answers them."""
    # The emulator reads its environment when it is imported.
    from ministack.core.responses import (  # noqa: PLC0415
        error_response_json,
        get_account_id,
        get_region,
        json_response,
    )
    from ministack.services import glue  # noqa: PLC0415

    calls = PartitionCalls(
        glue._tables,  # noqa: SLF001 - the pinned emulator's data
        glue._partitions,  # noqa: SLF001
        glue._partition_column_statistics,  # noqa: SLF001
        lambda: (get_account_id(), get_region()),
    )
    handle = glue._handle_request_sync  # noqa: SLF001

    def handle_request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: object) -> Any:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action not in calls:
            return handle(method, path, headers, body, query)
        try:
            return json_response(calls.answer(action, json.loads(body or b"{}")))
        except (KeyError, TypeError, ValueError) as error:
            return error_response_json("InvalidInputException", f"The request is malformed: {error!r}", 400)
        except Refusal as refusal:
            return error_response_json(refusal.code, str(refusal), 400)

    glue._handle_request_sync = handle_request  # noqa: SLF001 - where every call of the service comes through
    return calls
