"""Partitions of the Glue Data Catalog: made equal to what a session holds, by the job; the table is never touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from bovespa.layout import RefinedPartition, Session

BATCH_LIMIT = 100
"""Partitions that one BatchCreatePartition or BatchUpdatePartition call takes."""

T = TypeVar("T")


class CatalogRefused(RuntimeError):
    """Glue refused to add or change a partition, for another reason than that it is done already."""


@dataclass(frozen=True, slots=True)
class PartitionChanges:
    """What it took to make the catalog equal to a session."""

    added: int
    changed: int
    """Partitions whose location or columns were not the table's any more."""
    removed: int


class PartitionCatalog:
    """The partitions of one table whose location is `s3://<bucket>/portfolio/`."""

    def __init__(self, client: Any, *, database: str, table: str, bucket: str) -> None:
        self._client = client
        self._database = database
        self._table = table
        self._bucket = bucket

    def replace(self, session: Session, tickers: Collection[str]) -> PartitionChanges:
        """Make the partitions of *session* those of *tickers*: the new ones first, the vanished ones last.

        Several runs may do this at once: what another did already is success.

        Raises:
            CatalogRefused: Glue did not take one of them.
        """
        present = self._present(session)
        wanted = {ticker: self._input(RefinedPartition(session, ticker)) for ticker in sorted(tickers)}
        missing = [wanted[ticker] for ticker in wanted if ticker not in present]
        outdated = [
            wanted[ticker]
            for ticker in wanted
            if ticker in present and not _agree(present[ticker], wanted[ticker]["StorageDescriptor"])
        ]
        vanished = sorted(present.keys() - wanted.keys())
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
        self._remove(RefinedPartition(session, ticker) for ticker in vanished)
        return PartitionChanges(len(missing), len(outdated), len(vanished))

    def _remove(self, partitions: Iterable[RefinedPartition]) -> None:
        """One call each: a session seldom loses a ticker."""
        for partition in partitions:
            try:
                self._client.delete_partition(
                    DatabaseName=self._database, TableName=self._table, PartitionValues=_values(partition)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "EntityNotFoundException":
                    raise

    def _present(self, session: Session) -> dict[str, dict[str, Any]]:
        """The storage descriptor of each ticker of *session* that the catalog has."""
        pages = self._client.get_paginator("get_partitions").paginate(
            DatabaseName=self._database,
            TableName=self._table,
            Expression=f"index_code = '{session.index_code}' AND session_date = '{session.session_date}'",
        )
        of_session = [session.index_code, session.session_date.isoformat()]
        # Checked again here: what is taken for a vanished ticker is removed.
        return {
            partition["Values"][2]: partition["StorageDescriptor"]
            for page in pages
            for partition in page["Partitions"]
            if partition["Values"][:2] == of_session
        }

    @cached_property
    def _descriptor(self) -> dict[str, Any]:
        """The table's own storage descriptor, so that a partition can never disagree with its table."""
        table = self._client.get_table(DatabaseName=self._database, Name=self._table)
        descriptor: dict[str, Any] = table["Table"]["StorageDescriptor"]
        return descriptor

    def _input(self, partition: RefinedPartition) -> dict[str, Any]:
        location = f"s3://{self._bucket}/{partition.prefix}"
        return {"Values": _values(partition), "StorageDescriptor": {**self._descriptor, "Location": location}}


def _values(partition: RefinedPartition) -> list[str]:
    """In the order of the table's partition keys."""
    session = partition.session
    return [session.index_code, session.session_date.isoformat(), partition.ticker]


def _agree(present: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a reader would take the same columns from the same place."""
    return present.get("Location") == wanted["Location"] and _columns(present) == _columns(wanted)


def _columns(descriptor: dict[str, Any]) -> list[tuple[str, str]]:
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
