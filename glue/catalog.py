"""Partitions of the Glue Data Catalog: added and removed by the job, never the table itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from bovespa.layout import RefinedPartition

BATCH_LIMIT = 100
"""Partitions that one BatchCreatePartition call takes."""


class CatalogRefused(RuntimeError):
    """Glue refused to add or remove a partition, for another reason than that it is done already."""


class PartitionCatalog:
    """The partitions of one table whose location is `s3://<bucket>/portfolio/`."""

    def __init__(self, client: Any, *, database: str, table: str, bucket: str) -> None:
        self._client = client
        self._table = {"DatabaseName": database, "TableName": table}
        self._bucket = bucket

    def register(self, partitions: Iterable[RefinedPartition]) -> int:
        """Add *partitions*; those that are there already are success. Return how many are new.

        Raises:
            CatalogRefused: Glue did not take one of them.
        """
        wanted = list(partitions)
        if not wanted:
            return 0
        descriptor = self._descriptor()
        new = 0
        for batch in _batches(wanted, BATCH_LIMIT):
            answer = self._client.batch_create_partition(
                **self._table, PartitionInputList=[self._input(partition, descriptor) for partition in batch]
            )
            errors = answer.get("Errors", [])
            _raise_unless(errors, "AlreadyExistsException", "add")
            new += len(batch) - len(errors)
        return new

    def unregister(self, partitions: Iterable[RefinedPartition]) -> None:
        """Remove *partitions*; those that are gone already are success.

        One call each: a session seldom loses a ticker, and not every catalog has the batched call.
        """
        for partition in partitions:
            try:
                self._client.delete_partition(**self._table, PartitionValues=_values(partition))
            except ClientError as error:
                if error.response["Error"]["Code"] != "EntityNotFoundException":
                    raise

    def _descriptor(self) -> dict[str, Any]:
        """The table's own storage descriptor, so that a partition can never disagree with its table."""
        table = self._client.get_table(DatabaseName=self._table["DatabaseName"], Name=self._table["TableName"])
        descriptor: dict[str, Any] = table["Table"]["StorageDescriptor"]
        return descriptor

    def _input(self, partition: RefinedPartition, descriptor: dict[str, Any]) -> dict[str, Any]:
        location = f"s3://{self._bucket}/{partition.prefix}"
        return {"Values": _values(partition), "StorageDescriptor": {**descriptor, "Location": location}}


def _values(partition: RefinedPartition) -> list[str]:
    """In the order of the table's partition keys."""
    session = partition.session
    return [session.index_code, session.session_date.isoformat(), partition.ticker]


def _batches(partitions: Sequence[RefinedPartition], size: int) -> Iterator[Sequence[RefinedPartition]]:
    for start in range(0, len(partitions), size):
        yield partitions[start : start + size]


def _raise_unless(errors: list[dict[str, Any]], accepted: str, action: str) -> None:
    for error in errors:
        detail = error["ErrorDetail"]
        if detail["ErrorCode"] != accepted:
            raise CatalogRefused(
                f"Glue did not {action} partition {'/'.join(error['PartitionValues'])}: "
                f"{detail['ErrorCode']} {detail.get('ErrorMessage', '')}"
            )
