//! Readings of sensors in the body of a report: SenML (RFC 8428, CBOR) in the profile that `depin_device::Readings` writes.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use depin_core::{
    Millis, Text,
    cbor::{self, CborError},
};
use minicbor::{
    Decoder,
    data::{Tag, Type},
    decode::Error,
};

/// A number without rounding: mantissa * 10^exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The digits.
    pub mantissa: i64,
    /// The power of ten, -18 to 18.
    pub exponent: i8,
}

/// One reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was read: base name and name.
    pub name: Text,
    /// Its unit, from the SenML registry (`Cel`, `Wh`, `%RH`).
    pub unit: Option<Text>,
    /// The number.
    pub value: Decimal,
    /// How long before the time of the report.
    pub age: Millis,
}

impl Reading {
    /// Most readings of one body.
    pub const MAX: u64 = 4096;

    /// Reads the body of a report, in the order in which readings were taken.
    ///
    /// The body is one deterministic array of maps, one per reading: name 0, unit 1, value 2, time 6, and in the first map base name -2, base time -3
    /// (always, minus the age of the first reading) and base unit -4. Values are integers or decimal fractions. Times are seconds, as an integer, or in
    /// thousandths as a decimal fraction; they never go back, and none is after the report. Anything else is refused.
    ///
    /// # Errors
    /// [`CborError`].
    pub fn read_all(body: &[u8]) -> Result<Vec<Self>, CborError> {
        cbor::check(body)?;
        let mut decoder = Decoder::new(body);
        Ok(pack(&mut decoder)?)
    }
}

/// What the first map says for all of them.
struct Base {
    name: String,
    unit: Option<Text>,
    time: i64,
}

/// The fields of one map.
#[derive(Default)]
struct Fields<'b> {
    name: Option<&'b str>,
    unit: Option<&'b str>,
    value: Option<Decimal>,
    time: Option<Decimal>,
    base_name: Option<&'b str>,
    base_time: Option<Decimal>,
    base_unit: Option<&'b str>,
}

fn pack(d: &mut Decoder<'_>) -> Result<Vec<Reading>, Error> {
    let len = d.array()?.filter(|len| (1..=Reading::MAX).contains(len));
    let len = len.ok_or_else(|| Error::message("an array of 1 to 4096 readings"))?;
    let mut readings = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
    let mut base: Option<Base> = None;
    let mut last = 0;
    for _ in 0..len {
        let at = d.position();
        let fields = Fields::read(d)?;
        let base = match &mut base {
            Some(_) if fields.has_base() => {
                return Err(Error::message("base fields in the first reading only").at(at));
            }
            Some(base) => base,
            none => none.insert(fields.base().map_err(|error| error.at(at))?),
        };
        let after = fields.time.map_or(Ok(0), millis).map_err(|error| error.at(at))?;
        if after < last || (fields.time.is_some() && after == 0) {
            return Err(Error::message("times that never go back, and none that is zero").at(at));
        }
        last = after;
        readings.push(fields.reading(base, after).map_err(|error| error.at(at))?);
    }
    Ok(readings)
}

impl<'b> Fields<'b> {
    fn read(d: &mut Decoder<'b>) -> Result<Self, Error> {
        let mut fields = Self::default();
        for _ in 0..d.map()?.unwrap_or_default() {
            let at = d.position();
            match d.i8()? {
                0 => fields.name = Some(some(d.str()?, at)?),
                1 => fields.unit = Some(some(d.str()?, at)?),
                2 => fields.value = Some(decimal(d)?),
                6 => fields.time = Some(decimal(d)?),
                -2 => fields.base_name = Some(some(d.str()?, at)?),
                -3 => fields.base_time = Some(decimal(d)?),
                -4 => fields.base_unit = Some(some(d.str()?, at)?),
                _ => return Err(Error::message("a label of RFC 8428 that devices use").at(at)),
            }
        }
        Ok(fields)
    }

    const fn has_base(&self) -> bool {
        self.base_name.is_some() || self.base_time.is_some() || self.base_unit.is_some()
    }

    fn base(&self) -> Result<Base, Error> {
        let time = self.base_time.ok_or_else(|| Error::message("the base time in the first reading"))?;
        let time = millis(time)?;
        if !(-MAX_SPAN..=0).contains(&time) {
            return Err(Error::message("a base time of up to 2^28 seconds before the report"));
        }
        let name = self.base_name.unwrap_or_default().to_owned();
        Ok(Base { name, unit: self.base_unit.map(text).transpose()?, time })
    }

    fn reading(&self, base: &Base, after: i64) -> Result<Reading, Error> {
        let name = [&base.name, self.name.unwrap_or_default()].concat();
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins_well || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:./_".contains(&b)) {
            return Err(Error::message("a name of the characters that SenML allows"));
        }
        let unit = self.unit.map(text).transpose()?.or_else(|| base.unit.clone());
        let value = self.value.ok_or_else(|| Error::message("a value in each reading"))?;
        // Both are within 2^28 seconds.
        let age = u64::try_from(base.time.saturating_add(after).saturating_neg());
        let age = age.map_err(|_| Error::message("readings that were taken before the report"))?;
        Ok(Reading { name: text(&name)?, unit, value, age: Millis(age) })
    }
}

/// 2^28 seconds in milliseconds, from where on SenML takes times as absolute.
const MAX_SPAN: i64 = 268_435_455_999;

/// Absent and empty mean the same, so only one of them is written.
fn some(text: &str, at: usize) -> Result<&str, Error> {
    if text.is_empty() { Err(Error::message("no empty text").at(at)) } else { Ok(text) }
}

fn text(text: &str) -> Result<Text, Error> {
    Text::new(text).map_err(|_| Error::message("a text of 1 to 64 printable ASCII characters"))
}

/// An integer, or the decimal fraction of RFC 8949, 3.4.4.
fn decimal(d: &mut Decoder<'_>) -> Result<Decimal, Error> {
    let at = d.position();
    if d.datatype()? != Type::Tag {
        return Ok(Decimal { mantissa: d.i64()?, exponent: 0 });
    }
    if d.tag()? != Tag::new(4) || d.array()? != Some(2) {
        return Err(Error::message("an integer or a decimal fraction").at(at));
    }
    let exponent = d.i8()?;
    if exponent == 0 || !(-18..=18).contains(&exponent) {
        return Err(Error::message("an exponent of -18 to 18 other than 0").at(at));
    }
    Ok(Decimal { mantissa: d.i64()?, exponent })
}

/// Seconds in their one form, as milliseconds.
fn millis(time: Decimal) -> Result<i64, Error> {
    let millis = match (time.exponent, time.mantissa % 1000) {
        (0, _) => time.mantissa.checked_mul(1000),
        (-3, rest) if rest != 0 => Some(time.mantissa),
        _ => None,
    };
    millis.ok_or_else(|| Error::message("seconds as an integer, or else in thousandths"))
}
