#!/usr/bin/env python3
"""Calls the laptop's AWS services with AWS's client for Python, which the AWS CLI uses, too.

Unlike the SDK for Rust, this client checks the length and the form of ids in requests. The script checks what the client
gets for each service: DynamoDB and its stream, EventBridge Scheduler, SES and KMS.

Needs boto3, and `cargo build --workspace --bin roster`.
"""

import pathlib
import re
import subprocess
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from repository import TOP  # noqa: E402

ROSTER = TOP / "target" / "debug" / "roster"


def expect(actual, expected, name):
    if actual != expected:
        raise AssertionError(f"{name}: {actual!r} instead of {expected!r}")


def start():
    """Starts a laptop with the demo organization. Returns its process and its URL."""
    laptop = subprocess.Popen([ROSTER, "--port", "0", "--no-console"], stdout=subprocess.PIPE, text=True)
    for line in laptop.stdout:
        found = re.match(r" *AWS +(http://\S+)", line)
        if found:
            return laptop, found[1]
    sys.exit("the laptop does not start")


def check_stream(client):
    [stream] = client("dynamodbstreams").list_streams(TableName="roster")["Streams"]
    arn = stream["StreamArn"]
    streams = client("dynamodbstreams")
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"], Limit=10)["Records"]
    expect(len(records), 10, "records of the stream")
    after = records[4]["dynamodb"]["SequenceNumber"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=after
    )
    rest = streams.get_records(ShardIterator=iterator["ShardIterator"], Limit=5)["Records"]
    expect([it["eventID"] for it in rest], [it["eventID"] for it in records[5:]], "records after a position")


def check_table(client):
    dynamodb = client("dynamodb")
    expect(dynamodb.describe_table(TableName="roster")["Table"]["TableStatus"], "ACTIVE", "the table")
    items = dynamodb.scan(TableName="roster", Limit=5)["Items"]
    expect(len(items), 5, "scanned items")
    key = {name: items[0][name] for name in ("pk", "sk")}
    expect(dynamodb.get_item(TableName="roster", Key=key)["Item"], items[0], "an item")


def check_schedules(client):
    scheduler = client("scheduler")
    # The demo organization has five invitations with a new mail, and three that were sent before.
    pages = scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 3})
    schedules = [schedule for page in pages for schedule in page["Schedules"]]
    expect(len({it["Name"] for it in schedules}), len(schedules), "names of schedules")
    if len(schedules) < 5:
        raise AssertionError(f"schedules: {schedules}")
    first = schedules[0]
    read = scheduler.get_schedule(GroupName=first["GroupName"], Name=first["Name"])
    expect(read["Arn"], first["Arn"], "the schedule's ARN")
    expect(read["ActionAfterCompletion"], "DELETE", "a schedule's action after completion")
    if not re.fullmatch(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)", read["ScheduleExpression"]):
        raise AssertionError(f"schedule expression: {read['ScheduleExpression']}")
    expect(scheduler.list_schedules(GroupName="missing")["Schedules"], [], "schedules of a missing group")
    try:
        scheduler.get_schedule(GroupName=first["GroupName"], Name="missing")
        raise AssertionError("a missing schedule is found")
    except scheduler.exceptions.ResourceNotFoundException:
        pass


def check_mail(client):
    sesv2 = client("sesv2")
    [identity] = sesv2.list_email_identities()["EmailIdentities"]
    expect(identity["SendingEnabled"], True, "whether the identity sends")
    content = {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello"}}}}
    sent = sesv2.send_email(
        FromEmailAddress=f"hello@{identity['IdentityName']}",
        Destination={"ToAddresses": ["bob@example.com"]},
        Content=content,
    )
    expect(bool(sent["MessageId"]), True, "the message id")


def check_key(client):
    kms = client("kms")
    key = kms.describe_key(KeyId="alias/roster-links")["KeyMetadata"]
    expect((key["KeyState"], key["KeySpec"]), ("Enabled", "HMAC_256"), "the key")
    arguments = {"KeyId": key["Arn"], "Message": b"message", "MacAlgorithm": key["MacAlgorithms"][0]}
    mac = kms.generate_mac(**arguments)["Mac"]
    expect(kms.verify_mac(**arguments, Mac=mac)["MacValid"], True, "the MAC")
    try:
        kms.list_keys()
        raise AssertionError("an unsupported operation succeeds")
    except ClientError as error:
        expect(error.response["Error"]["Code"], "UnknownOperationException", "an unsupported operation")


def main():
    laptop, url = start()
    config = Config(retries={"total_max_attempts": 1}, region_name="eu-central-1")
    session = boto3.Session(aws_access_key_id="laptop", aws_secret_access_key="laptop")

    def client(service):
        return session.client(service, endpoint_url=url, config=config)

    try:
        # The functions have then processed the whole stream.
        urllib.request.urlopen(url.replace("/_aws", "/_dev/idle")).close()
        for check in (check_table, check_stream, check_schedules, check_mail, check_key):
            check(client)
    finally:
        laptop.terminate()
        laptop.wait()
    print("boto3 reaches DynamoDB, its stream, EventBridge Scheduler, SES and KMS")


if __name__ == "__main__":
    main()
