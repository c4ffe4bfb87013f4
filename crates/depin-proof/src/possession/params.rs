//! How many leaves are asked for.

use depin_core::{Bounds, Bps, OutOfBounds};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

/// One in 10^30: an even number of times 10,000, far finer than the number of steps can blur.
const ONE: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// What a challenge must catch: the loss of the share `loss` of all leaves, with the probability `confidence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawParams", into = "RawParams")]
pub struct PossessionParams {
    loss: Bps,
    confidence: Bps,
    samples: u32,
}

impl PossessionParams {
    /// Catches the loss of `loss` of the data with the probability `confidence`, in one epoch.
    ///
    /// # Errors
    /// [`OutOfBounds`]: see [`PossessionParams::bounds`].
    pub fn new(loss: Bps, confidence: Bps) -> Result<Self, OutOfBounds> {
        Ok(Self { loss, confidence, samples: samples_needed(loss, confidence)? })
    }

    /// What governance may set `loss` and `confidence` to, in basis points: 0.1 % to 20 %, and 90 % to 99.99 %.
    pub fn bounds() -> [Bounds; 2] {
        [Bounds::new("possession.loss", 10, 2_000), Bounds::new("possession.confidence", 9_000, 9_999)]
    }

    /// The loss to catch.
    pub const fn loss(&self) -> Bps {
        self.loss
    }

    /// The probability to catch it with.
    pub const fn confidence(&self) -> Bps {
        self.confidence
    }

    /// Leaves asked for in one epoch: see [`samples_needed`].
    pub const fn samples(&self) -> u32 {
        self.samples
    }
}

/// Catches the loss of 1 % with 99 %: 459 leaves.
impl Default for PossessionParams {
    fn default() -> Self {
        let bps = |value| Bps::new(value).unwrap_or(Bps::WHOLE);
        Self { loss: bps(100), confidence: bps(9_900), samples: 459 }
    }
}

/// The smallest `K` with `(1 - loss)^K <= 1 - confidence`: with so many leaves drawn, somebody who lost that share gets through with at most the
/// probability that is left. Drawing distinct leaves, as is done here, lets through less. Exact to 30 decimal places, rounded against the
/// device.
///
/// # Errors
/// [`OutOfBounds`]: see [`PossessionParams::bounds`].
pub fn samples_needed(loss: Bps, confidence: Bps) -> Result<u32, OutOfBounds> {
    let [loss_bounds, confidence_bounds] = PossessionParams::bounds();
    loss_bounds.check(loss.value())?;
    confidence_bounds.check(confidence.value())?;
    let kept = u128::from(loss.complement().value());
    let allowed = u128::from(confidence.complement().value()) * (ONE / 10_000);
    let mut samples = 0;
    let mut undetected = ONE;
    // The bounds keep this below 10,000 steps, and every product below 2^128.
    while undetected > allowed {
        undetected = (undetected * kept).div_ceil(10_000);
        samples += 1;
    }
    Ok(samples)
}

/// An array of loss and confidence.
impl<C> Encode<C> for PossessionParams {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.u16(self.loss.value())?.u16(self.confidence.value())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for PossessionParams {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let refused = || minicbor::decode::Error::message("loss and confidence within their bounds").at(at);
        if d.array()? != Some(2) {
            return Err(refused());
        }
        Self::new(Bps::decode(d, ctx)?, Bps::decode(d, ctx)?).map_err(|_| refused())
    }
}

/// The form in configuration files.
#[derive(Serialize, Deserialize)]
#[serde(rename = "PossessionParams", deny_unknown_fields)]
struct RawParams {
    loss: Bps,
    confidence: Bps,
}

impl From<PossessionParams> for RawParams {
    fn from(params: PossessionParams) -> Self {
        Self { loss: params.loss, confidence: params.confidence }
    }
}

impl TryFrom<RawParams> for PossessionParams {
    type Error = OutOfBounds;

    fn try_from(raw: RawParams) -> Result<Self, OutOfBounds> {
        Self::new(raw.loss, raw.confidence)
    }
}
