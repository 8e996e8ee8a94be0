"""One CloudFormation stack, as the operator's commands change it and ask it for its outputs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from bovespa.errors import ConfigurationError
from infrastructure.steps import Change, DeploymentFailed, Report, polls

CAPABILITIES = ("CAPABILITY_IAM",)


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
