"""How any AWS client reaches the local cloud: with AWS's own variables, and nothing else."""

from __future__ import annotations

REGION = "us-east-1"


def aws_environment(endpoint_url: str) -> dict[str, str]:
    """Return AWS's variables for the cloud at *endpoint_url*; the credentials are its operator's."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
