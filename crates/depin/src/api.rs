//! What goes over the wire between a node and those who talk to it: JSON, except for reports and receipts, which are signed bytes.

use depin_core::{Address, Amount, DeviceId, Digest, Epoch, Text, cbor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    admission::{Admitted, StatusPlace},
    bundle::EpochSchedule,
    params::NetworkParams,
};

/// The path of each call a device, a customer or an owner makes.
pub mod paths {
    /// GET: the network's parameters and contracts.
    pub const NETWORK: &str = "/api/v1/network";
    /// GET: the current [`Status`](super::Status); with `?after=N` waits until its number exceeds N.
    pub const STATUS: &str = "/api/v1/status";
    /// POST: one envelope or a CBOR sequence of them (RFC 8742).
    pub const REPORTS: &str = "/api/v1/reports";
    /// POST: a binding signed by owner and device, relayed to the registry.
    pub const REGISTRATIONS: &str = "/api/v1/registrations";
    /// POST: the credentials that a device is admitted by: see [`crate::admission`].
    pub const CREDENTIALS: &str = "/api/v1/credentials";
    /// POST: a status list that revokes a device's credentials: see [`Revocation`](super::Revocation).
    pub const REVOCATIONS: &str = "/api/v1/revocations";
    /// POST: a deal signed by its customer.
    pub const DEALS: &str = "/api/v1/deals";
    /// GET: a device as the node's registry has it, and its deals.
    pub const WORK: &str = "/api/v1/work";
    /// GET: what a customer can still spend.
    pub const CREDIT: &str = "/api/v1/credit";
    /// POST: claims to relay.
    pub const RELAY: &str = "/api/v1/claims";
    /// GET: a closed epoch's bundle; with `/devices/{did}` one device's part.
    pub const BUNDLES: &str = "/api/v1/bundles";
}

/// The header in which a simulated process says which member it is.
pub const MEMBER_HEADER: &str = "depin-member";

/// A network as a device or customer needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// Its parameters.
    pub params: NetworkParams,
    /// Its contracts.
    pub contracts: Contracts,
    /// A block before which its contracts said nothing: whoever reads their events may begin here.
    #[serde(default)]
    pub start_block: u64,
    /// The chain in words: `embedded`, `anvil` or its URL.
    pub chain: String,
    /// Where the chain is reached, if the node says so.
    pub rpc: Option<String>,
}

/// The contracts of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contracts {
    /// The ERC-20 token.
    pub token: Address,
    /// The device registry.
    pub registry: Address,
    /// Where customers pay.
    pub credits: Address,
    /// Where rewards are claimed.
    pub distributor: Address,
    /// What makers and providers stand to lose.
    pub bond: Address,
}

/// What devices and customers need to know to do their part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Rises with every phase.
    pub number: u64,
    /// What is going on.
    pub phase: Phase,
    /// The epoch; the one to come while none is open.
    pub epoch: Epoch,
    /// The node's time in milliseconds since the Unix epoch.
    pub now: u64,
    /// The epoch's deadlines, once it is open.
    pub schedule: Option<EpochSchedule>,
    /// The epoch's beacon, once known.
    pub beacon: Option<BeaconStatus>,
}

/// A beacon as devices see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeaconStatus {
    /// Its kind.
    pub kind: Text,
    /// Its round.
    pub round: u64,
    /// Its value.
    pub value: Digest,
}

/// A part of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// The node starts.
    Starting,
    /// Devices register; those that copy somebody's key come last.
    Register {
        /// Whose turn it is, where the order matters.
        turn: u32,
    },
    /// A customer offers its deals and hands over its data.
    Deal {
        /// Whose turn it is.
        turn: u32,
    },
    /// A customer pays for the epoch to come.
    Pay {
        /// Whose turn it is.
        turn: u32,
    },
    /// The epoch is open; devices say what they will be asked about.
    Commit,
    /// The beacon is known; devices answer.
    Answer,
    /// Answers are over; devices report how they are.
    Report,
    /// Nothing more will happen.
    Finished,
}

/// The answer to reports, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResults {
    /// One result for each report.
    pub results: Vec<ReportResult>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum ReportResult {
    /// It is in the journal, durably; here is the receipt.
    Accepted {
        /// The signed receipt.
        #[serde(with = "cbor::hex_string")]
        receipt: Vec<u8>,
    },
    /// It is not counted.
    Refused {
        /// The reason in one word.
        reason: Text,
        /// What was observed.
        observed: String,
        /// What was expected, and what to do next.
        limit: String,
    },
}

/// A device as the node's registry has it, and what it is wanted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Its record; none while it is not registered.
    pub record: Option<depin_identity::DeviceRecord>,
    /// Its deals that are not over.
    pub deals: Vec<depin_core::SignedDeal>,
    /// Ids of those that were made too late for the current epoch: nothing is asked about them before the next.
    #[serde(default)]
    pub late: Vec<Digest>,
    /// What it was admitted by; none before it showed credentials, and on an open network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<Admitted>,
    /// The firmware it stated last, on a network that admits devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<depin_identity::Firmware>,
}

/// The answer to credentials that hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The device.
    pub device: DeviceId,
    /// What it is admitted by.
    pub admitted: Admitted,
}

/// Evidence that credentials of a device are revoked: a status list, as its issuer publishes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The device.
    pub device: DeviceId,
    /// The credential that holds the list.
    pub list: Box<RawValue>,
}

/// The answer to such evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// The device.
    pub device: DeviceId,
    /// Every place of its credentials that was found revoked.
    pub revoked: Vec<StatusPlace>,
}

/// A customer's credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// What it can still spend.
    pub available: Amount,
}

/// An error as every call gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The error.
    pub error: ApiErrorBody,
}

/// An error in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiErrorBody {
    /// One word, for programs.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do next.
    pub next: String,
}
