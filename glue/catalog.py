"""Partitions of the Glue Data Catalog: made equal to what the lake holds, by the job; the tables are never touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from bovespa.layout import CompactYear, RefinedPartition, Session

BATCH_LIMIT = 100
"""Partitions that one BatchCreatePartition or BatchUpdatePartition call takes."""

T = TypeVar("T")


class CatalogRefused(RuntimeError):
    """Glue refused to add or change a partition, for another reason than that it is done already."""


Values = tuple[str, ...]
"""Values of a partition, in the order of the table's partition keys."""


@dataclass(frozen=True, slots=True)
class PartitionChanges:
    """What it took to make the catalog equal to what was wanted."""

    added: int
    changed: int
    """Partitions whose location or columns were not the wanted ones any more."""
    removed: int


class PartitionCatalog:
    """The partitions of one table whose data is in the refined bucket.

    Args:
        client: Glue's.
        database: The table's.
        table: Its name.
        bucket: Where its data is.
        parameters: What a partition that is added or changed says of who did it. A partition that is right already is
            left alone, whatever it says.
    """

    def __init__(
        self,
        client: Any,
        *,
        database: str,
        table: str,
        bucket: str,
        parameters: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._database = database
        self._table = table
        self._bucket = bucket
        self._parameters = dict(parameters)

    def replace(self, session: Session, tickers: Collection[str]) -> PartitionChanges:
        """Make the partitions of *session* in `portfolio` those of *tickers*: the new ones first, the vanished last.

        Several runs may do this at once: what another did already is success.

        Raises:
            CatalogRefused: Glue did not take one of them.
        """
        of_session = (session.index_code, session.session_date.isoformat())
        present = self._present(
            of_session, f"index_code = '{session.index_code}' AND session_date = '{session.session_date}'"
        )
        wanted: dict[Values, str] = {
            (*of_session, ticker): RefinedPartition(session, ticker).prefix for ticker in sorted(tickers)
        }
        changes = self._put(present, wanted)
        vanished = sorted(present.keys() - wanted.keys())
        self._remove(vanished)
        return PartitionChanges(changes.added, changes.changed, len(vanished))

    def point(self, year: CompactYear, location: str) -> None:
        """Make *location*, a prefix of the refined bucket, the one from which readers take *year*.

        Raises:
            CatalogRefused: Glue did not take it.
        """
        self._put(self._present_year(year), {year.values: location})

    def location(self, year: CompactYear) -> str | None:
        """Return the prefix from which readers take *year*; None if it is not registered."""
        found = self._present_year(year).get(year.values)
        return None if found is None else str(found["Location"]).removeprefix(f"s3://{self._bucket}/")

    def forget(self, year: CompactYear) -> None:
        """Take *year* out of the catalog; nothing happens if it is not there."""
        self._remove([year.values])

    def _put(self, present: Mapping[Values, Mapping[str, Any]], wanted: Mapping[Values, str]) -> PartitionChanges:
        """Add what is missing, change what disagrees."""
        inputs = {values: self._input(values, location) for values, location in wanted.items()}
        missing = [inputs[values] for values in inputs if values not in present]
        outdated = [
            inputs[values]
            for values in inputs
            if values in present and not _agree(present[values], inputs[values]["StorageDescriptor"])
        ]
        for batch in _batches(missing, BATCH_LIMIT):
            answer = self._client.batch_create_partition(
                DatabaseName=self._database, TableName=self._table, PartitionInputList=list(batch)
            )
            _raise_unless(answer.get("Errors", []), "AlreadyExistsException", "PartitionValues")
        for batch in _batches(outdated, BATCH_LIMIT):
            entries = [{"PartitionValueList": item["Values"], "PartitionInput": item} for item in batch]
            answer = self._client.batch_update_partition(
                DatabaseName=self._database, TableName=self._table, Entries=entries
            )
            _raise_unless(answer.get("Errors", []), None, "PartitionValueList")
        return PartitionChanges(len(missing), len(outdated), 0)

    def _remove(self, partitions: Iterable[Values]) -> None:
        """One call each: a session seldom loses a ticker."""
        for values in partitions:
            try:
                self._client.delete_partition(
                    DatabaseName=self._database, TableName=self._table, PartitionValues=list(values)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "EntityNotFoundException":
                    raise

    def _present_year(self, year: CompactYear) -> dict[Values, dict[str, Any]]:
        of_index = "" if year.index_code is None else f"index_code = '{year.index_code}' AND "
        return self._present(year.values, f"{of_index}session_year = {year.session_year}")

    def _present(self, start: Values, expression: str) -> dict[Values, dict[str, Any]]:
        """The storage descriptors of the catalog's partitions for which *expression* holds."""
        pages = self._client.get_paginator("get_partitions").paginate(
            DatabaseName=self._database, TableName=self._table, Expression=expression
        )
        # Checked again here, by the start of the values: what is taken for vanished is removed.
        return {
            tuple(partition["Values"]): partition["StorageDescriptor"]
            for page in pages
            for partition in page["Partitions"]
            if tuple(partition["Values"][: len(start)]) == start
        }

    @cached_property
    def _descriptor(self) -> dict[str, Any]:
        """The table's own storage descriptor, so that a partition can never disagree with its table."""
        table = self._client.get_table(DatabaseName=self._database, Name=self._table)
        descriptor: dict[str, Any] = table["Table"]["StorageDescriptor"]
        return descriptor

    def _input(self, values: Values, location: str) -> dict[str, Any]:
        descriptor = {**self._descriptor, "Location": f"s3://{self._bucket}/{location}"}
        return {"Values": list(values), "StorageDescriptor": descriptor, "Parameters": self._parameters}


def _agree(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a reader would take the same columns from the same place."""
    return present.get("Location") == wanted["Location"] and _columns(present) == _columns(wanted)


def _columns(descriptor: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(column["Name"], column["Type"]) for column in descriptor.get("Columns", [])]


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _raise_unless(errors: list[dict[str, Any]], accepted: str | None, values: str) -> None:
    for error in errors:
        detail = error["ErrorDetail"]
        if detail["ErrorCode"] != accepted:
            raise CatalogRefused(
                f"Glue did not take partition {'/'.join(error[values])}: "
                f"{detail['ErrorCode']} {detail.get('ErrorMessage', '')}"
            )
