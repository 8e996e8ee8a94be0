"""What an operator reads in the terminal: the steps, and of an error what to do where AWS leaves that out."""

from __future__ import annotations

import sys

from botocore.exceptions import NoCredentialsError, NoRegionError, ProfileNotFound

NO_REGION = "Set AWS_DEFAULT_REGION or give --region."


def say(line: str) -> None:
    """Write a line to standard error; standard output is for what a program reads."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def told(error: Exception) -> str:
    """Return the line that *error* becomes in the terminal."""
    if isinstance(error, NoRegionError):
        return f"error: {NO_REGION}"
    if isinstance(error, NoCredentialsError):
        return (
            "error: No AWS credentials were found. Log in with the AWS CLI (`aws sso login`, `aws configure`) or set "
            "AWS_PROFILE, then call this again. To try everything without an account: make demo."
        )
    if isinstance(error, ProfileNotFound):
        return f"error: {error}. Look at AWS_PROFILE and at ~/.aws/config."
    return f"error: {error}"
