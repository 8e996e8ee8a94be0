"""Named queries and views, as deploy brings them to a workgroup and a database, and leaves other people's alone."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import infrastructure.deploy
from infrastructure.athena_queries import named_queries, views
from infrastructure.publish import VIEW_MARK, Publication, saved_queries
from infrastructure.steps import DeploymentFailed
from local.athena import ask
from local.cloud import Cloud, running_cloud
from local.named_queries import UnknownQuery, named, queries_of

ONE = "-- Which is one?\nSELECT 1 AS one\n"
TWO = "-- Which is two?\nSELECT 2 AS two\n"
ROW = "-- One row per number.\nSELECT 1 AS number\n"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """A cloud of this module's own: what it publishes is nobody else's."""
    with running_cloud(warm=False) as running:
        yield running


class Place:
    """A workgroup and a database with nothing in them but a table, and a folder of files to publish."""

    def __init__(self, cloud: Cloud, folder: Path, name: str) -> None:
        self.client = cloud.client
        self.athena, self.glue = cloud.client("athena"), cloud.client("glue")
        self.folder, self.name = folder, name
        (folder / "views").mkdir()
        location = f"s3://{cloud.outputs['ResultsBucketName']}/answers/{name}/"
        self.athena.create_work_group(Name=name, Configuration={"ResultConfiguration": {"OutputLocation": location}})
        self.glue.create_database(DatabaseInput={"Name": name})
        self.glue.create_table(DatabaseName=name, TableInput=self.table("int"))

    @staticmethod
    def table(kind: str) -> dict[str, Any]:
        serde = {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}
        columns = [{"Name": "number", "Type": kind}]
        storage = {"Columns": columns, "Location": "s3://nowhere/numbers/", "SerdeInfo": serde}
        return {"Name": "numbers", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}

    def write(self, **texts: str) -> None:
        """Write files: those whose names begin with `view_` are views."""
        for name, text in texts.items():
            folder = self.folder / "views" if name.startswith("view_") else self.folder
            (folder / f"{name}.sql").write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        folder = self.folder / "views" if name.startswith("view_") else self.folder
        (folder / f"{name}.sql").unlink()

    def publish(self) -> list[str]:
        """Publish the files; return what was reported, which must be what was announced."""
        lines: list[str] = []
        publication = Publication(self.client, named_queries(self.folder), views(self.folder / "views"), lines.append)
        outputs = {"WorkgroupName": self.name, "DatabaseName": self.name}
        announced = publication.changes(outputs)
        assert lines == []
        publication.publish(outputs)
        assert lines == [str(change) for change in announced]
        return [" ".join(line.split()) for line in lines]

    def saved(self) -> dict[str, dict[str, Any]]:
        found = saved_queries(self.athena, self.name)
        assert len({query["Name"] for query in found}) == len(found)
        return {query["Name"]: query for query in found}

    def save(self, name: str, sql: str, description: str | None = None) -> str:
        """Save a query as an analyst does in the console."""
        said = {} if description is None else {"Description": description}
        query_id: str = self.athena.create_named_query(
            Name=name, QueryString=sql, Database=self.name, WorkGroup=self.name, **said
        )["NamedQueryId"]
        return query_id

    def ask(self, sql: str) -> Any:
        return ask(self.athena, sql, database=self.name, workgroup=self.name)

    def tables(self) -> dict[str, dict[str, Any]]:
        return {table["Name"]: table for table in self.glue.get_tables(DatabaseName=self.name)["TableList"]}


@pytest.fixture
def place(cloud: Cloud, tmp_path: Path) -> Place:
    return Place(cloud, tmp_path, f"place_{uuid.uuid4().hex}")


# ------------------------------------------------------------------------------------------------------ named queries


def test_a_query_file_becomes_a_named_query_with_its_text(place: Place) -> None:
    place.write(one=ONE, two=TWO)
    assert place.publish() == ["Add one named query", "Add two named query"]
    (one, two) = place.saved().values()
    assert (one["QueryString"], two["QueryString"]) == (ONE, TWO)
    assert (one["Database"], one["WorkGroup"]) == (place.name, place.name)
    assert one["Description"] == "Which is one? (deployed from athena/one.sql)"


def test_publishing_again_changes_nothing(place: Place) -> None:
    place.write(one=ONE, view_a=ROW, view_b="-- One row per number.\nSELECT number FROM view_a\n")
    assert len(place.publish()) == 3
    saved, tables = place.saved(), place.tables()
    assert place.publish() == []
    assert (place.saved(), place.tables()) == (saved, tables)


def test_a_changed_query_keeps_its_identity(place: Place) -> None:
    place.write(one=ONE, two=TWO)
    place.publish()
    before = place.saved()
    place.write(one=ONE.replace("1 AS", "11 AS"))
    assert place.publish() == ["Modify one named query"]
    after = place.saved()
    assert after["one"] == {**before["one"], "QueryString": ONE.replace("1 AS", "11 AS")}
    assert after["two"] == before["two"]
    place.write(one=ONE.replace("Which is", "What is"))
    assert place.publish() == ["Modify one named query"]
    assert place.saved()["one"]["Description"].startswith("What is one? ")


def test_a_query_that_somebody_edited_in_place_is_put_right(place: Place) -> None:
    place.write(one=ONE)
    place.publish()
    saved = place.saved()["one"]
    place.athena.update_named_query(
        NamedQueryId=saved["NamedQueryId"],
        Name="one",
        Description=saved["Description"],
        QueryString="SELECT 3",
    )
    assert place.publish() == ["Modify one named query"]
    assert place.saved()["one"] == saved


def test_a_query_without_a_file_is_removed(place: Place) -> None:
    place.write(one=ONE, two=TWO)
    place.publish()
    place.remove("one")
    assert place.publish() == ["Remove one named query"]
    assert list(place.saved()) == ["two"]


def test_what_analysts_saved_is_left_alone(place: Place) -> None:
    place.write(one=ONE)
    place.publish()
    deployed = place.saved()["one"]
    mine = {
        place.save("mine", "SELECT 4 AS four", "My own."),
        place.save("without description", "SELECT 5 AS five"),
        # "Save as" keeps the description.
        place.save("one copied", "SELECT 6 AS six", deployed["Description"]),
        # The same name as a deployed one, but not deploy's.
        place.save("one", "SELECT 7 AS seven", "My own one."),
    }
    place.write(one=ONE.replace("1 AS", "11 AS"))
    assert place.publish() == ["Modify one named query"]
    place.remove("one")
    assert place.publish() == ["Remove one named query"]
    left = saved_queries(place.athena, place.name)
    assert {query["NamedQueryId"] for query in left} == mine
    assert [query["QueryString"].split()[1] for query in left] == ["4", "5", "6", "7"]


def test_more_queries_than_athena_gives_at_once_are_all_seen(place: Place) -> None:
    place.write(**{f"q{number:03d}": ONE for number in range(60)})
    assert len(place.publish()) == 60
    assert place.publish() == []
    place.remove("q059")
    assert place.publish() == ["Remove q059 named query"]


def test_doubles_that_two_deployments_left_become_one(place: Place) -> None:
    place.write(one=ONE)
    place.publish()
    place.save("one", ONE, place.saved()["one"]["Description"])
    assert place.publish() == ["Remove one named query"]
    assert list(place.saved()) == ["one"]


# -------------------------------------------------------------------------------------------------------------- views


def test_a_view_file_becomes_a_view_that_says_what_its_rows_are(place: Place) -> None:
    place.write(view_b="-- One row per number.\n-- Of a.\nSELECT number + 1 AS next FROM view_a\n", view_a=ROW)
    assert place.publish() == ["Add view_a view", "Add view_b view"]
    assert place.ask("SELECT next FROM view_b").rows == ((2,),)
    table = place.tables()["view_b"]
    assert (table["TableType"], table["Description"]) == ("VIRTUAL_VIEW", "One row per number.")
    assert place.tables()["view_a"]["StorageDescriptor"]["Columns"] == [{"Name": "number", "Type": "int"}]


def test_a_changed_view_is_replaced_and_those_over_it_are_made_anew(place: Place) -> None:
    place.write(
        view_a=ROW, view_b="-- One row per number.\nSELECT number FROM view_a\n", view_c=ROW.replace("number\n", "c\n")
    )
    place.publish()
    # A view over one whose column has another type is stale.
    place.write(view_a=ROW.replace("1 AS", "'one' AS"))
    assert place.publish() == ["Modify view_a view", "Modify view_b view"]
    assert place.ask("SELECT number FROM view_b").rows == (("one",),)


def test_a_view_is_made_anew_when_a_table_under_it_changes(place: Place) -> None:
    place.write(view_n="-- One row per number.\nSELECT number FROM numbers\n", view_a=ROW)
    place.publish()
    place.glue.update_table(DatabaseName=place.name, TableInput=place.table("bigint"))
    assert place.publish() == ["Modify view_n view"]
    assert place.tables()["view_n"]["StorageDescriptor"]["Columns"] == [{"Name": "number", "Type": "bigint"}]
    assert place.publish() == []


def test_a_view_that_somebody_replaced_is_put_right(place: Place) -> None:
    place.write(view_a=ROW)
    place.publish()
    place.ask("CREATE OR REPLACE VIEW view_a AS SELECT 9 AS number")
    assert place.publish() == ["Modify view_a view"]
    assert place.ask("SELECT number FROM view_a").rows == ((1,),)
    # Even if Athena kept the mark on the replaced view.
    mark = place.tables()["view_a"]["Parameters"][VIEW_MARK]
    place.ask("CREATE OR REPLACE VIEW view_a AS SELECT 9 AS number")
    changed = place.tables()["view_a"]
    kept = ("Name", "StorageDescriptor", "TableType", "ViewOriginalText", "ViewExpandedText")
    changed = {part: changed[part] for part in kept} | {"Parameters": {**changed["Parameters"], VIEW_MARK: mark}}
    place.glue.update_table(DatabaseName=place.name, TableInput=changed)
    assert place.publish() == ["Modify view_a view"]


def test_a_view_without_a_file_is_dropped_and_other_peoples_stay(place: Place) -> None:
    place.write(view_a=ROW, view_b=ROW)
    place.publish()
    place.ask("CREATE VIEW mine AS SELECT number FROM view_b")
    place.remove("view_a")
    assert place.publish() == ["Remove view_a view"]
    assert place.tables().keys() == {"mine", "numbers", "view_b"}


def test_a_view_with_the_name_of_a_table_is_refused_before_anything_is_done(place: Place) -> None:
    place.write(one=ONE)
    (place.folder / "views" / "numbers.sql").write_text(ROW, encoding="utf-8")
    with pytest.raises(DeploymentFailed, match=r"numbers is a table; give athena/views/numbers.sql another name"):
        place.publish()
    assert place.saved() == {}


def test_a_view_that_athena_refuses_is_named_with_the_reason(place: Place) -> None:
    place.write(view_a="-- One row per number.\nSELECT nothing FROM numbers\n")
    with pytest.raises(DeploymentFailed, match=r"refuses the view view_a: COLUMN_NOT_FOUND.*nothing"):
        place.publish()


# ------------------------------------------------------------------------------------------------------------- deploy


@pytest.fixture
def _in_the_cloud(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cloud.aws_environment.items():
        monkeypatch.setenv(name, value)


def deploy(*arguments: str) -> int:
    return infrastructure.deploy.main(list(arguments))


def names_in(cloud: Cloud) -> set[str]:
    saved = {query["Name"] for query in saved_queries(cloud.client("athena"), "bovespa")}
    tables = cloud.client("glue").get_tables(DatabaseName="bovespa")["TableList"]
    return saved | {table["Name"] for table in tables if table["TableType"] == "VIRTUAL_VIEW"}


EVERYTHING = {query.name for query in named_queries()} | {view.name for view in views()}


@pytest.mark.usefixtures("_in_the_cloud")
def test_deploy_publishes_and_the_second_time_changes_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert names_in(cloud) == EVERYTHING, "the local cloud was deployed"
    before = saved_queries(cloud.client("athena"), "bovespa"), cloud.client("glue").get_tables(DatabaseName="bovespa")
    assert deploy("--yes") == 0
    said = capsys.readouterr().err
    assert "bovespa is up to date" in said
    assert not {"Add", "Modify", "Remove"} & set(said.split())
    after = saved_queries(cloud.client("athena"), "bovespa"), cloud.client("glue").get_tables(DatabaseName="bovespa")
    assert (after[0], after[1]["TableList"]) == (before[0], before[1]["TableList"])


@pytest.mark.usefixtures("_in_the_cloud")
def test_a_dry_run_and_a_refusal_publish_nothing(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (lost, *_) = saved_queries(cloud.client("athena"), "bovespa")
    cloud.client("athena").delete_named_query(NamedQueryId=lost["NamedQueryId"])
    ask(cloud.client("athena"), f"DROP VIEW {views()[0].name}")
    left = names_in(cloud)
    assert left == EVERYTHING - {lost["Name"], views()[0].name}
    expected = {f"Add     {lost['Name']} named query", f"Add     {views()[0].name} view"}
    assert deploy("--dry-run") == 0
    said = capsys.readouterr().err.splitlines()
    assert expected <= set(said)
    assert said[-1] == "Nothing was changed."
    assert names_in(cloud) == left

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert deploy() == 0
    assert names_in(cloud) == left
    assert "Make these changes to bovespa? [y/N]" in capsys.readouterr().err

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert deploy() == 0
    assert names_in(cloud) == EVERYTHING


@pytest.mark.usefixtures("_in_the_cloud")
def test_a_dry_run_for_a_new_stack_announces_every_query_and_view(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy("--stack", "another", "--parameter", "Name=another", "--dry-run") == 0
    said = {" ".join(line.split()) for line in capsys.readouterr().err.splitlines()}
    assert {f"Add {query.name} named query" for query in named_queries()} <= said
    assert {f"Add {view.name} view" for view in views()} <= said
    assert "Add Workgroup AWS::Athena::WorkGroup" in said
    with pytest.raises(ClientError):
        cloud.client("athena").get_work_group(WorkGroup="another")


# ------------------------------------------------------------------------------------------------------ asked by name


def test_queries_of_a_workgroup_are_those_of_the_files_and_everybodys(place: Place) -> None:
    place.write(one=ONE, two=TWO)
    place.publish()
    place.save("mine", "SELECT 4 AS four", "My own.")
    place.save("two", "SELECT 7 AS seven", "My own two.")
    found = queries_of(place.athena, place.name)
    assert [(query.name, query.question, query.sql, query.parameters) for query in found] == [
        ("mine", "My own.", "SELECT 4 AS four\n", ()),
        ("one", "Which is one?", ONE, ()),
        ("two", "Which is two?", TWO, ()),
    ]
    assert named(found, "one").sql == ONE
    with pytest.raises(UnknownQuery, match=r"no named query 'oen'. Did you mean one\? There are: mine, one, two."):
        named(found, "oen")
    with pytest.raises(UnknownQuery, match=r"no named query 'zzzz'. There are"):
        named(found, "zzzz")


def test_updating_a_query_that_is_not_there_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="InvalidRequestException"):
        cloud.client("athena").update_named_query(NamedQueryId="0" * 36, Name="x", QueryString="SELECT 1")


@pytest.mark.parametrize("query", named_queries(), ids=lambda query: query.name)
def test_every_deployed_query_is_understood_by_the_local_athena(query: Any, cloud: Cloud) -> None:
    deployed = named(queries_of(cloud.client("athena")), query.name)
    assert deployed == query
    assert ask(cloud.client("athena"), deployed.sql).columns
