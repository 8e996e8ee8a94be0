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
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import BovespaError, ConfigurationError
from infrastructure.athena_queries import named_queries, views
from infrastructure.buckets import exists, make_bucket
from infrastructure.package import Artifact, build
from infrastructure.publish import Publication
from infrastructure.steps import Change, DeploymentFailed, Report, polls
from infrastructure.template import TEMPLATE, read
from infrastructure.told import told

CAPABILITIES = ("CAPABILITY_IAM",)
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
        raise ConfigurationError("Set AWS_DEFAULT_REGION or give --region.")
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


class Stack:
    """One CloudFormation stack, changed through change sets only, so that what will happen is known before."""

    def __init__(self, cloudformation: Any, name: str, report: Report) -> None:
        self._client = cloudformation
        self._name = name
        self._report = report

    def update(
        self,
        template_url: str,
        declared: Container[str],
        parameters: Mapping[str, str],
        confirm: Callable[[Sequence[Change]], bool],
        others: Sequence[Change] = (),
    ) -> dict[str, str] | None:
        """Create or update the stack; return its outputs, or None if *confirm* said no.

        Args:
            template_url: Where it is in S3.
            declared: Names of the parameters that it has.
            parameters: By name; the others keep what the stack has.
            confirm: Asked with the changes.
            others: What the caller is going to change besides; it is asked about in the same question.

        Raises:
            DeploymentFailed: CloudFormation refused or rolled back.
        """
        status = self._status()
        if status == "ROLLBACK_COMPLETE":
            # The first creation failed: nothing is in the stack, and CloudFormation lets nobody update it.
            self._report(f"{self._name} holds only a failed first attempt; removing it")
            self._delete()
            status = None
        if status is not None and status != "REVIEW_IN_PROGRESS" and status.endswith("_IN_PROGRESS"):
            raise DeploymentFailed(f"Somebody else is changing {self._name} ({status}); try again when that is done.")
        is_new = status in (None, "REVIEW_IN_PROGRESS")
        if not is_new:
            parameters = {**self._kept_parameters(declared), **parameters}
        change_set = self._plan(template_url, parameters, "CREATE" if is_new else "UPDATE")
        if change_set is None:
            self._report(f"{self._name} is up to date")
            return None if others and not confirm(others) else self.outputs()
        try:
            accepted = confirm([*self._changes(change_set), *others])
        except BaseException:
            self._discard(change_set, is_new)
            raise
        if not accepted:
            self._discard(change_set, is_new)
            return None
        self._execute(change_set)
        return self.outputs()

    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs; none if there is no such stack, or nothing in it yet."""
        stack = self._described()
        return {output["OutputKey"]: output["OutputValue"] for output in (stack or {}).get("Outputs", [])}

    def required_outputs(self) -> dict[str, str]:
        """Return the outputs of a stack that is there.

        Raises:
            ConfigurationError: There is no such stack, or its first creation has not succeeded.
        """
        if not (outputs := self.outputs()):
            raise ConfigurationError(
                f"No stack {self._name} has outputs here; name it with --stack and its place with --region."
            )
        return outputs

    def _plan(self, template_url: str, parameters: Mapping[str, str], kind: str) -> str | None:
        """The ARN of a change set that is ready, or None if it would change nothing."""
        try:
            change_set = self._client.create_change_set(
                StackName=self._name,
                ChangeSetName=f"deploy-{uuid.uuid4().hex}",
                ChangeSetType=kind,
                TemplateURL=template_url,
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                Capabilities=list(CAPABILITIES),
            )["Id"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            reason = error.response["Error"]["Message"]
            raise DeploymentFailed(f"CloudFormation refuses the change of {self._name}: {reason}") from error
        for _ in polls(f"CloudFormation did not finish the plan for {self._name}"):
            answer = self._client.describe_change_set(ChangeSetName=change_set)
            if not answer["Status"].endswith(("_PENDING", "_IN_PROGRESS")):
                break
        if answer["Status"] == "CREATE_COMPLETE":
            return str(change_set)
        reason = answer.get("StatusReason", "")
        self._discard(change_set, is_new=kind == "CREATE")
        # That nothing would change is told by a failure, and which failure only by its text.
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return None
        raise DeploymentFailed(f"CloudFormation refuses the change of {self._name}: {reason}")

    def _kept_parameters(self, declared: Container[str]) -> dict[str, str]:
        """What the stack was last given, so that a setting made once is not lost by a deploy that does not repeat it.

        Above all `Name`: without this, a deploy that forgets it would replace every resource.
        """
        current = self._client.describe_stacks(StackName=self._name)["Stacks"][0].get("Parameters", [])
        return {
            parameter["ParameterKey"]: parameter["ParameterValue"]
            for parameter in current
            if parameter["ParameterKey"] in declared
        }

    def _changes(self, change_set: str) -> Iterator[Change]:
        for page in self._client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
            for change in page["Changes"]:
                resource = change["ResourceChange"]
                yield Change(
                    resource["Action"],
                    resource["LogicalResourceId"],
                    resource["ResourceType"],
                    resource.get("Replacement"),
                )

    def _discard(self, change_set: str, is_new: bool) -> None:
        self._client.delete_change_set(ChangeSetName=change_set)
        if is_new:  # the plan for a new stack leaves a stack without resources
            self._delete()

    def _execute(self, change_set: str) -> None:
        already_seen = {event["EventId"] for event in self._events()}
        self._client.execute_change_set(ChangeSetName=change_set)
        reasons: list[str] = []
        for _ in polls(f"{self._name} is still changing"):
            # Status first: an event that comes between the two calls is then seen now and not lost.
            status = self._status() or ""
            new = [event for event in self._events() if event["EventId"] not in already_seen]
            for event in reversed(new):
                already_seen.add(event["EventId"])
                self._report(_line(event))
                if event["ResourceStatus"].endswith("_FAILED"):
                    reasons.append(_line(event))
            if not status.endswith("_IN_PROGRESS"):
                break
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise DeploymentFailed(f"{self._name} is {status}:\n" + "\n".join(reasons or ["no reason was given"]))

    def _delete(self) -> None:
        # A deleted stack answers to its id only.
        stack_id = self._client.describe_stacks(StackName=self._name)["Stacks"][0]["StackId"]
        self._client.delete_stack(StackName=stack_id)
        for _ in polls(f"{self._name} is still there"):
            status = self._client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
            if status == "DELETE_COMPLETE":
                return
            if status == "DELETE_FAILED":
                raise DeploymentFailed(f"{self._name} could not be deleted; see its events, then run again.")

    def _status(self) -> str | None:
        """The stack's status, or None if there is no such stack."""
        stack = self._described()
        return None if stack is None else str(stack["StackStatus"])

    def _described(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client.describe_stacks(StackName=self._name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
                return None
            raise
        return found

    def _events(self) -> list[dict[str, Any]]:
        """The newest events first."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=self._name)
        return [event for page in pages for event in page["StackEvents"]]


def _line(event: Mapping[str, Any]) -> str:
    reason = event.get("ResourceStatusReason", "")
    return f"{event['ResourceStatus']} {event['LogicalResourceId']}{': ' if reason else ''}{reason}"


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
        help="of the template (Name, GlueWorkers, IndexCodes, AlarmEmail), may be repeated; the others keep what the "
        "stack has",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="upload the packages, show the changes, make none")
    arguments = parser.parse_args(argv)

    def confirm(changes: Sequence[Change]) -> bool:
        for change in changes:
            _say(str(change))
        if arguments.dry_run or arguments.yes:
            return not arguments.dry_run
        _say(f"Make these changes to {arguments.stack}? [y/N]")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    try:
        outputs = deploy(
            boto3.Session(region_name=arguments.region),
            stack=arguments.stack,
            artifact_bucket=arguments.artifact_bucket,
            parameters=dict(arguments.parameter),
            confirm=confirm,
            report=_say,
        )
    except (BovespaError, BotoCoreError, ClientError) as error:
        _say(told(error))
        return 1
    if outputs is None:
        _say("Nothing was changed.")
        return 0
    sys.stdout.write(json.dumps(outputs, indent=2) + "\n")
    return 0


def _parameter(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not like GlueWorkers=4")
    return key, value


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
