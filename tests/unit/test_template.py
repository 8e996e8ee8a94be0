"""The template against the rules of the project: nobody may do everything, nothing is public, the schemas agree."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from bovespa import layout
from bovespa.layout import (
    IMPORT_PREFIX,
    IMPORT_SUFFIX,
    PORTFOLIO_PREFIX,
    QUARANTINE_PREFIX,
    RAW_SUFFIX,
    TRADING_PREFIX,
    CompactYear,
    Import,
    RefinedPartition,
    Session,
    TradingDay,
    quarantine_key,
)
from bovespa.portfolio_csv import _HEADINGS, _REDUCTOR_LABEL, _TOTAL_LABEL
from bovespa.settings import Settings
from glue.schema import (
    COMPACT_TABLES,
    HOLDINGS,
    PARTITION_COLUMNS,
    RAW_COLUMNS,
    REFINED_COLUMNS,
    SECTORS,
    TRADING,
    TRADING_RAW_COLUMNS,
    Columns,
    CompactTable,
    arrow_schema,
)
from infrastructure.package import build
from infrastructure.template import TEMPLATE, read
from s3_bucket_manager.raw_parquet import RAW_SCHEMA
from s3_bucket_manager.trading_parquet import TRADING_SCHEMA

DAY = TradingDay(dt.date(2025, 2, 3))
TEXT = TEMPLATE.read_text(encoding="utf-8")
SOURCE = read(TEXT)
RESOURCES: dict[str, Any] = SOURCE["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    found = {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}
    assert found, f"no {kind} in the template"
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def granted() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement that allows something to somebody."""
    for name, resource in RESOURCES.items():
        properties = resource["Properties"]
        documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        for document in documents:
            for statement in document["Statement"]:
                if statement["Effect"] == "Allow":
                    yield name, statement


GRANTED = [pytest.param(statement, id=f"{name}-{statement['Sid']}") for name, statement in granted()]


WITHOUT_RESOURCE = {"athena:ListDataCatalogs", "athena:ListEngineVersions", "athena:ListWorkGroups"}
"""Calls that AWS allows for everything or not at all; all of them only list."""


@pytest.mark.parametrize("statement", GRANTED)
def test_no_statement_grants_every_action_or_resource(statement: dict[str, Any]) -> None:
    assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement)
    for action in as_list(statement["Action"]):
        assert "*" not in action
    if set(as_list(statement["Action"])) <= WITHOUT_RESOURCE:
        return
    for resource in as_list(statement["Resource"]):
        arn = resource if isinstance(resource, str) else next(iter(resource.values()))
        # An ARN may end in a wildcard below something named, and nowhere else.
        assert arn != "*"
        assert ":*" not in arn
        assert "*" not in arn[:-1]


def test_every_role_trusts_one_service() -> None:
    trusted = {
        name: role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
        for name, role in of_type("AWS::IAM::Role").items()
    }
    assert trusted == {
        "StartRefineRole": {"Service": "lambda.amazonaws.com"},
        "RefineRole": {"Service": "glue.amazonaws.com"},
        "WatchRole": {"Service": "lambda.amazonaws.com"},
        "WatchScheduleRole": {"Service": "scheduler.amazonaws.com"},
    }


def test_the_function_may_start_the_job_and_nothing_else_of_glue() -> None:
    actions = [
        action for name, statement in granted() if name == "StartRefineRole" for action in as_list(statement["Action"])
    ]
    assert sorted(actions) == [
        "glue:StartJobRun",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "sqs:SendMessage",
    ]


def test_the_function_may_read_raw_portfolios_and_trading_days_and_no_other_object() -> None:
    (statement,) = [
        found for name, found in granted() if name == "StartRefineRole" and "s3:Get" in str(found["Action"])
    ]
    assert [found["Fn::Sub"].rpartition(":::")[2] for found in statement["Resource"]] == [
        f"${{Name}}-raw-${{AWS::AccountId}}-${{AWS::Region}}/{prefix}*" for prefix in (PORTFOLIO_PREFIX, TRADING_PREFIX)
    ]


def test_the_job_cannot_change_raw_objects() -> None:
    writes = {
        action
        for name, statement in granted()
        if name == "RefineRole"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if "${RawBucket}" in str(resource) and not action.startswith(("s3:Get", "s3:List"))
    }
    assert writes == set()


def test_the_api_may_write_where_its_keys_are() -> None:
    (statement,) = [found for name, found in granted() if name == "ApiAccess" and found["Sid"] == "StoreSessions"]
    allowed = [resource["Fn::Sub"].partition("${RawBucket}/")[2] for resource in statement["Resource"]]
    session = Session.parse("IBOV/2025-02-03")
    refused = quarantine_key(dt.datetime(2025, 2, 3, 9, tzinfo=dt.UTC), "0f", ".csv")
    keys = [session.raw_key, session.source_key("0f"), DAY.raw_key, DAY.source_key("0f", ".zip"), refused]
    assert [[key.startswith(prefix.removesuffix("*")) for prefix in allowed].count(True) for key in keys] == [1] * 5
    (manifests,) = [found for name, found in granted() if name == "ApiAccess" and found["Sid"] == "AnnounceImports"]
    assert manifests["Action"] == "s3:PutObject"
    assert manifests["Resource"] == {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::${{RawBucket}}/{IMPORT_PREFIX}*"}


@pytest.mark.parametrize("name", of_type("AWS::S3::Bucket"))
def test_every_bucket_is_private_encrypted_and_reached_by_tls_only(name: str) -> None:
    bucket = RESOURCES[name]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    (policy,) = [found for found in of_type("AWS::S3::BucketPolicy").values() if found["Bucket"] == {"Ref": name}]
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [{"Fn::GetAtt": f"{name}.Arn"}, {"Fn::Sub": f"${{{name}.Arn}}/*"}],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


@pytest.mark.parametrize("name", ["RawBucket", "RefinedBucket"])
def test_data_is_versioned(name: str) -> None:
    assert RESOURCES[name]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


@pytest.mark.parametrize("name", of_type("AWS::S3::Bucket"))
def test_every_bucket_outlives_the_stack(name: str) -> None:
    """Data shall, and S3 refuses to delete any other that is not empty, which would fail the deletion of the stack."""
    bucket = RESOURCES[name]
    # RetainExceptOnCreate is Retain, but for the roll-back of a first creation.
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def expiring(bucket: str) -> dict[str, set[str]]:
    """What ends by itself in a bucket: the names of the ends, by prefix; an empty prefix is the whole bucket."""
    rules = RESOURCES[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert len({rule["Id"] for rule in rules}) == len(rules)
    return {
        prefix: {
            end for rule in rules if rule.get("Prefix", "") == prefix for end in set(rule) - {"Id", "Status", "Prefix"}
        }
        for prefix in {rule.get("Prefix", "") for rule in rules}
    }


def test_in_the_raw_bucket_refused_files_and_replaced_versions_expire_and_nothing_else() -> None:
    assert expiring("RawBucket") == {
        PORTFOLIO_PREFIX: {"NoncurrentVersionExpiration"},
        TRADING_PREFIX: {"NoncurrentVersionExpiration"},
        QUARANTINE_PREFIX: {"ExpirationInDays", "NoncurrentVersionExpiration"},
        "": {"AbortIncompleteMultipartUpload"},
    }
    for rule in RESOURCES["RawBucket"]["Properties"]["LifecycleConfiguration"]["Rules"][:2]:
        assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 365
    # B3's bytes: no rule names them, and no rule for everything ends an object.
    assert not DAY.source_key("0f", ".zip").startswith((PORTFOLIO_PREFIX, TRADING_PREFIX, QUARANTINE_PREFIX))


def test_answers_of_queries_expire() -> None:
    assert expiring("ResultsBucket") == {"": {"ExpirationInDays", "AbortIncompleteMultipartUpload"}}


def test_current_refined_objects_do_not_expire() -> None:
    (rule,) = RESOURCES["RefinedBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert not {"ExpirationInDays", "ExpirationDate"} & set(rule)


def test_the_notification_announces_exactly_the_raw_keys() -> None:
    notifications = RESOURCES["RawBucket"]["Properties"]["NotificationConfiguration"]["LambdaConfigurations"]
    assert notifications == [
        {
            "Event": "s3:ObjectCreated:*",
            "Function": {"Fn::GetAtt": "StartRefine.Arn"},
            "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": prefix}, {"Name": "suffix", "Value": suffix}]}},
        }
        for prefix, suffix in (
            (PORTFOLIO_PREFIX, RAW_SUFFIX),
            (TRADING_PREFIX, RAW_SUFFIX),
            (IMPORT_PREFIX, IMPORT_SUFFIX),
        )
    ]
    assert DAY.raw_key.startswith(TRADING_PREFIX)
    made_by = Import("0f")
    assert made_by.key.startswith(IMPORT_PREFIX)
    assert made_by.key.endswith(IMPORT_SUFFIX)


def test_only_the_raw_bucket_of_this_account_may_invoke_the_function() -> None:
    (permission,) = of_type("AWS::Lambda::Permission").values()
    name = RESOURCES["RawBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    assert permission == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "StartRefine"},
        "Principal": "s3.amazonaws.com",
        "SourceAccount": {"Ref": "AWS::AccountId"},
        "SourceArn": {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::{name}"},
    }
    assert RESOURCES["RawBucket"]["DependsOn"] == "RawBucketMayInvokeStartRefine"


def test_the_function_names_the_bucket_and_the_job_of_this_stack() -> None:
    assert RESOURCES["StartRefine"]["Properties"]["Environment"]["Variables"] == {
        "GLUE_JOB_NAME": RESOURCES["RefineJob"]["Properties"]["Name"],
        "RAW_BUCKET_NAME": RESOURCES["RawBucket"]["Properties"]["BucketName"],
    }


@pytest.mark.parametrize("function", of_type("AWS::Lambda::Function"))
def test_the_handler_exists_in_the_package(function: str) -> None:
    module, _, name = RESOURCES[function]["Properties"]["Handler"].rpartition(".")
    with zipfile.ZipFile(io.BytesIO(build().lambda_package.content)) as archive:
        source = archive.read(f"{module.replace('.', '/')}.py").decode()
    assert f"def {name}(event" in source


def test_failed_events_are_tried_twice_more_and_then_kept() -> None:
    (retries,) = of_type("AWS::Lambda::EventInvokeConfig").values()
    assert retries["MaximumRetryAttempts"] == 2
    assert retries["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": "StartRefineFailures.Arn"}}}
    queue = RESOURCES["StartRefineFailures"]["Properties"]
    assert (queue["SqsManagedSseEnabled"], queue["MessageRetentionPeriod"]) == (True, 14 * 24 * 3600)


def test_the_job_queues_its_runs_and_gets_its_arguments() -> None:
    job = RESOURCES["RefineJob"]["Properties"]
    assert (job["GlueVersion"], job["Command"]["Name"], job["JobRunQueuingEnabled"]) == ("5.1", "glueetl", True)
    assert job["MaxRetries"] == 0, "Glue does not queue the runs of a job that retries"
    arguments = job["DefaultArguments"]
    assert arguments["--raw_bucket"] == {"Ref": "RawBucket"}
    assert arguments["--refined_bucket"] == {"Ref": "RefinedBucket"}
    assert arguments["--database"] == {"Ref": "Database"}
    assert "--sessions" not in arguments


def test_the_names_are_those_that_the_settings_default_to() -> None:
    name = SOURCE["Parameters"]["Name"]["Default"]
    assert name == Settings.database
    assert RESOURCES["RefineJob"]["Properties"]["Name"]["Fn::Sub"].replace("${Name}", name) == Settings.glue_job


def test_the_indexes_to_collect_are_spelled_as_in_the_keys() -> None:
    pattern = SOURCE["Parameters"]["IndexCodes"]["AllowedPattern"]
    assert pattern == f"{layout.INDEX_CODE}(,{layout.INDEX_CODE})*"


def test_packages_have_the_parameters_of_the_template() -> None:
    assert set(build().parameters) < set(SOURCE["Parameters"])


TABLES = [table["TableInput"] for table in of_type("AWS::Glue::Table").values()]
TABLE = RESOURCES["PortfolioTable"]["Properties"]["TableInput"]
COLUMNS = TABLE["StorageDescriptor"]["Columns"]


def test_the_columns_are_those_that_the_job_writes() -> None:
    assert tuple((column["Name"], column["Type"]) for column in COLUMNS) == REFINED_COLUMNS


def test_the_doctor_and_the_job_know_the_same_compact_tables() -> None:
    assert tuple(table.name for table in COMPACT_TABLES) == layout.COMPACT_TABLE_NAMES
    assert TRADING.name == layout.TRADING_TABLE
    assert SECTORS.name == layout.SECTORS_TABLE


@pytest.mark.parametrize("table", [*COMPACT_TABLES, TRADING], ids=lambda table: table.name)
def test_the_compact_tables_are_those_that_the_job_writes(table: CompactTable) -> None:
    declared = {one["TableInput"]["Name"]: one["TableInput"] for one in of_type("AWS::Glue::Table").values()}[
        table.name
    ]
    columns = declared["StorageDescriptor"]["Columns"]
    assert tuple((column["Name"], column["Type"]) for column in columns) == table.columns
    assert tuple((key["Name"], key["Type"]) for key in declared["PartitionKeys"]) == table.partition_keys
    subject = Session("IBOV", DAY.session_date) if table.is_by_index else DAY
    in_path = re.findall("([a-z_]+)=", CompactYear.of(table.name, subject).prefix)
    assert in_path == [key["Name"] for key in declared["PartitionKeys"]]
    assert declared["StorageDescriptor"]["Location"] == {"Fn::Sub": f"s3://${{RefinedBucket}}/{table.name}/"}
    comments = {column["Name"]: column["Comment"] for column in COLUMNS}
    shown = {column["Name"]: column["Comment"] for column in columns}
    if table is HOLDINGS:
        assert {name: shown[name] for name in comments} == comments


@pytest.mark.parametrize(("read", "written"), [(RAW_COLUMNS, RAW_SCHEMA), (TRADING_RAW_COLUMNS, TRADING_SCHEMA)])
def test_the_job_reads_the_columns_of_a_raw_object_that_the_store_writes(read: Columns, written: pa.Schema) -> None:
    """Names, types and order; in a file of the store some are not null, which the job takes as it comes."""
    assert [(field.name, field.type) for field in arrow_schema(read)] == [(field.name, field.type) for field in written]


@pytest.mark.parametrize("prefix", [TRADING_PREFIX, PORTFOLIO_PREFIX])
def test_the_job_may_read_what_it_is_started_for(prefix: str) -> None:
    (statement,) = [found for name, found in granted() if name == "RefineRole" and found["Sid"] == "ReadRawSessions"]
    assert {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::${{RawBucket}}/{prefix}*"} in statement["Resource"]


@pytest.mark.parametrize(
    ("role", "sid"), [("RefineRole", "ReplaceRefinedSessions"), ("AnalystAccess", "ReadRefinedSessions")]
)
def test_every_table_is_within_the_rights_of_who_writes_and_of_who_asks(role: str, sid: str) -> None:
    (statement,) = [found for name, found in granted() if name == role and found["Sid"] == sid]
    allowed = {
        resource["Fn::Sub"].rpartition("/")[0].rpartition("/")[2] + "/*"
        for resource in statement["Resource"]
        if "${RefinedBucket}/" in resource["Fn::Sub"]
    }
    assert allowed - {"receipts/*"} == {f"{table['Name']}/*" for table in TABLES}


@pytest.mark.parametrize(("role", "sid"), [("RefineRole", "RegisterPartitions"), ("ApiAccess", "ComparePartitions")])
def test_every_table_has_its_partitions_registered_and_compared(role: str, sid: str) -> None:
    (statement,) = [found for name, found in granted() if name == role and found["Sid"] == sid]
    named = re.findall(r"table/\$\{Database\}/\$\{(\w+)\}", str(statement["Resource"]))
    assert sorted(named) == sorted(of_type("AWS::Glue::Table"))


def test_the_partition_keys_are_those_of_the_path() -> None:
    keys = tuple((key["Name"], key["Type"]) for key in TABLE["PartitionKeys"])
    assert keys == PARTITION_COLUMNS
    partition = RefinedPartition(Session.parse("IBOV/2025-02-03"), "PETR4")
    in_path = [part.partition("=")[0] for part in partition.prefix.split("/") if "=" in part]
    assert in_path == [name for name, _ in keys]
    assert TABLE["StorageDescriptor"]["Location"] == {"Fn::Sub": "s3://${RefinedBucket}/portfolio/"}
    assert partition.prefix.startswith("portfolio/")


def test_no_column_is_also_a_partition_key() -> None:
    assert not {column["Name"] for column in COLUMNS} & {key["Name"] for key in TABLE["PartitionKeys"]}


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(column, id=f"{table['Name']}.{column['Name']}")
        for table in TABLES
        for column in (*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"])
    ],
)
def test_every_column_is_named_in_lower_case_and_explained(column: dict[str, str]) -> None:
    assert column["Name"] == column["Name"].lower()
    assert 20 < len(column["Comment"]) <= 255
    assert column["Comment"].endswith(".")


@pytest.mark.parametrize(
    "term",
    sorted({*";".join(headings[0] for headings in _HEADINGS.values()).split(";"), _REDUCTOR_LABEL, _TOTAL_LABEL}),
)
def test_every_heading_of_b3_is_found_in_a_comment(term: str) -> None:
    columns = [one for table in TABLES for one in (*table["StorageDescriptor"]["Columns"], *table["PartitionKeys"])]
    assert any(f"({term}" in column["Comment"] for column in columns)


def test_the_table_is_not_projected() -> None:
    assert TABLE["Parameters"]["partition_filtering.enabled"] == "true"
    assert not [name for name in TABLE["Parameters"] if name.startswith("projection.")]


def test_the_workgroup_enforces_its_place_its_encryption_and_its_limit() -> None:
    (workgroup,) = of_type("AWS::Athena::WorkGroup").values()
    rules = workgroup["WorkGroupConfiguration"]
    assert rules["EnforceWorkGroupConfiguration"] is True
    assert rules["BytesScannedCutoffPerQuery"] > 0
    assert rules["ResultConfiguration"]["OutputLocation"] == {"Fn::Sub": "s3://${ResultsBucket}/answers/"}
    assert rules["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
