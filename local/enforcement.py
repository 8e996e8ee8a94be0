"""Who calls in the local cloud, and that nobody gets more than the template grants.

The emulator evaluates IAM policies only if it is told to, and then refuses what AWS would refuse: the function and the
job have the sessions of their roles, the API has a user to which `ApiAccess` is attached, and the operator's key is the
account's own, which may do everything.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

API_USER = "bovespa-api"

_FORWARDED_PROTO = b"x-forwarded-proto"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a principal signs its requests with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """AWS's own variables for them."""
        named = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return named if self.session_token is None else {**named, "AWS_SESSION_TOKEN": self.session_token}


class JobSession:
    """The session of the job's role: its credentials exist before it is known whose they are.

    A Spark process is started with them before the first run says which role the job has, so that it has nothing to
    change then.
    """

    def __init__(self) -> None:
        self.credentials = Credentials(
            f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(20)
        )

    def assume(self, role_arn: str, name: str) -> None:
        """Let the credentials be those of the role at *role_arn*, for the session *name*; within the emulator only."""
        from ministack.services import sts  # noqa: PLC0415 - the emulator reads its environment when it is imported

        account, role = role_arn.split(":")[4], role_arn.rpartition("/")[2]
        sts.register_session(
            self.credentials.access_key_id,
            {
                "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
                "UserId": f"{role}:{name}",
                "SecretAccessKey": self.credentials.secret_access_key,
                "SessionToken": self.credentials.session_token,
            },
        )


def over_tls(app: Any) -> Any:
    """Return *app*, an ASGI application, with every request as it comes from a proxy in front that ends TLS.

    The buckets of the template refuse what came without TLS, and on the loopback interface there is none.
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _FORWARDED_PROTO not in dict(scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], (_FORWARDED_PROTO, b"https")]}
        await app(scope, receive, send)

    return answer


def api_credentials(iam: Any, policy_arn: str) -> Credentials:
    """Return new credentials of a user that has the policy at *policy_arn* and nothing else; older ones end.

    Args:
        iam: A boto3 IAM client of the operator.
        policy_arn: What the stack's output `ApiPolicyArn` says.
    """
    try:
        iam.create_user(UserName=API_USER)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityAlreadyExists":
            raise
        for key in iam.list_access_keys(UserName=API_USER)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=API_USER, AccessKeyId=key["AccessKeyId"])
    iam.attach_user_policy(UserName=API_USER, PolicyArn=policy_arn)
    key = iam.create_access_key(UserName=API_USER)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])
