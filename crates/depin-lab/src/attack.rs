//! Ways of cheating that are in the box.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a simulated cheater does. It cheats on everything it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Attack {
    /// Deletes 5 % of what it keeps and hopes not to be asked for it.
    PartialStorage,
    /// Answers each epoch with the proof of the epoch before.
    Replay,
    /// Signs with a copy of somebody else's device key.
    Clone,
    /// Reports that it is up, and nothing else.
    Uptime,
    /// Is its own customer, for data it made up.
    SelfDealing,
    /// Has no maker, and shows a credential in a maker's name that it signed itself. Keeps what it is given.
    Counterfeit,
}

impl Attack {
    /// Every attack, in the order in which cheaters take them up.
    pub const ALL: [Self; 6] =
        [Self::PartialStorage, Self::Replay, Self::Clone, Self::Uptime, Self::SelfDealing, Self::Counterfeit];

    /// The attack of the cheater with this number: each of `attacks` once, then from the start; each there is if `attacks` is empty.
    pub fn of_cheater(number: usize, attacks: &[Self]) -> Self {
        let attacks = if attacks.is_empty() { &Self::ALL } else { attacks };
        number.checked_rem(attacks.len()).and_then(|at| attacks.get(at)).copied().unwrap_or(Self::Uptime)
    }

    /// Whether it forges a proof of work, so that whatever it earns is a fault of ours. A self-dealer does the work; it must lose money.
    pub const fn is_forging(self) -> bool {
        !matches!(self, Self::SelfDealing)
    }

    /// Its name on the command line and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PartialStorage => "partial-storage",
            Self::Replay => "replay",
            Self::Clone => "clone",
            Self::Uptime => "uptime",
            Self::SelfDealing => "self-dealing",
            Self::Counterfeit => "counterfeit",
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No attack of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no attack {found:?}; use one of partial-storage, replay, clone, uptime, self-dealing, counterfeit"
)]
pub struct UnknownAttack {
    found: String,
}

impl FromStr for Attack {
    type Err = UnknownAttack;

    fn from_str(name: &str) -> Result<Self, UnknownAttack> {
        Self::ALL
            .into_iter()
            .find(|attack| attack.name() == name)
            .ok_or_else(|| UnknownAttack { found: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attack_once_then_again() {
        let first: Vec<_> = (0..6).map(|number| Attack::of_cheater(number, &[])).collect();
        assert_eq!(first, Attack::ALL);
        assert_eq!(Attack::of_cheater(6, &[]), Attack::PartialStorage);
        assert_eq!(Attack::of_cheater(2, &[Attack::SelfDealing, Attack::Clone]), Attack::SelfDealing);
        for attack in Attack::ALL {
            assert_eq!(attack.name().parse(), Ok(attack));
        }
        assert!("none".parse::<Attack>().is_err());
    }
}
