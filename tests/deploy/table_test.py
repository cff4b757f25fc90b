"""Tests infra/table.py with a DynamoDB and a CloudFormation that refuse what AWS refuses, which the emulator does not.

    python tests/deploy/table_test.py

`Tables` restores and changes tables slowly, describes changes late, and refuses a second change meanwhile. `Stacks`
evaluates conditions, and imports only a table with a literal name. The tests kill the script before and after each
request, and start it again. tests/deploy/deploy.py runs the same script with an emulator of AWS.

Needs boto3.
"""

import copy
import json
import sys
import unittest
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra"))
import table  # noqa: E402

KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
ARN = "arn:aws:dynamodb:eu-central-1:000000000000:table/"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Killed(BaseException):
    """Ends a run, as a signal does."""


class Service:
    """Counts requests, and kills the run before or after one of them."""

    def __init__(self):
        self.requests, self.kill_at, self.after = [], None, False

    def __getattribute__(self, name):
        found = object.__getattribute__(self, name)
        operation = name if callable(found) and not name.startswith("_") else None
        if operation is None:
            return found

        def request(**arguments):
            self.requests.append(operation)
            kill = self.kill_at == len(self.requests)
            if kill and not self.after:
                raise Killed
            response = found(**arguments)
            if kill:
                raise Killed
            return response

        return request

    def _refuse(self, code, message=""):
        raise ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class Tables(Service):
    """DynamoDB. A change takes `SLOW` descriptions, and `STALE` of them still show the table as it was."""

    SLOW, STALE = 3, 1

    def __init__(self):
        super().__init__()
        self.tables = {"roster": {"status": "ACTIVE", "busy": 0, "keys": KEYS}}
        self.refused = []

    def _table(self, name):
        return self.tables.get(name) or self._refuse("ResourceNotFoundException")

    def restore_table_to_point_in_time(self, SourceTableName, TargetTableName, **moment):
        if SourceTableName not in self.tables:
            self._refuse("TableNotFoundException")
        if TargetTableName in self.tables:
            self._refuse("TableAlreadyExistsException")
        summary = {"SourceTableArn": ARN + SourceTableName, "RestoreDateTime": moment.get("RestoreDateTime", NOON)}
        restored = {"status": "CREATING", "busy": self.SLOW, "keys": KEYS, "backups": self.SLOW, "hidden": 2}
        self.tables[TargetTableName] = {**restored, "summary": summary}

    def describe_table(self, TableName):
        it = self._table(TableName)
        if it.get("hidden"):
            it["hidden"] -= 1
            self._refuse("ResourceNotFoundException")
        shown = it["before"] if it.get("stale") else it
        it["stale"] = max(0, it.get("stale", 0) - 1)
        description = {
            "TableName": TableName,
            "TableStatus": shown["status"],
            "KeySchema": it["keys"],
            "GlobalSecondaryIndexes": [{"IndexName": "by_due", "KeySchema": KEYS, "IndexStatus": shown["status"]}],
            "DeletionProtectionEnabled": shown.get("protected", False),
            **({"RestoreSummary": it["summary"]} if "summary" in it else {}),
            **({"StreamSpecification": shown["stream"]} if "stream" in shown else {}),
            **({"LatestStreamArn": f"{ARN}{TableName}/stream/1"} if "stream" in shown else {}),
        }
        it["busy"] = max(0, it["busy"] - 1)
        if it["busy"] == 0 and it["status"] in ("CREATING", "UPDATING"):
            it["status"] = "ACTIVE"
        return {"Table": description}

    def update_table(self, TableName, StreamSpecification=None, DeletionProtectionEnabled=None):
        it = self._table(TableName)
        if it["status"] != "ACTIVE":
            self.refused.append(it["status"])
            self._refuse("ResourceInUseException", "Attempt to change a resource which is still in use")
        if StreamSpecification and "stream" in it:
            self.refused.append("stream")
            self._refuse("ValidationException", f"Table already has an enabled stream: TableName: {TableName}")
        it["before"] = {key: value for key, value in it.items() if key != "before"}
        it.update(status="UPDATING", busy=self.SLOW, stale=self.STALE)
        if StreamSpecification:
            it["stream"] = StreamSpecification
        if DeletionProtectionEnabled is not None:
            it["protected"] = DeletionProtectionEnabled

    def describe_time_to_live(self, TableName):
        it = self._table(TableName)
        status = "ENABLING" if "ttl" in it and not it.get("stale") else "DISABLED"
        it["stale"] = max(0, it.get("stale", 0) - 1)
        return {"TimeToLiveDescription": {"TimeToLiveStatus": status, "AttributeName": it.get("ttl")}}

    def update_time_to_live(self, TableName, TimeToLiveSpecification):
        it = self._table(TableName)
        if "ttl" in it:
            self.refused.append("ttl")
            self._refuse("ValidationException", "TimeToLive is already enabled")
        it.update(ttl=TimeToLiveSpecification["AttributeName"], stale=self.STALE)

    def describe_continuous_backups(self, TableName):
        status = "ENABLED" if self._table(TableName).get("recovery") else "DISABLED"
        recovery = {"PointInTimeRecoveryStatus": status}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def update_continuous_backups(self, TableName, PointInTimeRecoverySpecification):
        it = self._table(TableName)
        if it.get("backups"):
            it["backups"] -= 1
            self.refused.append("backups")
            self._refuse("ContinuousBackupsUnavailableException", "Backups are being enabled for the table")
        it["recovery"] = PointInTimeRecoverySpecification["PointInTimeRecoveryEnabled"]


class Stacks(Service):
    """CloudFormation, with one stack that uses a restored table."""

    def __init__(self, environment="production", table_name="roster"):
        super().__init__()
        self.parameters = {"TableName": table_name, "TableStreamArn": "arn", "Environment": environment}
        self.status, self.busy, self.resources, self.sets, self.files = "UPDATE_COMPLETE", 0, {"Api"}, {}, {}
        self.sam_bucket = None
        self.template = {
            "Parameters": dict.fromkeys(self.parameters, {}),
            "Resources": {
                "Api": {"Type": "AWS::Serverless::HttpApi"},
                "Table": {
                    "Type": "AWS::DynamoDB::Table",
                    "Condition": "MakesTable",
                    "DeletionPolicy": "Retain",
                    "Properties": {"TableName": {"Ref": "TableName"}, "BillingMode": "PAY_PER_REQUEST"},
                },
            },
        }

    def describe_stacks(self, StackName):
        if StackName == "aws-sam-cli-managed-default" and self.sam_bucket:
            return {"Stacks": [{"Outputs": [{"OutputKey": "SourceBucket", "OutputValue": self.sam_bucket}]}]}
        if StackName != "roster":
            self._refuse("ValidationError", f"Stack with id {StackName} does not exist")
        status, self.busy = self.status, max(0, self.busy - 1)
        if self.busy == 0:
            self.status = self.status.replace("_IN_PROGRESS", "_COMPLETE")
        outputs = [{"OutputKey": "TableName", "OutputValue": self.parameters["TableName"]}]
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]
        stack = {"StackName": StackName, "StackStatus": status, "Outputs": outputs, "Parameters": parameters}
        return {"Stacks": [stack]}

    def get_paginator(self, operation):
        return SimpleNamespace(paginate=lambda **arguments: [getattr(self, operation)(**arguments)])

    # boto3's paginators have a positional argument.
    def __getattribute__(self, name):
        return object.__getattribute__(self, name) if name == "get_paginator" else super().__getattribute__(name)

    def list_stack_resources(self, StackName):
        statuses = {"Table": "DELETE_SKIPPED", **dict.fromkeys(self.resources, "UPDATE_COMPLETE")}
        listed = [{"LogicalResourceId": name, "ResourceStatus": status} for name, status in statuses.items()]
        return {"StackResourceSummaries": listed}

    def get_template(self, StackName, TemplateStage):
        return {"TemplateBody": copy.deepcopy(self.template)}

    def create_change_set(self, ChangeSetName, TemplateURL, Parameters, ImportExistingResources, **_):
        template = json.loads(self.files[TemplateURL])
        previous = {it["ParameterKey"] for it in Parameters if it.get("UsePreviousValue")}
        given = {it["ParameterKey"]: it["ParameterValue"] for it in Parameters if "ParameterValue" in it}
        parameters = {**{key: self.parameters[key] for key in previous}, **given}
        definition = template["Resources"]["Table"]
        makes_table = definition.get("Condition") != "MakesTable" or parameters["TableStreamArn"] == ""
        is_found = definition["Properties"]["TableName"] == self.parameters["TableName"]
        changes = {}
        if makes_table and "Table" not in self.resources:
            changes["Table"] = "Import" if ImportExistingResources and is_found else "Add"
        self.sets[ChangeSetName] = SimpleNamespace(changes=changes, parameters=parameters, template=template, age=0)

    def describe_change_set(self, StackName, ChangeSetName):
        found = self.sets[ChangeSetName]
        found.age += 1
        if found.age < 3:
            return {"Status": "CREATE_IN_PROGRESS", "Changes": []}
        changes = [{"ResourceChange": {"LogicalResourceId": it, "Action": does}} for it, does in found.changes.items()]
        return {"Status": "CREATE_COMPLETE", "Changes": changes}

    def execute_change_set(self, StackName, ChangeSetName):
        if self.status.endswith("_IN_PROGRESS"):
            self._refuse("ValidationError", f"Stack is in {self.status} state and can not be updated.")
        found = self.sets[ChangeSetName]
        self.resources |= found.changes.keys()
        self.parameters, self.template, self.sets = found.parameters, found.template, {}
        self.status, self.busy = "UPDATE_IN_PROGRESS", 3

    def delete_change_set(self, StackName, ChangeSetName):
        del self.sets[ChangeSetName]


def waiter():
    """A waiter that waits for at most 1,000 looks."""
    return table.Waiter(0, mock.Mock(side_effect=[None] * 1000))


def restore(stacks, tables, name="roster", target="roster-2", at=None):
    return table.restore(stacks, tables, name, target, at, waiter())


def adopt(stacks, bucket="bucket"):
    def put_object(Bucket, Key, Body):
        stacks.files[f"https://s3.example/{Bucket}/{Key}"] = Body

    storage = SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://s3.example"), put_object=put_object)
    table.adopt(stacks, storage, "roster", bucket, waiter())


def with_kills(service, run):
    """Runs `run` again after each kill. Yields a description of the kill, and what the last run returned."""
    probe = service()
    run(probe)
    for kill_at in range(1, len(probe.requests) + 1):
        for after in (False, True):
            killed = service()
            killed.kill_at, killed.after = kill_at, after
            try:
                run(killed)
            except Killed:
                killed.kill_at = None
                yield f"{probe.requests[kill_at - 1]} {'after' if after else 'before'} {kill_at}", killed, run(killed)


class TestRestore(unittest.TestCase):
    PARAMETERS = {
        "TableName": "roster-2",
        "TableStreamArn": f"{ARN}roster-2/stream/1",
        "ReleaseType": "AllAtOnce",
        "ReleaseAlarms": "off",
    }

    def assert_is_ready(self, tables):
        found = tables.tables["roster-2"]
        self.assertEqual(found["stream"], {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        self.assertEqual((found["ttl"], found["recovery"], found["protected"]), ("ttl", True, True))
        self.assertEqual(found["status"], "ACTIVE")

    def test_a_restored_table_has_all_settings(self):
        tables = Tables()
        self.assertEqual(restore(Stacks(), tables), self.PARAMETERS)
        self.assert_is_ready(tables)
        # The script could not know from a stale description that the table was being updated.
        self.assertEqual(set(tables.refused), {"UPDATING", "ttl", "backups"})

    def test_stale_descriptions_do_no_harm(self):
        tables = Tables()
        tables.STALE = 2 * tables.SLOW
        self.assertEqual(restore(Stacks(), tables), self.PARAMETERS)
        self.assert_is_ready(tables)
        self.assertIn("stream", tables.refused)

    def test_a_killed_run_is_continued(self):
        checked = 0
        for kill, tables, parameters in with_kills(Tables, lambda tables: restore(Stacks(), tables)):
            with self.subTest(kill):
                self.assertEqual(parameters, self.PARAMETERS)
                self.assert_is_ready(tables)
                checked += 1
        self.assertGreater(checked, 40)

    def test_a_second_run_changes_nothing(self):
        tables = Tables()
        restore(Stacks(), tables)
        del tables.requests[:]
        self.assertEqual(restore(Stacks(), tables), self.PARAMETERS)
        self.assertEqual([it for it in tables.requests if not it.startswith("describe_")], [])

    def test_a_run_after_the_deployment_checks_the_settings(self):
        tables = Tables()
        restore(Stacks(), tables)
        self.assertEqual(restore(Stacks(table_name="roster-2"), tables), self.PARAMETERS)

    def test_a_table_of_a_development_stack_is_not_protected(self):
        tables = Tables()
        restore(Stacks("development"), tables)
        self.assertNotIn("protected", tables.tables["roster-2"])

    def test_a_table_restored_from_a_backup_is_used(self):
        tables = Tables()
        del tables.tables["roster"]
        with self.assertRaisesRegex(table.Failure, "to the table roster-2 with `aws .* restore-table-from-backup`"):
            restore(Stacks(), tables)
        summary = {"SourceTableArn": f"{ARN}roster", "RestoreDateTime": NOON}
        tables.tables["roster-2"] = {"status": "ACTIVE", "busy": 0, "keys": KEYS, "summary": summary}
        self.assertEqual(restore(Stacks(), tables), self.PARAMETERS)
        self.assert_is_ready(tables)

    def test_a_table_that_is_no_copy_is_refused(self):
        new = {"status": "ACTIVE", "busy": 0, "keys": KEYS}
        of_other_stack = {"SourceTableArn": f"{ARN}other", "RestoreDateTime": NOON}
        other = {**new, "summary": {"SourceTableArn": f"{ARN}roster", "RestoreDateTime": NOON}}
        for found, at, expected in (
            (new, None, "exists, and was not restored"),
            ({**new, "summary": of_other_stack}, None, "exists, and was not restored"),
            (other, NOON.replace(hour=11), "another time: 2026-11-30T12:00:00"),
            ({**other, "keys": KEYS[:1]}, None, "other keys"),
            ({**other, "status": "DELETING"}, None, "is DELETING"),
            ({**other, "stream": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}, None, "view type KEYS_ONLY"),
            ({**other, "ttl": "expires"}, None, "attribute expires"),
        ):
            with self.subTest(expected):
                tables = Tables()
                tables.tables["roster-2"] = found
                with self.assertRaisesRegex(table.Failure, expected):
                    restore(Stacks(), tables, at=at)

    def test_the_time_is_passed_on(self):
        tables = Tables()
        restore(Stacks(), tables, at=table.moment("2026-11-30T12:00:00"))
        self.assertEqual(tables.tables["roster-2"]["summary"]["RestoreDateTime"], NOON)

    def test_only_a_name_that_the_template_allows_is_taken(self):
        allowed = (Path(table.__file__).parent / "template.yaml").read_text()
        self.assertIn('AllowedPattern: "([A-Za-z0-9_.-]{3,64})?"', allowed)
        for name in ("abc", "roster-2", "a" * 64):
            self.assertEqual(table.table_name(name), name)
        for name in ("ab", "a" * 65, "a b", "", "ro/ster"):
            with self.assertRaises(table.argparse.ArgumentTypeError):
                table.table_name(name)

    def test_an_unknown_stack_is_named(self):
        with self.assertRaisesRegex(table.Failure, "no stack typo"):
            restore(Stacks(), Tables(), name="typo")


class TestAdopt(unittest.TestCase):
    def assert_is_adopted(self, stacks):
        self.assertIn("Table", stacks.resources)
        self.assertEqual(stacks.parameters, {"TableName": "roster", "TableStreamArn": "", "Environment": "production"})
        self.assertEqual(stacks.template["Resources"]["Table"]["Properties"]["TableName"], "roster")

    def test_the_table_becomes_a_resource_of_the_stack(self):
        stacks = Stacks()
        adopt(stacks)
        self.assert_is_adopted(stacks)
        del stacks.requests[:]
        adopt(stacks)
        self.assertEqual(set(stacks.requests), {"describe_stacks", "list_stack_resources"})

    def test_a_killed_run_is_continued(self):
        checked = 0
        for kill, stacks, _ in with_kills(Stacks, adopt):
            with self.subTest(kill):
                self.assert_is_adopted(stacks)
                checked += 1
        self.assertGreater(checked, 20)

    def test_the_script_waits_for_another_operation(self):
        stacks = Stacks()
        stacks.status, stacks.busy = "UPDATE_IN_PROGRESS", 5
        adopt(stacks)
        self.assert_is_adopted(stacks)

    def test_a_table_that_is_not_found_is_not_created(self):
        stacks = Stacks()
        create = stacks.create_change_set

        def finds_nothing(**arguments):
            create(**{**arguments, "ImportExistingResources": False})

        with mock.patch.object(Stacks, "create_change_set", lambda self, **arguments: finds_nothing(**arguments)):
            with self.assertRaisesRegex(table.Failure, "Nothing was changed"):
                adopt(stacks)
        self.assertEqual((stacks.resources, stacks.sets), ({"Api"}, {}))

    def test_the_template_is_in_the_bucket_of_sam_by_default(self):
        stacks = Stacks()
        with self.assertRaisesRegex(table.Failure, "Name a bucket with --bucket"):
            adopt(stacks, bucket=None)
        stacks.sam_bucket = "sam"
        adopt(stacks, bucket=None)
        self.assert_is_adopted(stacks)
        self.assertEqual(list(stacks.files), ["https://s3.example/sam/roster/adopt-roster.json"])

    def test_a_template_without_a_retained_table_is_refused(self):
        stacks = Stacks()
        del stacks.template["Resources"]["Table"]["DeletionPolicy"]
        with self.assertRaisesRegex(table.Failure, "no retained resource Table"):
            adopt(stacks)


if __name__ == "__main__":
    # The script's progress is of no interest here.
    with mock.patch.object(table, "say"):
        unittest.main()
