"""Uploads the packages, brings the stack up to the template, and publishes the named queries and views of `athena/`.

    python -m infrastructure.deploy [--stack NAME] [--artifact-bucket NAME] [--region REGION]
                                    [--parameter KEY=VALUE ...] [--yes] [--dry-run]

Shows what would change and asks before it changes it. Where the stack is, is the business of the usual AWS variables.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import BovespaError, ConfigurationError
from infrastructure.athena_queries import named_queries, views
from infrastructure.buckets import exists, make_bucket
from infrastructure.package import Artifact, build
from infrastructure.publish import Publication
from infrastructure.stack import Stack
from infrastructure.steps import Change, Report
from infrastructure.template import TEMPLATE, read
from infrastructure.told import NO_REGION, say, told

PARTITION_INDEX = "by_session"


def deploy(
    session: boto3.Session,
    *,
    stack: str = "bovespa",
    artifact_bucket: str | None = None,
    parameters: Mapping[str, str] | None = None,
    confirm: Callable[[Sequence[Change]], bool] = lambda _changes: True,
    report: Report = lambda _line: None,
) -> dict[str, str] | None:
    """Bring *stack*, its named queries and its views up to the template, `athena/` and today's code.

    Args:
        session: Says which account and region, and as whom.
        stack: Name of the stack.
        artifact_bucket: Bucket for the packages, made if missing; `<stack>-artifacts-<account>-<region>` by default.
        parameters: Template parameters; the others keep what the stack has, or their defaults if it is new.
        confirm: Asked once with the changes before any is made; false leaves stack, queries and views as they were.
            A view that is made again only because a table's columns change is not among them.
        report: Receives a line for each step.

    Returns:
        The stack's outputs, or None if *confirm* said no.

    Raises:
        ConfigurationError: The artifact bucket is somebody else's, or no region is set.
        DeploymentFailed: CloudFormation refused or rolled back, or Athena refused a view.
        InvalidQueryFile: A file of `athena/` breaks its format; nothing was done.
    """
    packages = build()
    client = functools.cache(session.client)
    publication = Publication(client, named_queries(), views(), report)
    if not session.region_name:
        raise ConfigurationError(NO_REGION)
    account = client("sts").get_caller_identity()["Account"]
    bucket = artifact_bucket or f"{stack}-artifacts-{account}-{session.region_name}"
    template = Artifact("template.yaml", TEMPLATE.read_bytes())
    artifacts = (*packages, template)
    upload(client("s3"), bucket, artifacts, account=account, region=session.region_name, report=report)
    cloudformation = Stack(client("cloudformation"), stack, report)
    outputs = cloudformation.update(
        # From S3, because a template in the request itself may have 51,200 bytes only.
        f"{client('s3').meta.endpoint_url}/{bucket}/{template.key}",
        read(TEMPLATE.read_text(encoding="utf-8"))["Parameters"],
        {"ArtifactBucket": bucket, **packages.parameters, **(parameters or {})},
        confirm,
        publication.changes(cloudformation.outputs()),
    )
    if outputs is not None:
        add_partition_index(client("glue"), outputs["DatabaseName"], outputs["TableName"], report)
        # Planned anew: before, a workgroup or table may not have been there.
        publication.publish(outputs)
    return outputs


def upload(s3: Any, bucket: str, artifacts: Iterable[Artifact], *, account: str, region: str, report: Report) -> None:
    """Put *artifacts* into *bucket*, which is made if it does not exist. Objects already there are left alone.

    Raises:
        ConfigurationError: The bucket exists and is not ours.
    """
    if make_bucket(s3, bucket, account=account, region=region):
        report(f"bucket {bucket} made for the packages")
    for artifact in artifacts:
        if exists(s3.head_object, Bucket=bucket, Key=artifact.key):
            report(f"{artifact.name} is unchanged")
        else:
            s3.put_object(Bucket=bucket, Key=artifact.key, Body=artifact.content, ExpectedBucketOwner=account)
            report(f"{artifact.name} uploaded, {len(artifact.content) / 1024:.0f} KiB")


def add_partition_index(glue: Any, database: str, table: str, report: Report) -> None:
    """Give the table the partition index that CloudFormation cannot declare; nothing happens if it is there."""
    names = {"DatabaseName": database, "TableName": table}
    present = glue.get_partition_indexes(**names)["PartitionIndexDescriptorList"]
    if any(index["IndexName"] == PARTITION_INDEX for index in present):
        return
    keys = [key["Name"] for key in glue.get_table(DatabaseName=database, Name=table)["Table"]["PartitionKeys"]]
    glue.create_partition_index(**names, PartitionIndex={"IndexName": PARTITION_INDEX, "Keys": keys})
    report(f"partition index {PARTITION_INDEX} ({', '.join(keys)}) added to {database}.{table}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the outputs go to the standard output as JSON, everything else to the standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m infrastructure.deploy",
        description="Deploy the pipeline to AWS. Shows what would change and asks before it changes anything.",
        epilog="What comes next is told in docs/deploy-and-collect.md.",
    )
    parser.add_argument("--stack", default="bovespa", help="name of the stack (default: %(default)s)")
    parser.add_argument("--artifact-bucket", metavar="BUCKET", help="bucket for the packages, made if it is missing")
    parser.add_argument("--region", help="AWS region (default: the usual variables and profiles)")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_parameter,
        metavar="KEY=VALUE",
        help="template parameter (Name, GlueWorkers, IndexCodes, AlarmEmail); may be repeated; those not given keep "
        "their value",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="upload the packages, show the changes, make none")
    arguments = parser.parse_args(argv)

    def confirm(changes: Sequence[Change]) -> bool:
        for change in changes:
            say(str(change))
        if arguments.dry_run or arguments.yes:
            return not arguments.dry_run
        say(f"Make these changes to {arguments.stack}? [y/N]")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    try:
        outputs = deploy(
            boto3.Session(region_name=arguments.region),
            stack=arguments.stack,
            artifact_bucket=arguments.artifact_bucket,
            parameters=dict(arguments.parameter),
            confirm=confirm,
            report=say,
        )
    except (BovespaError, BotoCoreError, ClientError) as error:
        say(told(error))
        return 1
    if outputs is None:
        say("Nothing was changed.")
        return 0
    sys.stdout.write(json.dumps(outputs, indent=2) + "\n")
    return 0


def _parameter(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not like GlueWorkers=4")
    return key, value


if __name__ == "__main__":
    sys.exit(main())
