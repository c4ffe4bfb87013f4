//! One device, its files, its deals and an epoch.

use std::{collections::BTreeMap, io};

use depin_core::{
    Address, CheckResult, DeviceId, Digest, Epoch, KeyType, NetworkId, Text, Timestamp, TypedKey, Units,
    sha256,
};
use depin_proof::{
    Beacon, Case, Evidence, Judged, Schedule, SeedBeacon, Verifiers, Wanted,
    commp::{Piece, commit},
    possession::{
        ANSWER_KIND, Answer, Challenge, PieceSet, Possession, PossessionParams, ProveError, SERVICE,
        SET_KIND, UNIT, VERIFIER_ID, prove,
    },
};

/// An hour: sets before the 30th minute, answers from then to the 50th.
pub(crate) const SCHEDULE: Schedule = Schedule {
    opens: Timestamp(0),
    commit_until: Timestamp(1_800_000),
    answer_until: Timestamp(3_000_000),
    closes: Timestamp(3_600_000),
};
pub(crate) const BEFORE: Timestamp = Timestamp(1_799_999);
pub(crate) const IN_TIME: Timestamp = Timestamp(3_000_000);
pub(crate) const TOO_LATE: Timestamp = Timestamp(3_000_001);

#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) kind: Text,
    pub(crate) body: Vec<u8>,
    pub(crate) received: Timestamp,
    pub(crate) reused: bool,
}

#[derive(Clone)]
pub(crate) struct Deal {
    pub(crate) subject: Vec<u8>,
    pub(crate) full: Units,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) params: PossessionParams,
    pub(crate) device: DeviceId,
    pub(crate) epoch: Epoch,
    pub(crate) beacon: Option<Beacon>,
    pub(crate) files: BTreeMap<Piece, Vec<u8>>,
    pub(crate) deals: Vec<Deal>,
    pub(crate) reports: Vec<Report>,
    pub(crate) memory: Vec<u8>,
}

/// `len` bytes that look random and depend on `seed`.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let block = |count: u64| sha256(&[&seed.to_be_bytes(), &count.to_be_bytes()]).0;
    (0..).flat_map(block).take(len).collect()
}

pub(crate) fn device(seed: u8) -> DeviceId {
    DeviceId(TypedKey::new(KeyType::Ed25519, &[seed; 32]).unwrap())
}

pub(crate) fn network() -> NetworkId {
    NetworkId::new(84_532, Address::repeat_byte(0x11))
}

pub(crate) fn params(loss: u16, confidence: u16) -> PossessionParams {
    PossessionParams::new(loss.try_into().unwrap(), confidence.try_into().unwrap()).unwrap()
}

impl World {
    /// A device that keeps files of these sizes, all under one deal that pays for all of them.
    pub(crate) fn keeping(sizes: &[usize]) -> Self {
        let mut world = Self {
            params: PossessionParams::default(),
            device: device(2),
            epoch: Epoch(3),
            beacon: None,
            files: BTreeMap::new(),
            deals: Vec::new(),
            reports: Vec::new(),
            memory: Vec::new(),
        };
        for (seed, size) in (0..).zip(sizes) {
            world.store(bytes(seed, *size));
        }
        world.beacon = Some(world.beacon_of(world.epoch));
        world.want(&world.kept());
        world
    }

    /// The same with its set reported in time, and an honest answer.
    pub(crate) fn honest(sizes: &[usize]) -> Self {
        let mut world = Self::keeping(sizes);
        world.report_set(&world.kept(), BEFORE);
        world.report_answer(IN_TIME);
        world
    }

    pub(crate) fn store(&mut self, file: Vec<u8>) -> Piece {
        let piece = commit(&file).unwrap();
        self.files.insert(piece, file);
        piece
    }

    pub(crate) fn kept(&self) -> PieceSet {
        PieceSet::new(self.files.keys().copied()).unwrap()
    }

    pub(crate) fn beacon_of(&self, epoch: Epoch) -> Beacon {
        SeedBeacon::new([7; 32]).at(epoch)
    }

    pub(crate) fn want(&mut self, pieces: &PieceSet) {
        self.deals.push(Deal { subject: pieces.to_bytes(), full: Units::new(UNIT.into(), u128::MAX) });
    }

    pub(crate) fn report(&mut self, kind: &'static str, body: Vec<u8>, received: Timestamp) -> &mut Report {
        self.reports.push(Report { kind: kind.into(), body, received, reused: false });
        self.reports.last_mut().unwrap()
    }

    pub(crate) fn report_set(&mut self, set: &PieceSet, received: Timestamp) -> &mut Report {
        self.report(SET_KIND, set.to_bytes(), received)
    }

    pub(crate) fn report_answer(&mut self, received: Timestamp) -> &mut Report {
        let answer = self.answer();
        self.report(ANSWER_KIND, answer.to_bytes(), received)
    }

    /// The challenge to a device that reported what it keeps.
    pub(crate) fn challenge(&self) -> Challenge {
        self.challenge_to(&self.kept())
    }

    pub(crate) fn challenge_to(&self, set: &PieceSet) -> Challenge {
        let wanted: Vec<PieceSet> =
            self.deals.iter().filter_map(|deal| depin_core::cbor::from_slice(&deal.subject).ok()).collect();
        let beacon = self.beacon.as_ref().unwrap().value;
        Challenge::new(&self.params, network(), self.device, self.epoch, &beacon, set, &wanted)
    }

    pub(crate) fn answer(&self) -> Answer {
        self.prove(&self.challenge()).unwrap()
    }

    pub(crate) fn prove(&self, challenge: &Challenge) -> Result<Answer, ProveError> {
        prove(challenge, |piece| {
            self.files.get(piece).map(Vec::as_slice).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })
    }

    pub(crate) fn judge(&self) -> Judged {
        self.judge_with(|_| ())
    }

    /// Judges with the evidence in another order, but with the same positions in the journal.
    pub(crate) fn judge_with(&self, reorder: impl Fn(&mut Vec<Evidence<'_>>)) -> Judged {
        let mut verifiers = Verifiers::new();
        verifiers.add(SERVICE.into(), VERIFIER_ID.into(), Possession::new(self.params)).unwrap();
        let deals: Vec<_> = (1..)
            .zip(&self.deals)
            .map(|(id, deal)| Wanted { id: Digest([id; 32]), subject: &deal.subject, full: &deal.full })
            .collect();
        let mut evidence: Vec<_> = (1..)
            .zip(&self.reports)
            .map(|(index, report)| Evidence {
                kind: &report.kind,
                body: &report.body,
                received: report.received,
                index,
                boot: 1,
                sequence: index,
                reused: report.reused,
            })
            .collect();
        reorder(&mut evidence);
        verifiers.judge(
            &SERVICE.into(),
            &Case {
                network: network(),
                device: self.device,
                epoch: self.epoch,
                schedule: SCHEDULE,
                beacon: self.beacon.as_ref(),
                deals: &deals,
                evidence: &evidence,
                memory: &self.memory,
            },
        )
    }

    /// Closes the epoch and opens the next, with nothing reported yet.
    pub(crate) fn next_epoch(&mut self) -> Judged {
        let judged = self.judge();
        self.memory.clone_from(&judged.memory);
        self.epoch = self.epoch.next().unwrap();
        self.beacon = Some(self.beacon_of(self.epoch));
        self.reports.clear();
        judged
    }
}

/// The reasons of everything that did not pass, in order.
pub(crate) fn reasons(judged: &Judged) -> Vec<String> {
    let findings = judged.verdict.findings.iter();
    findings
        .filter(|finding| finding.result != CheckResult::Pass)
        .map(|finding| finding.reason.to_string())
        .collect()
}

/// The quantity accepted per deal.
pub(crate) fn quantities(judged: &Judged) -> Vec<u128> {
    judged.verdict.contributions.iter().map(|contribution| contribution.proved.quantity).collect()
}
