"""Reads a secret of AWS Secrets Manager."""

from __future__ import annotations

from bovespa.errors import ConfigurationError, StorageUnavailable
from s3_bucket_manager.aws import client, storage_errors


def read_secret(name: str) -> str:
    """Return the text of a secret.

    Args:
        name: Its name or ARN.

    Raises:
        ConfigurationError: There is no such secret, it is none of text, or we may not read it.
    """
    try:
        with storage_errors(f"reading the secret {name}"):
            found = client("secretsmanager").get_secret_value(SecretId=name)
    except StorageUnavailable as error:
        raise ConfigurationError(f"{error} BOVESPA_SECRET_ID names it.") from error
    text = found.get("SecretString")
    if text is None:
        raise ConfigurationError(f"The secret {name} holds bytes; write it as docs/operations.md shows.")
    return str(text)
