//! An epoch of the device: what it reports, and what came of that by what anybody can read.

use depin::{
    audit_succession,
    evm::{EvmLedger, contracts::EpochStatus},
    node::payout,
};
use depin_core::{Address, Digest};
use depin_identity::signer::Pkcs11Key;

use super::world::{Life, Way};
use crate::*;

/// A report, and what the node said to it.
pub(super) struct Sent {
    name: &'static str,
    report: Digest,
    said: ReportResult,
}

/// A report that nothing is paid for.
pub(super) const TELEMETRY: &str = "storage.telemetry";

impl Life<'_> {
    pub(super) async fn open(&mut self) {
        self.node().open_epoch().await.unwrap();
        self.sent.clear();
    }

    /// The next report of the device, signed by `key` and not sent.
    pub(super) async fn signed(&mut self, key: &Pkcs11Key, kind: &'static str, body: Vec<u8>) -> Vec<u8> {
        let now = self.now();
        self.keeper.report(kind, body, now).sign(key, params().network()).await.unwrap()
    }

    pub(super) async fn send(&mut self, name: &'static str, way: Way, envelope: Vec<u8>) {
        let said = self.deliver(way, &envelope).await;
        self.sent.push(Sent { name, report: sha256(&[&envelope]), said });
    }

    /// Sends telemetry under `key`.
    pub(super) async fn tell(&mut self, name: &'static str, key: &Pkcs11Key) {
        let envelope = self.signed(key, TELEMETRY, Vec::new()).await;
        self.send(name, Way::Http, envelope).await;
    }

    /// Says under `key` what it keeps, over HTTP: without that it is asked about nothing.
    pub(super) async fn commit(&mut self, key: &Pkcs11Key) {
        let set = self.keeper.set.to_bytes();
        let envelope = self.signed(key, SET_KIND, set).await;
        self.send("set", Way::Http, envelope).await;
    }

    /// The device is asked, and answers under `key` over MQTT, which is what it earns by.
    pub(super) async fn answer(&mut self, key: &Pkcs11Key) {
        let schedule = self.node().schedule().await.unwrap();
        self.stage.reach(schedule.commit_until.0).await;
        self.node().reveal_beacon().await.unwrap();
        let epoch = self.node().epoch().await;
        let challenge = challenge(&self.keeper, &self.keeper.set, epoch, std::slice::from_ref(&self.deal));
        let answer = prove(&self.keeper, &challenge).to_bytes();
        let envelope = self.signed(key, ANSWER_KIND, answer).await;
        self.send("answer", Way::Mqtt, envelope).await;
    }

    /// Closes the epoch. Exactly these reports count or do not, for these reasons; exactly this is paid; and whoever audits it agrees.
    pub(super) async fn close(&mut self, reports: &[(&str, &str)], paid: &[(Address, Amount)]) -> Bundle {
        let closes = self.node().schedule().await.unwrap().closes;
        self.stage.reach(closes.0).await;
        let closed = self.node().close_epoch().await.unwrap();
        let served = self.get(&format!("{}/{}", paths::BUNDLES, closed.header.epoch)).await;
        let bundle = Bundle::from_bytes(&served).unwrap();
        let told = self.told(&bundle);
        let told: Vec<(&str, &str)> = told.iter().map(|(name, reason)| (*name, reason.as_str())).collect();
        assert_eq!(told, reports);
        assert_eq!(bundle.payouts(), paid);
        self.audits(&bundle);
        self.pays(&bundle).await;
        self.previous = Some(bundle.clone());
        bundle
    }

    /// What became of each report by the bundle: `counted`, or the reason why not.
    fn told(&self, bundle: &Bundle) -> Vec<(&'static str, String)> {
        let section = section(bundle, &self.keeper);
        let notes = findings(bundle, &self.keeper);
        let note = |index: u64| {
            let place = format!("(entry {index})");
            let mut about = notes.iter().filter(|finding| finding.observed.ends_with(&place));
            let reason = about.next().map(|finding| finding.reason.to_string());
            assert!(about.next().is_none(), "two findings about entry {index}");
            reason
        };
        let mut written = 0;
        let told = self.sent.iter().map(|sent| {
            let is_accepted = matches!(sent.said, ReportResult::Accepted { .. });
            let found = section.entries.iter().find_map(|indexed| match &indexed.entry {
                Entry::Report { envelope, .. } if sha256(&[envelope]) == sent.report => {
                    assert!(is_accepted, "{}: {:?}", sent.name, sent.said);
                    Some(note(indexed.index).unwrap_or_else(|| "counted".to_owned()))
                }
                Entry::Refused { report, refusal, .. } if *report == sent.report => {
                    assert_eq!(reason(&sent.said), refusal.reason.as_str());
                    assert_eq!(note(indexed.index), Some(refusal.reason.to_string()));
                    Some(refusal.reason.to_string())
                }
                _ => None,
            });
            written += 1;
            (
                sent.name,
                found.unwrap_or_else(|| panic!("{} is not in the bundle: {:?}", sent.name, sent.said)),
            )
        });
        let told = told.collect();
        let is_report = |entry: &&depin::entry::Indexed| {
            matches!(entry.entry, Entry::Report { .. } | Entry::Refused { .. })
        };
        assert_eq!(section.entries.iter().filter(is_report).count(), written, "and nothing else");
        told
    }

    /// Everything comes out again from the bundle alone, and no receipt is broken.
    fn audits(&self, bundle: &Bundle) {
        let found = audit(bundle, &Catalogue::standard()).unwrap();
        assert_eq!((found.digest, found.root, found.withheld), (bundle.digest(), bundle.result.root, 0));
        if let Some(previous) = &self.previous {
            audit_succession(previous, bundle).unwrap();
        }
        let receipts: Vec<(String, Vec<u8>)> = self
            .sent
            .iter()
            .filter_map(|sent| match &sent.said {
                ReportResult::Accepted { receipt } => Some((sent.name.to_owned(), receipt.clone())),
                ReportResult::Refused { .. } => None,
            })
            .collect();
        let kept = audit_receipts(bundle, &receipts).unwrap().kept;
        assert_eq!(kept, u64::try_from(receipts.len()).unwrap());
    }

    /// The chain has this bundle's root as final, and every owner what all bundles gave it.
    async fn pays(&mut self, bundle: &Bundle) {
        settle_all(&self.stage, self.node()).await;
        let epoch = bundle.header.epoch;
        let ledger = EvmLedger::new(self.stage.sender("customer"), &self.stage.deployment);
        let state = ledger.state(epoch).await.unwrap();
        assert_eq!(state.status, EpochStatus::Final);
        assert_eq!(state.leading, EvmLedger::candidate_id(epoch, &payout(bundle)));
        for (owner, amount) in bundle.payouts() {
            let sum = self.paid.entry(owner).or_default();
            *sum = sum.checked_add(amount).unwrap();
        }
        for (owner, sum) in &self.paid {
            let client = self.stage.chain.client();
            let balance = credits::balance(&client, &self.stage.deployment, *owner).await.unwrap();
            assert_eq!(balance, *sum, "{owner}");
        }
    }
}
