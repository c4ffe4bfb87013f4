//! A network, a token, and the device whose keys are on it.

use std::collections::BTreeMap;

use alloy::signers::local::PrivateKeySigner;
use depin::{
    api::Work,
    evm::EvmRegistry,
    node::{Limits, mqtt::Answers},
};
use depin_core::{Address, KeyId, KeyType};
use depin_identity::{
    AcceptedBinding, Binding, DeviceRecord, DeviceRegistry, DeviceSigner, SoftwareKey, SubmitError, Voucher,
    VoucherHeader,
    signer::{DeviceUrl, Pkcs11Key},
};
use depin_vectors::token::Token;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{epoch::Sent, grants::Grants};
use crate::{
    mqtt::{Member, Mosquitto, key_of, take},
    serve::{Listener, listen},
    *,
};

/// Epochs of the device's only deal.
const EPOCHS: u32 = 30;

/// How a report travels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Http,
    Mqtt,
}

/// A running node, and how it is reached.
struct Running {
    node: Node,
    http: Listener,
    mqtt: (CancellationToken, JoinHandle<()>),
}

pub(super) struct Life<'a> {
    token: &'a Token,
    pub(super) stage: Stage,
    broker: Mosquitto,
    running: Option<Running>,
    client: reqwest::Client,
    members: BTreeMap<KeyId, Member>,
    /// What it keeps, for whom, and its numbers; its software key signs nothing.
    pub(super) keeper: Device,
    /// How many owned it before.
    pub(super) owner: usize,
    /// The key it signs with.
    pub(super) key: Arc<Pkcs11Key>,
    keys: u32,
    /// What the next signature about it must carry.
    nonce: u64,
    pub(super) deal: SignedDeal,
    /// What it reported in this epoch.
    pub(super) sent: Vec<Sent>,
    /// The bundle of the epoch before.
    pub(super) previous: Option<Bundle>,
    /// What every owner was paid until now.
    pub(super) paid: BTreeMap<Address, Amount>,
    pub(super) voucher: Voucher,
    pub(super) grants: Grants,
}

/// Who signs besides those who always do.
#[derive(Clone, Copy, Default)]
pub(super) struct Others<'a> {
    pub(super) buyer: Option<&'a PrivateKeySigner>,
    pub(super) next: Option<&'a Pkcs11Key>,
    /// The owner, because the present key is in wrong hands.
    pub(super) recovers: bool,
}

impl<'a> Life<'a> {
    /// A device of one key on the token, bound to its owner, with a deal; none where there is no broker.
    pub(super) async fn begin(token: &'a Token, test: &str) -> Option<Self> {
        let broker = Mosquitto::start(test)?;
        let stage = Stage::new().await;
        let key = Arc::new(key_on(token, "key-0"));
        let keeper = Device { born: key.public_key(), owner: owner(0), ..Device::new("meter") };
        let (device, maker) = (keeper.id(), holder(0).public().typed());
        let header = VoucherHeader { device, maker, info: b"meter 7, serial 42".to_vec() };
        let voucher = header.sign(&*key, params().network()).await.unwrap();
        let customer = wallet("customer");
        let deal = signed(&customer, terms(&customer, &keeper, 0, EPOCHS), &keeper.set);
        let mut life = Self {
            token,
            stage,
            broker,
            running: None,
            client: depin::evm::http_client(false).unwrap().build().unwrap(),
            members: BTreeMap::new(),
            keeper,
            owner: 0,
            key,
            keys: 1,
            nonce: 0,
            deal,
            sent: Vec::new(),
            previous: None,
            paid: BTreeMap::new(),
            voucher,
            grants: Grants::default(),
        };
        let node = life.stage.open().await;
        life.run(node).await;
        life.bind().await;
        Some(life)
    }

    /// The owner binds the device to itself. The customer pays, and signs the deal.
    async fn bind(&mut self) {
        let register = Action::Register { active: false };
        let binding = self.accept(register, Others::default()).await;
        self.refuses_another_key(binding.binding()).await;
        self.carry_out(&binding).await.unwrap();
        self.stage.pay(u128::from(EPOCHS) * PRICE).await;
        self.hear().await;
        let (status, body) = post(self.node(), paths::DEALS, serde_json::to_vec(&self.deal).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let record = self.record().await;
        self.grants.issue(&record, 0);
    }

    /// The contract takes the proof of the device's own key, and of no other on the same token.
    async fn refuses_another_key(&self, binding: &Binding) {
        let other = key_on(self.token, "other");
        let signature = |by: &[u8]| by.to_vec().into();
        let owner = self.keeper.owner.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes();
        let proof = other.sign(&binding.device_proof_message()).await.unwrap();
        let terms = depin::evm::contracts::DeviceRegistry::Registration {
            deviceKey: binding.device.key().as_bytes().to_vec().into(),
            owner: binding.owner,
            active: false,
            deadline: alloy::primitives::U256::from(binding.deadline),
        };
        let stranger = self.stranger();
        let contract = stranger.contract();
        let request = contract.register(terms, signature(&owner), signature(&proof.0));
        let refused = self.stage.sender("customer").send(request.into_transaction_request()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("BadDeviceProof"), "{refused}");
    }

    pub(super) fn node(&self) -> &Node {
        &self.running.as_ref().unwrap().node
    }

    async fn run(&mut self, node: Node) {
        let http = listen(&node, node.router(), Limits::default()).await;
        let mqtt = take(&node, self.broker.broker());
        self.running = Some(Running { node, http, mqtt });
        // The node's session at the broker begins after this: what nobody is subscribed to yet is sent again.
        let key = self.key.public_key().id();
        self.member(key).await;
        loop {
            let member = self.members.get_mut(&key).unwrap();
            member.publish(b"no envelope".to_vec()).await;
            if tokio::time::timeout(std::time::Duration::from_secs(2), member.answers()).await.is_ok() {
                break;
            }
        }
    }

    async fn stop(&mut self) -> Node {
        let Running { node, http, mqtt: (stop, task) } = self.running.take().unwrap();
        stop.cancel();
        task.await.unwrap();
        http.stop.cancel();
        http.task.await.unwrap();
        node
    }

    pub(super) async fn end(mut self) {
        self.stop().await;
    }

    /// The node ends and starts again from what it wrote down.
    pub(super) async fn restart(&mut self) {
        let node = self.stop().await;
        node.shutdown().await.unwrap();
        let node = self.stage.reopen(node).await;
        self.run(node).await;
    }

    /// Lets so many seconds pass.
    pub(super) async fn pass(&self, seconds: u64) {
        self.stage.reach(self.now().0 + 1000 * seconds).await;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.stage.clock.now()
    }

    /// The node takes in what the chain says.
    pub(super) async fn hear(&self) {
        self.node().follow().await.unwrap();
    }

    /// Another key, made on the token.
    pub(super) fn new_key(&mut self) -> Arc<Pkcs11Key> {
        self.keys += 1;
        Arc::new(key_on(self.token, &format!("key-{}", self.keys - 1)))
    }

    /// The registry as one writes to it who has no role there.
    pub(super) fn stranger(&self) -> EvmRegistry {
        EvmRegistry::new(self.stage.sender("customer"), &self.stage.deployment)
    }

    /// `action`, signed by whoever has to.
    pub(super) async fn accept(&self, action: Action, others: Others<'_>) -> AcceptedBinding {
        let binding = self.keeper.binding(action, self.nonce);
        let message = binding.device_proof_message();
        let by = |owner: &PrivateKeySigner| {
            OwnerSignature(owner.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes())
        };
        let rotates = matches!(action, Action::Rotate { .. });
        let by_device = matches!(action, Action::Register { .. } | Action::Transfer { .. });
        let mut signed = SignedBinding {
            owner_signature: (!rotates || others.recovers).then(|| by(&self.keeper.owner)),
            new_owner_signature: others.buyer.map(by),
            device_proof: None,
            new_key_proof: None,
            binding,
        };
        if by_device || (rotates && !others.recovers) {
            signed.device_proof = Some(self.key.sign(&message).await.unwrap());
        }
        if let Some(next) = others.next {
            signed.new_key_proof = Some(next.sign(&message).await.unwrap());
        }
        signed.verify(self.now(), self.key.public_key()).unwrap()
    }

    /// Relays what was signed, as anybody may. The node hears of it later.
    pub(super) async fn carry_out(&mut self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        self.stranger().submit(binding).await?;
        self.nonce += 1;
        Ok(())
    }

    /// Signs and relays `action`.
    pub(super) async fn act(&mut self, action: Action, others: Others<'_>) {
        let binding = self.accept(action, others).await;
        self.carry_out(&binding).await.unwrap();
    }

    /// The device's record, in which the contract and the node agree.
    pub(super) async fn record(&self) -> DeviceRecord {
        let on_chain = self.stranger().device(&self.keeper.id()).await.unwrap().unwrap();
        let body = self.get(&format!("{}/{}", paths::WORK, self.keeper.id())).await;
        let work: Work = serde_json::from_slice(&body).unwrap();
        assert_eq!(work.record.as_ref(), Some(&on_chain));
        on_chain
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.as_ref().unwrap().http.address)
    }

    pub(super) async fn get(&self, path: &str) -> Vec<u8> {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.bytes().await.unwrap().to_vec()
    }

    /// What the node says to `envelope`.
    pub(super) async fn deliver(&mut self, way: Way, envelope: &[u8]) -> ReportResult {
        match way {
            Way::Http => {
                let request = self.client.post(self.url(paths::REPORTS)).body(envelope.to_vec());
                let answer = request.send().await.unwrap().bytes().await.unwrap();
                let ReportResults { mut results } = serde_json::from_slice(&answer).unwrap();
                assert_eq!(results.len(), 1);
                results.remove(0)
            }
            Way::Mqtt => {
                let key = key_of(envelope);
                self.member(key).await;
                let member = self.members.get_mut(&key).unwrap();
                member.publish(envelope.to_vec()).await;
                loop {
                    let Answers { results } = member.answers().await;
                    let mine = results.into_iter().find(|answer| answer.report == sha256(&[envelope]));
                    if let Some(answer) = mine {
                        return answer.result;
                    }
                }
            }
        }
    }

    async fn member(&mut self, key: KeyId) {
        if !self.members.contains_key(&key) {
            let member = Member::connect(&self.broker, &key.to_string(), key).await;
            self.members.insert(key, member);
        }
    }
}

/// A new P-256 key on the token.
fn key_on(token: &Token, object: &str) -> Pkcs11Key {
    let DeviceUrl::Pkcs11(url) = token.url(object).parse().unwrap() else { panic!("another URL") };
    Pkcs11Key::generate(&url, KeyType::P256).unwrap()
}

/// The wallet of the owner after `before` others.
pub(super) fn owner(before: usize) -> PrivateKeySigner {
    wallet(&format!("owner-{before}"))
}

/// The key with which that owner grants, and hands devices on.
pub(super) fn holder(before: usize) -> SoftwareKey {
    SoftwareKey::from_seed(sha256(&[b"holder", format!("{before}").as_bytes()]).0)
}
