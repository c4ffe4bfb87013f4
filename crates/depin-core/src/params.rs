//! Bounds of a parameter: what governance may set, and nothing beyond.

use crate::Text;

/// The closed range a parameter may take, in the parameter's own unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The parameter, as `area.name`.
    pub name: Text,
    /// Smallest allowed value.
    pub min: u128,
    /// Largest allowed value.
    pub max: u128,
}

/// A parameter outside its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {found}; set it between {min} and {max}")]
pub struct OutOfBounds {
    /// The parameter.
    pub name: Text,
    /// Its value.
    pub found: u128,
    /// Smallest allowed value.
    pub min: u128,
    /// Largest allowed value.
    pub max: u128,
}

impl Bounds {
    /// Bounds for the parameter `name`.
    pub fn new(name: &'static str, min: u128, max: u128) -> Self {
        Self { name: name.into(), min, max }
    }

    /// Gives `value` back if it lies inside.
    ///
    /// # Errors
    /// [`OutOfBounds`] with the value and the bounds.
    pub fn check(&self, value: impl Into<u128>) -> Result<u128, OutOfBounds> {
        let found = value.into();
        if (self.min..=self.max).contains(&found) {
            Ok(found)
        } else {
            Err(OutOfBounds { name: self.name.clone(), found, min: self.min, max: self.max })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_inside() {
        let bounds = Bounds::new("rewards.burn", 1, 10);
        assert_eq!(bounds.check(1u8), Ok(1));
        assert_eq!(bounds.check(10u8), Ok(10));
        assert_eq!(bounds.check(11u8).unwrap_err().found, 11);
        assert!(bounds.check(0u8).is_err());
    }
}
