use std::sync::Mutex;

use dynoxide::{
    AttributeValue as Attribute, Database,
    actions::{create_table::CreateTableRequest, put_item::PutItemRequest},
};
use futures_util::future::BoxFuture;

use super::*;
use crate::aws::dynamodb::Engine;
use crate::functions::{
    InvokeError,
    fake::{FakeFunctions, failed, unreachable},
};

/// A stream in memory. Tests add shards and records, and make reads fail.
#[derive(Default)]
struct MemorySource {
    /// Each shard with its records, and whether it is closed.
    shards: Mutex<Vec<(Shard, Vec<Record>, bool)>>,
    /// The number of reads that fail from now on.
    failing_reads: Mutex<u32>,
    /// The number of reads so far.
    reads: AtomicU64,
}

impl MemorySource {
    fn with_one_shard() -> Arc<Self> {
        let source = Self::default();
        source.add_shard("s", None);
        Arc::new(source)
    }

    fn add_shard(&self, id: &str, parent: Option<&str>) {
        let shard = Shard { id: id.to_owned(), parent: parent.map(str::to_owned) };
        self.shards.lock().unwrap().push((shard, Vec::new(), false));
    }

    fn write(&self, shard: &str, numbers: impl IntoIterator<Item = u32>) {
        for n in numbers {
            self.push(shard, n, json!({"NewImage": {"n": {"N": n.to_string()}}}));
        }
    }

    fn push(&self, shard: &str, n: u32, mut change: Value) {
        // All sequence numbers have the same length, as real ones do, so that their text order is their order.
        let sequence_number = format!("1{n:020}");
        change["SequenceNumber"] = json!(sequence_number);
        change["Keys"] = json!({"pk": {"S": n.to_string()}});
        let record = Record { sequence_number, event: json!({"eventID": n.to_string(), "dynamodb": change}) };
        let mut shards = self.shards.lock().unwrap();
        shards.iter_mut().find(|(s, _, _)| s.id == shard).unwrap().1.push(record);
    }

    fn close(&self, shard: &str) {
        self.shards.lock().unwrap().iter_mut().find(|(s, _, _)| s.id == shard).unwrap().2 = true;
    }
}

impl Source for MemorySource {
    fn shards(&self) -> BoxFuture<'_, Result<Vec<Shard>, SourceError>> {
        Box::pin(async {
            Ok(self.shards.lock().unwrap().iter().map(|(shard, _, _)| shard.clone()).collect())
        })
    }

    fn read<'a>(
        &'a self,
        shard: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(async move {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let mut failing_reads = self.failing_reads.lock().unwrap();
            if *failing_reads > 0 {
                *failing_reads -= 1;
                return Err(SourceError::new("GetRecords", "on purpose"));
            }
            let shards = self.shards.lock().unwrap();
            let (_, records, closed) = shards.iter().find(|(s, _, _)| s.id == shard).unwrap();
            let is_after = |r: &&Record| after.is_none_or(|after| r.sequence_number.as_str() > after);
            let remaining: Vec<_> = records.iter().filter(is_after).cloned().collect();
            let page: Vec<_> = remaining.iter().take(5).cloned().collect();
            Ok(Page { closed: *closed && page.len() == remaining.len(), records: page })
        })
    }
}

struct World {
    source: Arc<MemorySource>,
    functions: Arc<FakeFunctions>,
    state: State,
}

impl World {
    fn new(behaviour: impl FnMut(&str, &Value) -> Result<Value, InvokeError> + Send + 'static) -> Self {
        let state = State::open(Database::memory().unwrap()).unwrap();
        Self {
            source: MemorySource::with_one_shard(),
            functions: Arc::new(FakeFunctions::new(behaviour)),
            state,
        }
    }

    fn mapping(&self) -> EventSourceMapping {
        EventSourceMapping {
            function: "mail".to_owned(),
            source: self.source.clone(),
            functions: self.functions.clone(),
            state: self.state.clone(),
            clock: LocalClock::new(),
            policy: StreamPolicy { batch_max: 3, ..StreamPolicy::default() },
            filter: None,
            writes: None,
        }
    }

    fn consumer(&self) -> StreamConsumer {
        StreamConsumer::start(self.mapping())
    }

    /// The batches that the function got, each as the numbers of its records.
    fn batches(&self) -> Vec<String> {
        self.functions.calls().iter().map(|(_, event)| ids(event).join(" ")).collect()
    }
}

fn ids(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|record| record["eventID"].as_str().unwrap().to_owned()).collect()
}

fn succeeding() -> World {
    World::new(|_, _| Ok(Value::Null))
}

#[tokio::test(start_paused = true)]
async fn idle_resolves_after_all_written_records_are_processed_in_batches() {
    let world = succeeding();
    let consumer = world.consumer();
    consumer.idle().await;
    world.source.write("s", 1..=7);
    consumer.idle().await;
    // The source returns pages of five records. The consumer makes batches of three.
    assert_eq!(world.batches(), ["1 2 3", "4 5", "6 7"]);
    assert_eq!(consumer.handled(), 7);
}

#[tokio::test(start_paused = true)]
async fn polls_the_stream_without_being_woken() {
    let world = succeeding();
    let _consumer = world.consumer();
    tokio::time::sleep(Duration::from_millis(10)).await;
    world.source.write("s", [1]);
    tokio::time::sleep(StreamPolicy::default().poll_every).await;
    assert_eq!(world.batches(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn reads_only_after_a_write_if_it_is_notified_of_writes() {
    let world = succeeding();
    let writes = watch::Sender::new(());
    let mapping = EventSourceMapping { writes: Some(writes.subscribe()), ..world.mapping() };
    let consumer = StreamConsumer::start(mapping);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(world.source.reads.load(Ordering::SeqCst), 1, "an idle consumer does not poll");
    world.source.write("s", [1]);
    writes.send_replace(());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.batches(), ["1"]);
    world.source.write("s", [2]);
    consumer.idle().await;
    assert_eq!(world.batches(), ["1", "2"], "`idle` needs no notification");
}

#[tokio::test(start_paused = true)]
async fn neither_a_write_nor_idle_shortens_the_pause_before_a_retry() {
    let world = succeeding();
    *world.source.failing_reads.lock().unwrap() = 3;
    let writes = watch::Sender::new(());
    let mapping = EventSourceMapping { writes: Some(writes.subscribe()), ..world.mapping() };
    let started = tokio::time::Instant::now();
    let consumer = StreamConsumer::start(mapping);
    let busy = async {
        loop {
            writes.send_replace(());
            consumer.wake();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = consumer.idle() => {}
        () = busy => {}
    }
    // Twice, four times and eight times 100 ms.
    assert_eq!(started.elapsed().as_millis(), 1_400);
}

#[tokio::test(start_paused = true)]
async fn a_new_consumer_continues_at_the_stored_position() {
    let world = succeeding();
    world.source.write("s", 1..=4);
    world.consumer().idle().await;
    world.source.write("s", 5..=5);
    world.consumer().idle().await;
    assert_eq!(world.batches(), ["1 2 3", "4", "5"]);
}

#[tokio::test(start_paused = true)]
async fn skips_unchanged_and_filtered_records_and_moves_past_them() {
    let world = succeeding();
    let image = json!({"n": {"N": "1"}});
    world.source.push("s", 1, json!({"OldImage": image, "NewImage": image}));
    world.source.push("s", 2, json!({"OldImage": {}, "NewImage": image}));
    world.source.push("s", 3, json!({"OldImage": image}));
    world.source.push("s", 4, json!({"OldImage": image, "NewImage": {}}));
    let filter: StreamFilter = |function, record| function == "mail" && record["eventID"] != "4";
    let consumer = StreamConsumer::start(EventSourceMapping { filter: Some(filter), ..world.mapping() });
    consumer.idle().await;
    assert_eq!(world.batches(), ["2 3"]);
    let position: Position = world.state.get(KIND, "mail/s").unwrap().unwrap();
    assert_eq!(position.sequence_number.as_deref(), Some("100000000000000000004"));
}

#[tokio::test(start_paused = true)]
async fn retries_a_partial_failure_from_the_failed_record() {
    let mut failures = 1;
    let world = World::new(move |_, event| {
        if failures > 0 && ids(event).contains(&"2".to_owned()) {
            failures -= 1;
            let failed = &event["Records"][1]["dynamodb"]["SequenceNumber"];
            return Ok(json!({"batchItemFailures": [{"itemIdentifier": failed}]}));
        }
        Ok(json!({"batchItemFailures": []}))
    });
    world.source.write("s", 1..=3);
    world.consumer().idle().await;
    assert_eq!(world.batches(), ["1 2 3", "2 3"]);
    assert_eq!(dead_letters::list(&world.state).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_failing_record_becomes_a_dead_letter_without_content_and_blocks_no_other_record() {
    let world =
        World::new(
            |_, event| {
                if ids(event).contains(&"2".to_owned()) { Err(failed()) } else { Ok(Value::Null) }
            },
        );
    world.source.write("s", 1..=4);
    let consumer = world.consumer();
    consumer.idle().await;
    assert_eq!(world.batches(), ["1 2 3", "1 2", "1", "2", "2", "2", "2", "2", "3", "4"]);
    let letters = dead_letters::list(&world.state).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].function, "mail");
    assert_eq!(
        letters[0].ids,
        json!({
            "keys": {"pk": {"S": "2"}},
            "event_id": "2",
            "shard": "s",
            "sequence_number": "100000000000000000002",
        })
    );
    assert!(letters[0].reason.contains("on purpose"), "{}", letters[0].reason);
}

#[tokio::test(start_paused = true)]
async fn idle_waits_for_a_pending_retry() {
    let mut failures = 3;
    let world = World::new(move |_, _| {
        if failures > 0 {
            failures -= 1;
            return Err(failed());
        }
        Ok(Value::Null)
    });
    world.source.write("s", [1]);
    world.consumer().idle().await;
    assert_eq!(world.batches(), ["1", "1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn waits_for_unreachable_functions_without_counting_failed_attempts() {
    let mut calls = 0;
    let world = World::new(move |_, _| {
        calls += 1;
        // The first batch succeeds. Then the function is unreachable for more calls than a record has attempts.
        if (2..=20).contains(&calls) { Err(unreachable()) } else { Ok(Value::Null) }
    });
    world.source.write("s", 1..=5);
    world.consumer().idle().await;
    let batches = world.batches();
    assert_eq!((batches[0].as_str(), batches[20].as_str(), batches.len()), ("1 2 3", "4 5", 21));
    assert!(batches[1..].iter().all(|batch| batch == "4 5"), "{batches:?}");
    assert_eq!(dead_letters::list(&world.state).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn retries_a_failing_source_while_idle_waits() {
    let world = succeeding();
    *world.source.failing_reads.lock().unwrap() = 4;
    world.source.write("s", [1]);
    world.consumer().idle().await;
    assert_eq!(world.batches(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn reads_a_shard_only_after_its_parent_is_processed() {
    let world = succeeding();
    world.source.add_shard("child", Some("s"));
    world.source.add_shard("orphan", Some("trimmed"));
    world.source.write("child", [11]);
    world.source.write("orphan", [21]);
    world.source.write("s", 1..=2);
    let consumer = world.consumer();
    consumer.idle().await;
    assert_eq!(world.batches(), ["1 2", "21"]);
    world.source.close("s");
    consumer.idle().await;
    assert_eq!(world.batches(), ["1 2", "21", "11"]);
}

#[tokio::test(start_paused = true)]
async fn all_idle_waits_for_records_that_consumers_cause_for_each_other() {
    let world = succeeding();
    let source = world.source.clone();
    let mut next = 1;
    let functions = Arc::new(FakeFunctions::new(move |name, _| {
        if name == "schedule" && next < 4 {
            next += 1;
            source.write("s", [next]);
        }
        Ok(Value::Null)
    }));
    let start = |function: &str| {
        let functions = functions.clone();
        StreamConsumer::start(EventSourceMapping {
            function: function.to_owned(),
            functions,
            ..world.mapping()
        })
    };
    let consumers = [start("mail"), start("schedule")];
    world.source.write("s", [1]);
    all_idle(&consumers).await;
    let count = |name: &str| {
        let calls = functions.calls();
        calls.iter().filter(|(function, _)| function == name).flat_map(|(_, event)| ids(event)).count()
    };
    assert_eq!((count("mail"), count("schedule")), (4, 4));
}

/// Starts the embedded engine with a table that has a stream, and a source that reads the stream through the SDK.
fn engine() -> (Database, SdkSource) {
    let db = Database::memory().unwrap();
    let request = json!({
        "TableName": "roster",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    });
    let request: CreateTableRequest = serde_json::from_value(request).unwrap();
    let table = db.create_table(request).unwrap().table_description;
    let arn = table.latest_stream_arn.unwrap();
    let client = aws_sdk_dynamodbstreams::Client::new(&Engine::new(db.clone()).sdk_config());
    (db, SdkSource::new(client, arn))
}

fn put(db: &Database, pk: &str, n: u32) {
    let item = [
        ("pk".to_owned(), Attribute::S(pk.to_owned())),
        ("n".to_owned(), Attribute::N(n.to_string())),
        ("b".to_owned(), Attribute::B(vec![1, 2, 3])),
    ];
    let request =
        PutItemRequest { table_name: "roster".into(), item: item.into(), ..PutItemRequest::default() };
    db.put_item(request).unwrap();
}

#[tokio::test]
async fn converts_the_engines_records_to_lambdas_form() {
    let (db, source) = engine();
    let shards = source.shards().await.unwrap();
    assert_eq!(shards.len(), 1);
    put(&db, "a", 1);
    put(&db, "a", 2);
    let page = source.read(&shards[0].id, None).await.unwrap();
    assert!(!page.closed);
    let [insert, modify] = page.records.as_slice() else { panic!("{:?}", page.records) };
    assert_eq!(insert.event["eventName"], "INSERT");
    assert_eq!(insert.event["eventSource"], "aws:dynamodb");
    assert_eq!(insert.event["eventVersion"], "1.1");
    assert!(insert.event["eventSourceARN"].as_str().unwrap().contains("table/roster/stream/"));
    let change = &modify.event["dynamodb"];
    assert_eq!(change["Keys"], json!({"pk": {"S": "a"}}));
    assert_eq!(change["OldImage"]["n"], json!({"N": "1"}));
    assert_eq!(change["NewImage"], json!({"pk": {"S": "a"}, "n": {"N": "2"}, "b": {"B": "AQID"}}));
    assert_eq!(change["SequenceNumber"], modify.sequence_number);
    assert_eq!(change["StreamViewType"], "NEW_AND_OLD_IMAGES");
    assert!(change["SizeBytes"].as_u64().unwrap() > 0);
    assert!(change["ApproximateCreationDateTime"].as_i64().unwrap() > 1_700_000_000);
    assert!(!insert.is_unchanged() && !modify.is_unchanged());

    // The same item is written again, so its record is unchanged. The first read uses the cached iterator. The other
    // two reads need new iterators.
    put(&db, "a", 2);
    let after = modify.sequence_number.as_str();
    let next = source.read(&shards[0].id, Some(after)).await.unwrap();
    assert_eq!(next.records.len(), 1);
    assert!(next.records[0].is_unchanged());
    assert_eq!(source.read(&shards[0].id, Some(after)).await.unwrap(), next);
    let again = source.read(&shards[0].id, None).await.unwrap();
    assert_eq!(again.records.len(), 3);
}

#[tokio::test]
async fn a_consumer_processes_the_engines_records() {
    let (db, source) = engine();
    let world = succeeding();
    let consumer = StreamConsumer::start(EventSourceMapping { source: Arc::new(source), ..world.mapping() });
    for n in 0..5 {
        put(&db, "a", n);
        consumer.idle().await;
        assert_eq!(consumer.handled(), u64::from(n) + 1);
    }
}
