"""The policies of the deployed stack, tried: the local cloud refuses what they do not grant."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from api.passwords import hash_password
from app import create_app, settings_from_environ
from bovespa.errors import ConfigurationError
from local.cloud import Cloud
from local.pipeline import Pipeline
from local.synthetic import synthetic_csv
from tests.lake import Lake

Call = Callable[["Principal"], Any]


class Principal:
    """Somebody with the policies of one of the stack's principals."""

    def __init__(self, cloud: Cloud, key: dict[str, str]) -> None:
        self._cloud, self._key = cloud, key

    @property
    def access_key_id(self) -> str:
        return self._key["AccessKeyId"]

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self._key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": self._key["SecretAccessKey"]}

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._cloud.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self._key["AccessKeyId"],
            aws_secret_access_key=self._key["SecretAccessKey"],
            config=Config(retries={"total_max_attempts": 1}),
        )


@contextlib.contextmanager
def user(cloud: Cloud, name: str, *documents: dict[str, Any]) -> Iterator[Principal]:
    """A user that lives for the body of the `with`."""
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    for number, document in enumerate(documents):
        iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield Principal(cloud, key)
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for number, _ in enumerate(documents):
            iam.delete_user_policy(UserName=name, PolicyName=f"p{number}")
        iam.delete_user(UserName=name)


def documents_of(cloud: Cloud, logical_id: str) -> list[dict[str, Any]]:
    """The policies of a role or managed policy as they were deployed."""
    iam = cloud.client("iam")
    resource = cloud.client("cloudformation").describe_stack_resource(StackName="bovespa", LogicalResourceId=logical_id)
    physical = resource["StackResourceDetail"]["PhysicalResourceId"]
    if logical_id.endswith("Access"):
        version = iam.get_policy(PolicyArn=physical)["Policy"]["DefaultVersionId"]
        return [iam.get_policy_version(PolicyArn=physical, VersionId=version)["PolicyVersion"]["Document"]]
    names = iam.list_role_policies(RoleName=physical)["PolicyNames"]
    return [iam.get_role_policy(RoleName=physical, PolicyName=name)["PolicyDocument"] for name in names]


@pytest.fixture(scope="module")
def principals(pipeline: Pipeline) -> Iterator[dict[str, Principal]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(user(pipeline.cloud, f"try-{name.lower()}", *documents_of(pipeline.cloud, name)))
            for name in ("ApiAccess", "AnalystAccess", "RefineRole", "StartRefineRole", "WatchRole")
        }


RAW, REFINED, RESULTS = (f"bovespa-{kind}-000000000000-us-east-1" for kind in ("raw", "refined", "athena"))
SESSION = "index_code=IBOV/session_date=1999-01-04"
RAW_KEY = f"portfolio/{SESSION}/portfolio.parquet"


def s3(method: str, bucket: str, key: str | None = None, **arguments: Any) -> Call:
    named = {} if key is None else {"Key": key}
    return lambda who: getattr(who.client("s3"), method)(Bucket=bucket, **named, **arguments)


def glue(method: str, **arguments: Any) -> Call:
    return lambda who: getattr(who.client("glue"), method)(**arguments)


def call(service: str, method: str, **arguments: Any) -> Call:
    return lambda who: getattr(who.client(service), method)(**arguments)


def cases(rows: list[tuple[str, str, Call]]) -> list[Any]:
    """Each attempt with who makes it, named after what it would do."""
    return [pytest.param(name, attempt, id=f"{name} {what}") for name, what, attempt in rows]


TABLE = {"DatabaseName": "bovespa", "TableName": "portfolio"}

ALLOWED: list[tuple[str, str, Call]] = [
    ("ApiAccess", "puts a refused file", s3("put_object", RAW, "quarantine/1999-01-04T000000Z/0f.json", Body=b"{}")),
    ("ApiAccess", "lists raw", s3("list_objects_v2", RAW, Prefix="portfolio/")),
    ("ApiAccess", "reads partitions", glue("get_partitions", **TABLE)),
    ("ApiAccess", "reads runs", glue("get_job_runs", JobName="bovespa-refine")),
    ("ApiAccess", "reads its secret", call("secretsmanager", "get_secret_value", SecretId="bovespa/api")),
    ("RefineRole", "puts a row", s3("put_object", REFINED, f"portfolio/{SESSION}/ticker=TRYO3/x", Body=b"")),
    ("RefineRole", "deletes a row", s3("delete_object", REFINED, f"portfolio/{SESSION}/ticker=TRYO3/x")),
    ("RefineRole", "reads the table", glue("get_table", DatabaseName="bovespa", Name="portfolio")),
    ("WatchRole", "lists raw", s3("list_objects_v2", RAW, Prefix="quarantine/")),
    ("WatchRole", "lists refined", s3("list_objects_v2", REFINED, Prefix="receipts/")),
    ("StartRefineRole", "lists raw", s3("list_objects_v2", RAW)),
    ("AnalystAccess", "chooses a workgroup", call("athena", "list_work_groups")),
    ("AnalystAccess", "chooses a catalog", call("athena", "list_data_catalogs")),
    ("AnalystAccess", "sees the databases", glue("get_databases")),
    ("AnalystAccess", "lists refined", s3("list_objects_v2", REFINED, Prefix="portfolio/")),
    (
        "AnalystAccess",
        "asks",
        call("athena", "start_query_execution", QueryString="SELECT COUNT(*) FROM sessions", WorkGroup="bovespa"),
    ),
    ("AnalystAccess", "keeps an answer", s3("put_object", RESULTS, "answers/try.csv", Body=b"")),
]

REFUSED: list[tuple[str, str, Call]] = [
    ("ApiAccess", "deletes a session", s3("delete_object", RAW, RAW_KEY)),
    (
        "ApiAccess",
        "reads refined rows",
        s3("get_object", REFINED, f"portfolio/{SESSION}/ticker=PETR4/portfolio.parquet"),
    ),
    ("ApiAccess", "forges a receipt", s3("put_object", REFINED, f"receipts/portfolio/{SESSION}/0f.json", Body=b"{}")),
    (
        "ApiAccess",
        "suspends the versions",
        s3("put_bucket_versioning", RAW, VersioningConfiguration={"Status": "Suspended"}),
    ),
    ("ApiAccess", "opens the bucket", s3("delete_public_access_block", RAW)),
    ("ApiAccess", "lifts the TLS rule", s3("delete_bucket_policy", RAW)),
    ("ApiAccess", "lists other buckets", call("s3", "list_buckets")),
    ("ApiAccess", "reads another secret", call("secretsmanager", "get_secret_value", SecretId="others/api")),
    (
        "ApiAccess",
        "changes its secret",
        call("secretsmanager", "put_secret_value", SecretId="bovespa/api", SecretString="{}"),
    ),
    ("ApiAccess", "drops the table", glue("delete_table", DatabaseName="bovespa", Name="portfolio")),
    ("ApiAccess", "removes partitions", glue("delete_partition", **TABLE, PartitionValues=["IBOV", "1999-01-04", "X"])),
    ("ApiAccess", "asks Athena", call("athena", "start_query_execution", QueryString="SELECT 1", WorkGroup="bovespa")),
    ("ApiAccess", "makes itself a key", call("iam", "create_access_key", UserName="bovespa-api")),
    ("ApiAccess", "invokes the function", call("lambda", "invoke", FunctionName="bovespa-start-refine")),
    ("RefineRole", "changes a raw session", s3("put_object", RAW, RAW_KEY, Body=b"")),
    ("RefineRole", "deletes a raw session", s3("delete_object", RAW, RAW_KEY)),
    ("RefineRole", "reads B3's bytes", s3("get_object", RAW, f"source/{SESSION}/0f.csv")),
    ("RefineRole", "reads quarantine", s3("get_object", RAW, "quarantine/1999-01-04T000000Z/0f.csv")),
    ("RefineRole", "writes outside its tables", s3("put_object", REFINED, "elsewhere/x", Body=b"")),
    ("RefineRole", "changes the table", glue("delete_table", DatabaseName="bovespa", Name="portfolio")),
    ("RefineRole", "starts a run", glue("start_job_run", JobName="bovespa-refine")),
    ("RefineRole", "reads the secret", call("secretsmanager", "get_secret_value", SecretId="bovespa/api")),
    ("RefineRole", "puts code", s3("put_object", "bovespa-artifacts-000000000000-us-east-1", "artifacts/x", Body=b"")),
    ("StartRefineRole", "lists refined", s3("list_objects_v2", REFINED)),
    ("StartRefineRole", "reads B3's bytes", s3("get_object", RAW, f"source/{SESSION}/0f.csv")),
    ("StartRefineRole", "writes", s3("put_object", RAW, RAW_KEY, Body=b"")),
    ("StartRefineRole", "starts another job", glue("start_job_run", JobName="other")),
    ("StartRefineRole", "changes the job", glue("delete_job", JobName="bovespa-refine")),
    (
        "StartRefineRole",
        "reads failed events",
        call("sqs", "purge_queue", QueueUrl="/000000000000/bovespa-start-refine-failures"),
    ),
    ("WatchRole", "reads a session", s3("get_object", RAW, RAW_KEY)),
    ("WatchRole", "writes", s3("put_object", RAW, RAW_KEY, Body=b"")),
    ("WatchRole", "reads a row", s3("get_object", REFINED, f"portfolio/{SESSION}/ticker=TRYO3/x")),
    ("AnalystAccess", "reads raw", s3("get_object", RAW, RAW_KEY)),
    ("AnalystAccess", "lists raw", s3("list_objects_v2", RAW)),
    ("AnalystAccess", "writes rows", s3("put_object", REFINED, f"portfolio/{SESSION}/ticker=TRYO3/x", Body=b"")),
    ("AnalystAccess", "removes a table", glue("delete_table", DatabaseName="bovespa", Name="portfolio")),
    (
        "AnalystAccess",
        "changes the workgroup",
        call("athena", "update_work_group", WorkGroup="bovespa", Description="x"),
    ),
    (
        "AnalystAccess",
        "asks outside the workgroup",
        call("athena", "start_query_execution", QueryString="SELECT 1", WorkGroup="primary"),
    ),
]


@pytest.mark.parametrize(("name", "attempt"), cases(ALLOWED))
def test_what_the_code_needs_is_allowed(principals: dict[str, Principal], name: str, attempt: Call) -> None:
    attempt(principals[name])


@pytest.mark.parametrize(("name", "attempt"), cases(REFUSED))
def test_everything_else_is_refused(principals: dict[str, Principal], name: str, attempt: Call) -> None:
    with pytest.raises(ClientError) as caught:
        attempt(principals[name])
    assert caught.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403"), caught.value


def test_nothing_is_read_without_tls(principals: dict[str, Principal]) -> None:
    client = principals["ApiAccess"].client("s3")
    client.head_bucket(Bucket=RAW)
    # As a proxy in front would say that the request came in the clear.
    client.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.add_header("x-forwarded-proto", "http")
    )
    with pytest.raises(ClientError) as caught:
        client.list_objects_v2(Bucket=RAW)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_every_bucket_of_the_account_is_closed_encrypted_and_tls_only(pipeline: Pipeline) -> None:
    """That of the packages, too, which the deploy makes and not the template."""
    s3 = pipeline.cloud.client("s3")
    ours = [one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].endswith("-000000000000-us-east-1")]
    assert len(ours) >= 4
    for bucket in ours:
        closed = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert len(closed) == 4, bucket
        assert set(closed.values()) == {True}, bucket
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}, bucket
        (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        arn = f"arn:aws:s3:::{bucket}"
        assert (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "s3:*", "*"), bucket
        assert statement["Resource"] == [arn, f"{arn}/*"], bucket
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}, bucket


def test_a_key_without_its_secret_opens_nothing(principals: dict[str, Principal], pipeline: Pipeline) -> None:
    known = principals["ApiAccess"].access_key_id
    stranger = Principal(pipeline.cloud, {"AccessKeyId": known, "SecretAccessKey": "guessed"})
    with pytest.raises(ClientError) as caught:
        stranger.client("s3").list_objects_v2(Bucket=RAW)
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_the_api_calls_as_its_own_user(pipeline: Pipeline) -> None:
    """Otherwise no other test of this pipeline would prove anything of its policy."""
    variables = Path(f"/proc/{pipeline.api_process.pid}/environ").read_bytes().split(b"\0")
    environ = dict(one.decode().partition("=")[::2] for one in variables)
    assert environ["AWS_ENDPOINT_URL"] == pipeline.cloud.endpoint_url
    assert environ["AWS_ACCESS_KEY_ID"].startswith("AKIA")


def test_the_job_calls_as_its_own_role(pipeline: Pipeline, lake: Lake) -> None:
    """Otherwise no other test of this pipeline would prove anything of its policies."""
    session = lake.store(synthetic_csv("AGFS", dt.date(2025, 2, 24)))
    lake.refine(session)
    with denied(pipeline.cloud, "RefineRole", "s3:PutObject"):
        state, message = lake.outcome(lake.start(session))
    assert state == "FAILED"
    assert "AccessDenied" in message
    lake.refine(session)


@contextlib.contextmanager
def denied(cloud: Cloud, logical_id: str, action: str) -> Iterator[None]:
    """A role without one of its rights, for the body of the `with`."""
    iam = cloud.client("iam")
    resource = cloud.client("cloudformation").describe_stack_resource(StackName="bovespa", LogicalResourceId=logical_id)
    name = {"RoleName": resource["StackResourceDetail"]["PhysicalResourceId"], "PolicyName": "denied-by-a-test"}
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    iam.put_role_policy(**name, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    try:
        yield
    finally:
        iam.delete_role_policy(**name)


def test_the_watch_looks_as_its_own_role(pipeline: Pipeline) -> None:
    answer = pipeline.cloud.client("lambda").invoke(
        FunctionName="bovespa-watch", Payload=json.dumps({"scheduled_at": "1999-01-04T22:00:00Z"})
    )
    found = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    assert (found["session_date"], found["missing"], found["unrefined"]) == ("1999-01-04", ["IBOV"], [])


def test_the_api_reads_its_secret_with_its_own_rights(
    pipeline: Pipeline, principals: dict[str, Principal], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets, name = pipeline.cloud.client("secretsmanager"), pipeline.cloud.outputs["ApiSecretArn"]
    made = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    assert (len(made["jwt_secret"]), made["users"]) == (64, {})
    users = {"ana": hash_password("a password of some length")}
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps({**made, "users": users}))
    for variable, value in (pipeline.cloud.aws_environment | principals["ApiAccess"].environment).items():
        monkeypatch.setenv(variable, value)
    for variable in ("BOVESPA_RAW_BUCKET", "BOVESPA_REFINED_BUCKET"):
        monkeypatch.setenv(variable, pipeline.environment[variable])
    monkeypatch.setenv("BOVESPA_SECRET_ID", name)
    settings = settings_from_environ()
    assert (settings.jwt_secret, dict(settings.users)) == (made["jwt_secret"], users)

    monkeypatch.setenv("BOVESPA_SECRET_ID", "others/api")
    with pytest.raises(ConfigurationError, match=r"others/api.*AccessDenied.*BOVESPA_SECRET_ID"):
        settings_from_environ()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="no answer"):
        settings_from_environ()


def test_the_doctor_needs_no_more_than_the_api(
    pipeline: Pipeline, principals: dict[str, Principal], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (pipeline.environment | principals["ApiAccess"].environment).items():
        monkeypatch.setenv(variable, value)
    asked = "doctor --index GPTW --trading-days --from 2025-02-24 --to 2025-02-25 --json"
    answer = create_app().test_cli_runner().invoke(args=asked.split())
    assert "refused" not in answer.output
    assert isinstance(json.loads(answer.stdout), dict), answer.output
