"""AWS clients with bounds on their patience, and the one place where their errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own name
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from bovespa.errors import StorageUnavailable

_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
_IMPATIENT_CONFIG = Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})

_NO_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError, TokenRetrievalError)
_NO_ANSWER = (ConnectionError, HTTPClientError, IncompleteReadError)

_CHECKS = {
    "NoSuchBucket": "Check BOVESPA_RAW_BUCKET and BOVESPA_REFINED_BUCKET, and that the stack is deployed.",
    "EntityNotFoundException": "Check BOVESPA_GLUE_JOB and BOVESPA_DATABASE, and that the stack is deployed.",
    "ResourceNotFoundException": "Check its name and the region.",
    "SlowDown": "Try again later.",
    "Throttling": "Try again later.",
    "ThrottlingException": "Try again later.",
}
_CHECK_ACCESS = "Check the AWS credentials, their permissions and the region."


def client(service: str, *, impatient: bool = False) -> Any:
    """Return a client of an AWS service, set up by AWS's own environment variables.

    Args:
        service: As boto3 calls it: `s3`, `glue` or `secretsmanager`.
        impatient: One attempt of two seconds, for a caller that asks again anyway.

    Raises:
        StorageUnavailable: No region is set.
    """
    with storage_errors(f"setting up {service}"):
        return boto3.client(service, config=_IMPATIENT_CONFIG if impatient else _CONFIG)


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn the failures of AWS within the block into `StorageUnavailable`, with what to check.

    Mistakes of our own, such as a malformed parameter, are not failures of AWS and go on unchanged.

    Args:
        doing: What the block does, for the message: `reading s3://bucket/key`.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        server_side = status(error) >= 500
        check = _CHECKS.get(code, "Try again later." if server_side else _CHECK_ACCESS)
        raise StorageUnavailable(f"{doing} was refused ({code}). {check}") from error
    except _NO_CREDENTIALS as error:
        raise StorageUnavailable(f"{doing} needs AWS credentials. {_CHECK_ACCESS}") from error
    except NoRegionError as error:
        raise StorageUnavailable(f"{doing} needs a region. Set AWS_DEFAULT_REGION.") from error
    except _NO_ANSWER as error:
        raise StorageUnavailable(
            f"{doing} got no answer ({type(error).__name__}). Check the network and AWS_ENDPOINT_URL."
        ) from error


def error_code(error: ClientError) -> str:
    """Return the service's word for what went wrong; for a HEAD, which has no body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def status(error: ClientError) -> int:
    """Return the HTTP status of the service's refusal."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: ClientError) -> bool:
    """Whether the refusal says that the object (not its bucket) does not exist."""
    return error_code(error) in ("404", "NoSuchKey")


def is_conflict(error: ClientError) -> bool:
    """Whether the refusal says that a condition on the current object did not hold."""
    return error_code(error) == "PreconditionFailed" or is_under_way(error)


def is_under_way(error: ClientError) -> bool:
    """Whether the refusal says that another conditional write of the object has not ended (409)."""
    return error_code(error) == "ConditionalRequestConflict"
