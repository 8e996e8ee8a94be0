"""Partitions to the catalog as a page of code does it: 100 a call, those that are there already left alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.way_loop import PARTITION_KEYS, Target

_BATCH = 100


def register(client: Any, target: Target, keys: Iterable[Mapping[str, Any]]) -> None:
    """Add a partition for each of *keys*, at the place that its values give it.

    Raises:
        RuntimeError: Glue did not take one.
    """
    table = client.get_table(DatabaseName=target.database, Name=target.table)["Table"]
    wanted = []
    for one in keys:
        values = [str(one[name]) for name in PARTITION_KEYS]
        folder = "/".join(f"{name}={value}" for name, value in zip(PARTITION_KEYS, values, strict=True))
        location = f"s3://{target.bucket}/{target.prefix}{folder}/"
        wanted.append({"Values": values, "StorageDescriptor": {**table["StorageDescriptor"], "Location": location}})
    for start in range(0, len(wanted), _BATCH):
        answer = client.batch_create_partition(
            DatabaseName=target.database, TableName=target.table, PartitionInputList=wanted[start : start + _BATCH]
        )
        for error in answer.get("Errors", ()):
            if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException":
                raise RuntimeError(f"Glue did not take {error['PartitionValues']}: {error['ErrorDetail']}")
