"""Gives the events of the dead-letter queue to the function once more, and deletes those that it takes.

    python -m infrastructure.redrive [--stack NAME] [--region REGION] [--list] [--json]

An event waits there when no run could be started for it, after all of Lambda's own attempts. Repair the cause first. A
run that is started twice does no harm, so an event that is redriven twice does none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bovespa.errors import BovespaError, UnexpectedEvent
from infrastructure.stack import Stack
from infrastructure.told import say, told

_HIDDEN_S = 300
"""For how long a message that was received is hidden from others: ten calls of a function that may take 60 s each, and
it is seldom one of them that takes long."""

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=75)


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """One message of the queue."""

    message_id: str
    receipt_handle: str = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)
    """What S3 sent to the function."""
    error: str
    """What the function raised at last."""

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> FailedEvent:
        """Read a message as Lambda puts it into the queue of a function.

        Raises:
            UnexpectedEvent: It is none.
        """
        try:
            body = json.loads(message["Body"])
            payload, answer = body["requestPayload"], body.get("responsePayload") or {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedEvent(
                f"Message {message['MessageId']} is no failed call of a function ({error!r}); look at it and delete it "
                "by hand."
            ) from error
        known = answer if isinstance(answer, dict) else {}
        words = (known.get("errorType"), known.get("errorMessage"))
        return cls(message["MessageId"], message["ReceiptHandle"], payload, ": ".join(word for word in words if word))

    @property
    def keys(self) -> list[str]:
        """Keys of the objects that it announces, as far as it announces any."""
        records = self.payload.get("Records") if isinstance(self.payload, dict) else None
        found = []
        for record in records if isinstance(records, list) else []:
            try:
                found.append(unquote_plus(record["s3"]["object"]["key"]))
            except (KeyError, TypeError):
                found.append("?")
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message."""

    message_id: str
    keys: list[str]
    status: str
    """`waiting`, as it was only listed; `redriven`, and deleted; `failed` or `unreadable`, and still there."""
    detail: str

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.status:<10} {self.message_id} {', '.join(self.keys) or '-'}{detail}"


class Redrive:
    """The queue of one function, and the function."""

    def __init__(self, sqs: Any, function: Any, *, queue_url: str, function_name: str) -> None:
        self._sqs = sqs
        self._lambda = function
        self._queue_url = queue_url
        self._function_name = function_name

    def listed(self) -> Iterator[Outcome]:
        """Yield each message, and leave all in the queue."""
        return self._each(lambda event: Outcome(event.message_id, event.keys, "waiting", event.error))

    def run(self) -> Iterator[Outcome]:
        """Call the function with each event, delete those that it takes, and yield what became of each."""
        return self._each(self._again)

    def _again(self, event: FailedEvent) -> Outcome:
        answer = self._lambda.invoke(FunctionName=self._function_name, Payload=json.dumps(event.payload).encode())
        if "FunctionError" in answer:
            said = json.loads(answer["Payload"].read() or b"{}")
            words = said.get("errorMessage") or answer["FunctionError"]
            return Outcome(event.message_id, event.keys, "failed", str(words))
        # Only now: whatever ends this command before leaves the event where it is.
        self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=event.receipt_handle)
        return Outcome(event.message_id, event.keys, "redriven", "")

    def _each(self, treat: Callable[[FailedEvent], Outcome]) -> Iterator[Outcome]:
        kept: dict[str, str] = {}
        try:
            while messages := self._receive():
                if all(message["MessageId"] in kept for message in messages):
                    return
                for message in messages:
                    if message["MessageId"] in kept:
                        continue
                    kept[message["MessageId"]] = message["ReceiptHandle"]
                    try:
                        outcome = treat(FailedEvent.of(message))
                    except UnexpectedEvent as error:
                        outcome = Outcome(message["MessageId"], [], "unreadable", str(error))
                    if outcome.status == "redriven":
                        del kept[message["MessageId"]]
                    yield outcome
        finally:
            # What stays is there for the next who looks, at once.
            for handle in kept.values():
                self._sqs.change_message_visibility(QueueUrl=self._queue_url, ReceiptHandle=handle, VisibilityTimeout=0)

    def _receive(self) -> list[dict[str, Any]]:
        # Waiting a second asks every server of the queue; without, a short queue may look empty.
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, VisibilityTimeout=_HIDDEN_S, WaitTimeSeconds=1
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the outcomes go to the standard output, everything else to the standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m infrastructure.redrive", description="Replay the events of the dead-letter queue."
    )
    parser.add_argument("--stack", default="bovespa", help="name of the stack (default: %(default)s)")
    parser.add_argument("--region", help="AWS region (default: the usual variables and profiles)")
    parser.add_argument("--list", action="store_true", help="show what waits, and change nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object a message")
    arguments = parser.parse_args(argv)
    outcomes: list[Outcome] = []
    try:
        session = boto3.Session(region_name=arguments.region)
        outputs = Stack(session.client("cloudformation"), arguments.stack, say).required_outputs()
        queue = Redrive(
            session.client("sqs"),
            session.client("lambda", config=_CONFIG),
            queue_url=outputs["FailedEventsQueueUrl"],
            function_name=outputs["FunctionName"],
        )
        for outcome in queue.listed() if arguments.list else queue.run():
            outcomes.append(outcome)
            line = _json(outcome) if arguments.json else str(outcome)
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except (BovespaError, BotoCoreError, ClientError) as error:
        say(told(error))
        return 1
    if not outcomes:
        say("No event waits.")
    return 1 if any(outcome.status in ("failed", "unreadable") for outcome in outcomes) else 0


def _json(outcome: Outcome) -> str:
    return json.dumps(
        {
            "message_id": outcome.message_id,
            "keys": outcome.keys,
            "status": outcome.status,
            "detail": outcome.detail,
        }
    )


if __name__ == "__main__":
    sys.exit(main())
