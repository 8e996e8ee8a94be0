"""A refined bucket and a database for one rebuild, made of fixed names, told from anybody else's, and taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from bovespa.errors import ConfigurationError, StorageUnavailable
from infrastructure.buckets import exists, make_bucket
from infrastructure.steps import Report

MARK = ("bovespa-scratch", "rebuild")
"""Tag of the bucket and parameter of the database that say: made by a rebuild, holds nothing of worth."""

_TABLE_INPUT = (
    "Name",
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "TableType",
    "Parameters",
)
"""What of a table one may say when one makes it; Glue adds the rest."""

_MAX_ATTEMPTS = 5
_DELETE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class ScratchNames:
    """What a rebuild may write to; the job's role knows just these."""

    bucket: str
    database: str

    @classmethod
    def of(cls, name: str, *, account: str, region: str) -> ScratchNames:
        """Return the names that belong to the stack whose parameter `Name` is *name*."""
        return cls(f"{name}-rebuild-{account}-{region}", f"{name}_rebuild")


class ScratchLake:
    """The scratch bucket and database.

    Args:
        s3: A client.
        glue: A client.
        names: Of the two.
        account: Whose they are.
        region: Where they are.
        report: Receives a line for each step.
    """

    def __init__(self, s3: Any, glue: Any, names: ScratchNames, *, account: str, region: str, report: Report) -> None:
        self._s3 = s3
        self._glue = glue
        self.names = names
        self._account = account
        self._region = region
        self._report = report

    def clear(self) -> None:
        """Take away what a rebuild that was killed has left behind.

        Raises:
            ConfigurationError: Something has our names and was not made by a rebuild; nothing was touched.
        """
        is_bucket, is_database = self._has_our_bucket(), self._has_our_database()
        if is_bucket or is_database:
            self._report(f"clearing what an earlier rebuild left: {self.names.bucket}, {self.names.database}")
        if is_database:
            self._delete_database()
        if is_bucket:
            # Emptied only: S3 may refuse for a while to make a bucket anew that was just deleted.
            self._empty()

    def make(self, tables: Sequence[Mapping[str, Any]], live_bucket: str) -> None:
        """Make both, with *tables* as the live catalog has them, but without partitions and in our bucket.

        Raises:
            ConfigurationError: A table is not in *live_bucket*, or the bucket became somebody else's meanwhile.
        """
        inputs = [(self._moved(table, live_bucket), self._indexes(table)) for table in tables]
        make_bucket(self._s3, self.names.bucket, account=self._account, region=self._region)
        key, value = MARK
        self._s3.put_bucket_tagging(Bucket=self.names.bucket, Tagging={"TagSet": [{"Key": key, "Value": value}]})
        self._glue.create_database(
            DatabaseInput={
                "Name": self.names.database,
                "Description": "Scratch of a rebuild; goes with it.",
                "Parameters": {key: value},
            }
        )
        for table, indexes in inputs:
            # With the table, while it is empty: an index that is added later takes its time.
            self._glue.create_table(DatabaseName=self.names.database, TableInput=table, PartitionIndexes=indexes)
        self._report(f"bucket {self.names.bucket} and database {self.names.database} made")

    def drop(self) -> None:
        """Take both away; what is gone already is success."""
        self._delete_database()
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                self._empty()
                _unless_gone("NoSuchBucket", self._s3.delete_bucket, Bucket=self.names.bucket)
            except ClientError as error:
                # A run that was stopped may have had a request on its way.
                if error.response["Error"]["Code"] != "BucketNotEmpty" or attempt == _MAX_ATTEMPTS:
                    raise
            else:
                break
        self._report(f"bucket {self.names.bucket} and database {self.names.database} removed")

    def _delete_database(self) -> None:
        """With its tables and their partitions."""
        _unless_gone("EntityNotFoundException", self._glue.delete_database, Name=self.names.database)

    def _empty(self) -> None:
        for keys in self._keys():
            answer = self._s3.delete_objects(
                Bucket=self.names.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
            if errors := answer.get("Errors"):
                raise StorageUnavailable(f"S3 did not delete {errors[0]['Key']}: {errors[0].get('Message', '')}")

    def _keys(self) -> Iterator[list[str]]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.names.bucket, PaginationConfig={"PageSize": _DELETE_LIMIT}
        )
        try:
            for page in pages:
                if "Contents" in page:
                    yield [item["Key"] for item in page["Contents"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _moved(self, table: Mapping[str, Any], live_bucket: str) -> dict[str, Any]:
        storage = table["StorageDescriptor"]
        start = f"s3://{live_bucket}/"
        if not str(storage.get("Location", "")).startswith(start):
            raise ConfigurationError(
                f"Table {table['Name']} lies at {storage.get('Location')!r}, not in {live_bucket}; deploy the template."
            )
        location = f"s3://{self.names.bucket}/{storage['Location'].removeprefix(start)}"
        kept = {name: table[name] for name in _TABLE_INPUT if table.get(name)}
        return {**kept, "StorageDescriptor": {**storage, "Location": location}}

    def _indexes(self, table: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those of the live table: without them, each session's look at its partitions would read those of all."""
        found = self._glue.get_partition_indexes(DatabaseName=table["DatabaseName"], TableName=table["Name"])
        return [
            {"IndexName": index["IndexName"], "Keys": [key["Name"] for key in index["Keys"]]}
            for index in found["PartitionIndexDescriptorList"]
        ]

    def _has_our_bucket(self) -> bool:
        bucket = self.names.bucket
        if not exists(self._s3.head_bucket, Bucket=bucket, ExpectedBucketOwner=self._account):
            return False
        # One that was killed between making and marking its bucket has put nothing into it.
        if not self._is_marked() and "Contents" in self._s3.list_objects_v2(Bucket=bucket, MaxKeys=1):
            raise ConfigurationError(
                f"Bucket {bucket} was not made by a rebuild and is not empty. Look whose it is; remove it, or what is "
                "in it, to rebuild."
            )
        return True

    def _is_marked(self) -> bool:
        try:
            tags = self._s3.get_bucket_tagging(Bucket=self.names.bucket)["TagSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchTagSet":
                return False
            raise
        return MARK in [(tag["Key"], tag["Value"]) for tag in tags]

    def _has_our_database(self) -> bool:
        try:
            found = self._glue.get_database(Name=self.names.database)["Database"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                return False
            raise
        key, value = MARK
        if (found.get("Parameters") or {}).get(key) != value:
            raise ConfigurationError(
                f"Database {self.names.database} was not made by a rebuild. Look whose it is; remove it to rebuild."
            )
        return True


def _unless_gone(code: str, call: Callable[..., Any], **what: str) -> None:
    try:
        call(**what)
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
