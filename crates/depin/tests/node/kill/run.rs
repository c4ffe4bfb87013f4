//! A network whose node may die at any moment: devices that send until they are answered, and somebody who takes the epochs their way.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64},
    },
    time::Duration,
};

use depin::{api::MEMBER_HEADER, evm::embedded::serve as rpc};
use depin_core::Digest;
use serde::de::DeserializeOwned;

use super::{
    super::mqtt::{Member, Mosquitto, key_of},
    plan::Plan,
    process::{Done, Order, Settings, Step, Victim},
    *,
};

/// Devices over HTTP, each a member for whom the phases wait.
const MEMBERS: usize = 5;
/// Devices over MQTT.
const PUBLISHERS: usize = 2;
/// Times in an epoch that a device says how it is, with this many reports.
const ROUNDS: usize = 4;
const REPORTS: usize = 3;
/// How long an answer over MQTT is waited for before the report is published again.
const AGAIN: Duration = Duration::from_secs(2);
/// After so many calls in vain the node is not coming back.
const IN_VAIN: u32 = 6_000;

/// What a run leaves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) bundles: Vec<Vec<u8>>,
    pub(super) journal: Vec<Vec<u8>>,
    /// What was sent until it was answered, by the hash of the envelope, and the receipt for it.
    pub(super) receipts: BTreeMap<Digest, Vec<u8>>,
}

/// How a run went.
pub(super) struct Course {
    pub(super) outcome: Outcome,
    /// What the contracts say happened.
    pub(super) events: Vec<depin_core::Located>,
    /// Calls and messages that were begun.
    pub(super) operations: u32,
    pub(super) kills: u32,
    /// Calls that had to be made again.
    pub(super) again: u32,
}

/// One network.
struct Run {
    stage: Stage,
    url: String,
    http: reqwest::Client,
    plan: Plan,
    victim: Victim,
    operations: AtomicU32,
    again: AtomicU32,
    /// The time of the chain and of the node.
    now: Arc<AtomicU64>,
    receipts: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

/// Runs the network from its first device to its last payment.
pub(super) async fn run(broker: &Mosquitto, epochs: u64, plan: Plan) -> Course {
    let stage = Stage::new().await;
    let served = rpc::serve(stage.chain.clone(), 0).await.unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = Settings {
        dir: stage.dir.path().to_owned(),
        rpc: served.url(),
        deployment: stage.deployment,
        port,
        broker: broker.port,
        members: u32::try_from(MEMBERS).unwrap(),
        generation: 1,
        now: GENESIS,
    };
    let now = Arc::new(AtomicU64::new(GENESIS));
    let run = Arc::new(Run {
        stage,
        url: format!("http://127.0.0.1:{port}"),
        http: depin::evm::http_client(false).unwrap().build().unwrap(),
        plan,
        victim: Victim::start(settings, Arc::clone(&now)),
        operations: AtomicU32::default(),
        again: AtomicU32::default(),
        now,
        receipts: Mutex::default(),
    });
    let mut members: Vec<Device> =
        (0..MEMBERS).map(|number| Device::new(&format!("http-{number}"))).collect();
    let mut publishers = Vec::new();
    for number in 0..PUBLISHERS {
        let device = Device::new(&format!("mqtt-{number}"));
        let envelope = device.clone().report("storage.telemetry", Vec::new(), Timestamp(GENESIS));
        let key = key_of(&device.sign(&envelope));
        publishers.push((device, Member::connect(broker, &format!("device-{number}"), key).await));
    }
    let everybody = members.iter().chain(publishers.iter().map(|(device, _)| device));
    let deals = run.begin(epochs, everybody).await;
    for epoch in 0..epochs {
        run.epoch(epoch, &mut members, &mut publishers, &deals).await;
    }
    let run = Arc::into_inner(run).unwrap();
    run.finish(epochs).await
}

impl Run {
    /// Registers everybody, pays, and makes the deals.
    async fn begin(self: &Arc<Self>, epochs: u64, devices: impl Iterator<Item = &Device>) -> Vec<SignedDeal> {
        let customer = wallet("customer");
        let mut deals = Vec::new();
        for (nonce, device) in (0..).zip(devices) {
            self.register(device).await;
            let terms =
                depin_core::Deal { nonce, ..terms(&customer, device, 0, u32::try_from(epochs).unwrap()) };
            deals.push(signed(&customer, terms, &device.set));
        }
        self.stage.pay(u128::try_from(deals.len()).unwrap() * u128::from(epochs) * PRICE).await;
        self.step(Step::Follow, 0).await;
        for deal in &deals {
            let (status, body) = self.post(None, paths::DEALS, &serde_json::to_vec(deal).unwrap()).await;
            // Refused if it was taken before and the answer was lost: then it is there.
            let work = self.work(deal.deal.device).await;
            assert!(work.deals.contains(deal), "{status}: {}", String::from_utf8_lossy(&body));
        }
        deals
    }

    async fn register(self: &Arc<Self>, device: &Device) {
        let body = serde_json::to_vec(&registration(device, GENESIS)).unwrap();
        let (status, body) = self.post(None, paths::REGISTRATIONS, &body).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        assert!(self.work(device.id()).await.record.is_some());
    }

    async fn work(&self, device: depin_core::DeviceId) -> Work {
        self.get(&format!("{}/{device}", paths::WORK)).await
    }

    async fn epoch(
        self: &Arc<Self>,
        epoch: u64,
        members: &mut Vec<Device>,
        publishers: &mut [(Device, Member)],
        deals: &[SignedDeal],
    ) {
        let opened = self.step(Step::Open, epoch).await;
        let (commit_until, answer_until, closes) = opened.schedule.unwrap();
        self.round(epoch, members, publishers, |device, now| {
            let set = device.set.to_bytes();
            let report = device.report(SET_KIND, set, now);
            vec![device.sign(&report)]
        })
        .await;
        self.reach(commit_until);
        self.step(Step::Beacon, epoch).await;
        self.round(epoch, members, publishers, |device, now| {
            let answer = prove(device, &challenge(device, &device.set, Epoch(epoch), deals)).to_bytes();
            let report = device.report(ANSWER_KIND, answer, now);
            vec![device.sign(&report)]
        })
        .await;
        self.reach(answer_until + 1);
        for _ in 0..ROUNDS {
            self.round(epoch, members, publishers, |device, now| {
                let mut next = || {
                    let report = device.report("storage.telemetry", vec![7; 200], now);
                    device.sign(&report)
                };
                (0..REPORTS).map(|_| next()).collect()
            })
            .await;
        }
        self.reach(closes);
        self.step(Step::Close, epoch).await;
        while let Some(end) = self.step(Step::Settle, epoch).await.open {
            self.reach(end.unwrap_or_default() * 1000);
        }
    }

    /// Every device sends once: members at the same time, and the node hears none of them again before all were answered; then the others, one
    /// after the other.
    async fn round(
        self: &Arc<Self>,
        epoch: u64,
        members: &mut Vec<Device>,
        publishers: &mut [(Device, Member)],
        reports: impl Fn(&mut Device, Timestamp) -> Vec<Vec<u8>>,
    ) {
        let now = Timestamp(self.now.load(Ordering::SeqCst));
        let number = self.step(Step::Round, epoch).await.number;
        let over = Arc::new(AtomicBool::new(false));
        let (mut sending, mut waiting) = (Vec::new(), Vec::new());
        for (member, device) in (1..).zip(members) {
            let (run, over, envelopes) = (Arc::clone(self), Arc::clone(&over), reports(device, now));
            let (sent, answered) = tokio::sync::oneshot::channel();
            sending.push(answered);
            waiting.push(tokio::spawn(async move {
                run.send(member, &envelopes).await;
                sent.send(()).unwrap();
                run.wait(member, number, &over).await;
            }));
        }
        for answered in sending {
            answered.await.unwrap();
        }
        over.store(true, Ordering::SeqCst);
        // The next phase lets go of those who wait for it.
        self.step(Step::Round, epoch).await;
        for task in waiting {
            task.await.unwrap();
        }
        for (device, member) in publishers {
            for envelope in reports(device, now) {
                self.publish(member, envelope).await;
            }
        }
    }

    /// A member sends its reports in one body until it is answered.
    async fn send(&self, member: u32, envelopes: &[Vec<u8>]) {
        let (status, body) = self.post(Some(member), paths::REPORTS, &envelopes.concat()).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let ReportResults { results } = serde_json::from_slice(&body).unwrap();
        assert_eq!(results.len(), envelopes.len());
        for (envelope, result) in envelopes.iter().zip(results) {
            self.keep(sha256(&[envelope]), result);
        }
    }

    /// A member says that it has nothing more to send in this phase.
    async fn wait(&self, member: u32, mut number: u64, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let url = format!("{}{}?after={number}", self.url, paths::STATUS);
            let answer = self.http.get(url).header(MEMBER_HEADER, member).send().await;
            let Ok(response) = answer else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            if let Ok(text) = response.bytes().await
                && let Ok(status) = serde_json::from_slice::<depin::api::Status>(&text)
            {
                number = status.number;
            }
        }
    }

    /// A device publishes until it has its receipt.
    async fn publish(&self, member: &mut Member, envelope: Vec<u8>) {
        self.begin_operation();
        let digest = sha256(&[&envelope]);
        for attempt in 0..IN_VAIN {
            if attempt > 0 {
                self.again.fetch_add(1, Ordering::SeqCst);
            }
            member.publish(envelope.clone()).await;
            let answer = async {
                loop {
                    let mut answers = member.answers().await.results.into_iter();
                    if let Some(answer) = answers.find(|answer| answer.report == digest) {
                        return answer.result;
                    }
                }
            };
            if let Ok(result) = tokio::time::timeout(AGAIN, answer).await {
                return self.keep(digest, result);
            }
        }
        panic!("no receipt for {digest}");
    }

    fn keep(&self, report: Digest, result: ReportResult) {
        let ReportResult::Accepted { receipt } = result else { panic!("{report}: {result:?}") };
        self.receipts.lock().unwrap().insert(report, receipt);
    }

    /// Takes a step, however often the node dies of it.
    async fn step(&self, step: Step, epoch: u64) -> Done {
        let order = Order { step, epoch, now: self.now.load(Ordering::SeqCst) };
        let (status, body) = self.post(None, "/steps", &serde_json::to_vec(&order).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// Nobody but this moves the time, of the chain and of the node.
    fn reach(&self, moment: u64) {
        let now = self.now.fetch_max(moment, Ordering::SeqCst).max(moment);
        self.stage.chain.set_time(now / 1000);
    }

    async fn post(&self, member: Option<u32>, path: &str, body: &[u8]) -> (StatusCode, Vec<u8>) {
        self.begin_operation();
        self.call(|| {
            let request = self.http.post(format!("{}{path}", self.url)).body(body.to_vec());
            let request = request.header(header::CONTENT_TYPE, "application/json");
            member.into_iter().fold(request, |request, member| request.header(MEMBER_HEADER, member))
        })
        .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = self.call(|| self.http.get(format!("{}{path}", self.url))).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// Calls the node until it answers.
    async fn call(&self, request: impl Fn() -> reqwest::RequestBuilder) -> (StatusCode, Vec<u8>) {
        for attempt in 0..IN_VAIN {
            if let Ok(response) = request().send().await {
                let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
                if let Ok(body) = response.bytes().await {
                    return (status, body.to_vec());
                }
            }
            if attempt == 0 {
                self.again.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the node does not come back");
    }

    /// Counts an operation, and lets the node die of it if that is planned.
    fn begin_operation(&self) {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        if let Some(moments) = self.plan.get(&number) {
            self.victim.kill(moments.clone());
        }
    }

    async fn finish(mut self, epochs: u64) -> Course {
        let operations = self.operations.load(Ordering::SeqCst);
        let plan = std::mem::take(&mut self.plan);
        // What was planned for operations that never came, or only just, comes about as well.
        for (_, moments) in plan.range(operations..) {
            self.victim.kill(moments.clone());
        }
        let planned: usize = plan.values().map(Vec::len).sum();
        while usize::try_from(self.victim.kills.load(Ordering::SeqCst)).unwrap() < planned {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A bundle that was lost is there again once the node is.
        self.step(Step::Follow, epochs).await;
        let kills = self.victim.kills.load(Ordering::SeqCst);
        self.victim.end().await;
        let dir = self.stage.dir.path();
        let bundles = (0..epochs).map(|epoch| std::fs::read(bundle_path(dir, Epoch(epoch))).unwrap());
        let journal = FileJournal::open(&dir.join("journal"), params().network()).unwrap();
        let outcome = Outcome {
            bundles: bundles.collect(),
            journal: all(&journal).await,
            receipts: self.receipts.into_inner().unwrap(),
        };
        let client = self.stage.chain.client();
        let last = depin::evm::final_block(&client, Finality::Depth(0)).await.unwrap().unwrap().number;
        let events = depin::evm::events(&client, &self.stage.deployment, 0, last).await.unwrap();
        let again = self.again.into_inner();
        Course { outcome, events, operations, kills, again }
    }
}

async fn all(journal: &FileJournal) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let some @ [_, ..] =
        journal.read(u64::try_from(entries.len()).unwrap(), usize::MAX).await.unwrap().as_slice()
    {
        entries.extend_from_slice(some);
    }
    entries
}

/// Reports in the journal, each as often as it is there.
pub(super) fn reports_in(journal: &[Vec<u8>]) -> BTreeMap<Digest, u32> {
    let mut found = BTreeMap::new();
    for bytes in journal {
        if let Entry::Report { envelope, .. } = cbor::from_slice(bytes).unwrap() {
            *found.entry(sha256(&[&envelope])).or_default() += 1;
        }
    }
    found
}
