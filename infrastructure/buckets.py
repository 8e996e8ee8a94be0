"""Buckets that a command makes beside those of the stack: private, encrypted, TLS only, and never somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from bovespa.errors import ConfigurationError


def make_bucket(s3: Any, bucket: str, *, account: str, region: str) -> bool:
    """Make *bucket*, unless it is there and ours; return whether it was made.

    Raises:
        ConfigurationError: The bucket exists and is not ours.
    """
    if exists(s3.head_bucket, Bucket=bucket, ExpectedBucketOwner=account):
        return False
    # us-east-1 is the one region that may not be named here.
    elsewhere = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **elsewhere)
    s3.get_waiter("bucket_exists").wait(Bucket=bucket)
    closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(bucket, s3.meta.partition)))
    return True


def _tls_only(bucket: str, partition: str) -> dict[str, Any]:
    """The policy that the template gives its own buckets."""
    arn = f"arn:{partition}:s3:::{bucket}"
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def exists(head: Callable[..., Any], **what: str) -> bool:
    """Return whether *head*, HeadBucket or HeadObject, finds what it is asked for.

    Raises:
        ConfigurationError: The bucket is somebody else's, or closed to us.
    """
    try:
        head(**what)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("404", "NoSuchBucket", "NoSuchKey", "NotFound"):
            return False
        if code in ("403", "AccessDenied"):
            name = what["Bucket"]
            raise ConfigurationError(
                f"Bucket {name} is somebody else's or closed to you; free its name or use another one."
            ) from error
        raise
    return True
