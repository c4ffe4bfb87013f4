//! A network assembled from its parameters.

use std::{collections::BTreeMap, fmt};

use depin_core::{OutOfBounds, Text};
use depin_proof::{
    AddError, BeaconRule, SeedBeacon, Verifier, Verifiers,
    possession::{Possession, PossessionParams},
};

use crate::params::NetworkParams;

/// Makes a verifier from its canonical parameters.
pub type MakeVerifier = fn(&[u8]) -> Result<Box<dyn Verifier>, String>;
/// Makes the rule of a beacon from its trust anchor.
pub type MakeBeaconRule = fn(&[u8]) -> Result<Box<dyn BeaconRule>, String>;

/// The verifiers and beacons that a node or an auditor knows. A third party adds its own.
#[derive(Clone, Debug)]
pub struct Catalogue {
    verifiers: BTreeMap<Text, MakeVerifier>,
    beacons: BTreeMap<Text, MakeBeaconRule>,
}

/// Parameters together with what they name: everything that judges and pays.
pub struct Network {
    params: NetworkParams,
    verifiers: Verifiers,
    beacon: Box<dyn BeaconRule>,
}

/// Why a network could not be assembled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A parameter outside its bounds.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// A verifier nobody here knows.
    #[error(
        "the verifier {0} is not known here; add it to the catalogue, or use a version of depin that has it"
    )]
    UnknownVerifier(Text),
    /// A beacon nobody here knows.
    #[error(
        "the beacon {0} is not known here; add it to the catalogue, or use a version of depin that has it"
    )]
    UnknownBeacon(Text),
    /// Parameters that a verifier or beacon does not take.
    #[error("{name} does not take its parameters: {reason}")]
    Params {
        /// The verifier or beacon.
        name: Text,
        /// Why.
        reason: String,
    },
    /// Two verifiers for one service.
    #[error(transparent)]
    Service(#[from] AddError),
}

/// The id of the verifier of possession.
pub const POSSESSION: &str = "depin.storage.possession/1";

impl Catalogue {
    /// What is in the box.
    pub fn standard() -> Self {
        let mut catalogue = Self { verifiers: BTreeMap::new(), beacons: BTreeMap::new() };
        catalogue.add_verifier(POSSESSION.into(), |params| {
            let params: PossessionParams =
                depin_core::cbor::from_slice(params).map_err(|error| error.to_string())?;
            Ok(Box::new(Possession::new(params)))
        });
        catalogue.add_beacon(SeedBeacon::KIND.into(), |anchor| {
            let seed =
                anchor.try_into().map_err(|_| format!("a seed of {} bytes; expected 32", anchor.len()))?;
            Ok(Box::new(SeedBeacon::new(seed)))
        });
        catalogue
    }

    /// Adds a verifier, or replaces the one of the same id.
    pub fn add_verifier(&mut self, id: Text, make: MakeVerifier) {
        self.verifiers.insert(id, make);
    }

    /// Adds a beacon, or replaces the one of the same kind.
    pub fn add_beacon(&mut self, kind: Text, make: MakeBeaconRule) {
        self.beacons.insert(kind, make);
    }
}

impl Network {
    /// Assembles the network that `params` describe.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn new(params: NetworkParams, catalogue: &Catalogue) -> Result<Self, NetworkError> {
        params.check()?;
        let mut verifiers = Verifiers::new();
        for service in &params.services {
            let id = &service.verifier;
            let make =
                catalogue.verifiers.get(id).ok_or_else(|| NetworkError::UnknownVerifier(id.clone()))?;
            let verifier =
                make(&service.params).map_err(|reason| NetworkError::Params { name: id.clone(), reason })?;
            verifiers.add(service.service.clone(), id.clone(), verifier)?;
        }
        let kind = &params.beacon.kind;
        let make = catalogue.beacons.get(kind).ok_or_else(|| NetworkError::UnknownBeacon(kind.clone()))?;
        let beacon = make(&params.beacon.anchor)
            .map_err(|reason| NetworkError::Params { name: kind.clone(), reason })?;
        Ok(Self { params, verifiers, beacon })
    }

    /// Its parameters.
    pub const fn params(&self) -> &NetworkParams {
        &self.params
    }

    /// Its verifiers.
    pub const fn verifiers(&self) -> &Verifiers {
        &self.verifiers
    }

    /// The rule of its beacon.
    pub fn beacon_rule(&self) -> &dyn BeaconRule {
        self.beacon.as_ref()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("params", &self.params)
            .field("verifiers", &self.verifiers)
            .finish_non_exhaustive()
    }
}
