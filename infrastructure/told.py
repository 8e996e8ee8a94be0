"""What an operator is told of an error: where AWS's own words leave out what to do, this says it."""

from __future__ import annotations

from botocore.exceptions import NoCredentialsError, NoRegionError, ProfileNotFound


def told(error: Exception) -> str:
    """Return the line that *error* becomes in the terminal."""
    if isinstance(error, NoRegionError):
        return "error: Set AWS_DEFAULT_REGION or give --region."
    if isinstance(error, NoCredentialsError):
        return (
            "error: No AWS credentials were found. Log in with the AWS CLI (`aws sso login`, `aws configure`) or set "
            "AWS_PROFILE, then call this again. To try everything without an account: make demo."
        )
    if isinstance(error, ProfileNotFound):
        return f"error: {error}. Look at AWS_PROFILE and at ~/.aws/config."
    return f"error: {error}"
