//! The attestation extension: `KeyDescription` of Android's schema, versions 3 and later.

use crate::attestation::tlv::{Element, Malformed, Reader, Tag};

/// Where a key lives, from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecurityLevel {
    /// In software: no protection.
    Software,
    /// In a trusted execution environment of the main processor.
    TrustedEnvironment,
    /// In a processor of its own.
    StrongBox,
}

/// Who vouches for the system that booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootState {
    /// The maker.
    Verified,
    /// The owner.
    SelfSigned,
    /// Nobody.
    Unverified,
    /// The check failed.
    Failed,
}

/// What booted, as the bootloader told the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RootOfTrust {
    pub(super) locked: bool,
    pub(super) boot: BootState,
}

/// The authorizations of a key that one side enforces, as far as they matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Authorizations<'a> {
    pub(super) purposes: Vec<u32>,
    pub(super) origin: Option<u32>,
    pub(super) all_applications: bool,
    pub(super) root_of_trust: Option<RootOfTrust>,
    pub(super) patch_level: Option<u32>,
    /// SHA-256 of the certificates that sign the app.
    pub(super) app_signers: Vec<&'a [u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description<'a> {
    pub(super) version: u32,
    pub(super) attestation_level: SecurityLevel,
    pub(super) key_level: SecurityLevel,
    pub(super) challenge: &'a [u8],
    pub(super) software: Authorizations<'a>,
    pub(super) hardware: Authorizations<'a>,
}

/// Entries of a list or a set that are read at most.
const MAX_ENTRIES: usize = 64;

/// Numbers of the explicit tags in `AuthorizationList`.
mod tag {
    pub(super) const PURPOSE: u32 = 1;
    pub(super) const ALL_APPLICATIONS: u32 = 600;
    pub(super) const ORIGIN: u32 = 702;
    pub(super) const ROOT_OF_TRUST: u32 = 704;
    pub(super) const OS_PATCH_LEVEL: u32 = 706;
    pub(super) const APPLICATION_ID: u32 = 709;
}

impl<'a> Description<'a> {
    pub(super) fn parse(extension: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(Reader(extension).only(Tag::SEQUENCE)?);
        let version = reader.number(Tag::INTEGER)?;
        if version < 3 {
            return Err(Malformed("its version is below 3, which does not bind what was booted"));
        }
        let attestation_level = level(&mut reader)?;
        reader.number(Tag::INTEGER)?;
        let key_level = level(&mut reader)?;
        let challenge = reader.expect(Tag::OCTET_STRING)?.value;
        reader.expect(Tag::OCTET_STRING)?;
        let software = Authorizations::parse(reader.expect(Tag::SEQUENCE)?)?;
        let hardware = Authorizations::parse(reader.expect(Tag::SEQUENCE)?)?;
        reader.end()?;
        Ok(Self { version, attestation_level, key_level, challenge, software, hardware })
    }
}

impl<'a> Authorizations<'a> {
    fn parse(list: Element<'a>) -> Result<Self, Malformed> {
        let (mut found, mut seen, mut reader) = (Self::default(), Vec::new(), Reader(list.value));
        while let Some(entry) = reader.next()? {
            let number = entry.tag.explicit().ok_or(Malformed("an authorization has no explicit tag"))?;
            if seen.contains(&number) || seen.len() == MAX_ENTRIES {
                return Err(Malformed("an authorization comes twice, or there are more than 64"));
            }
            seen.push(number);
            found.read(number, Reader(entry.value))?;
        }
        Ok(found)
    }

    fn read(&mut self, number: u32, mut value: Reader<'a>) -> Result<(), Malformed> {
        match number {
            tag::PURPOSE => self.purposes = purposes(value)?,
            tag::ALL_APPLICATIONS => self.all_applications = true,
            tag::ORIGIN => self.origin = Some(value.number(Tag::INTEGER)?),
            tag::ROOT_OF_TRUST => self.root_of_trust = Some(RootOfTrust::parse(value)?),
            tag::OS_PATCH_LEVEL => self.patch_level = Some(value.number(Tag::INTEGER)?),
            tag::APPLICATION_ID => self.app_signers = app_signers(value)?,
            _ => {}
        }
        Ok(())
    }
}

impl RootOfTrust {
    fn parse(value: Reader<'_>) -> Result<Self, Malformed> {
        let mut reader = Reader(value.only(Tag::SEQUENCE)?);
        reader.expect(Tag::OCTET_STRING)?;
        let locked = reader.boolean()?;
        let boot = match reader.number(Tag::ENUMERATED)? {
            0 => BootState::Verified,
            1 => BootState::SelfSigned,
            2 => BootState::Unverified,
            3 => BootState::Failed,
            _ => return Err(Malformed("the boot state is unknown")),
        };
        reader.expect(Tag::OCTET_STRING)?;
        reader.end()?;
        Ok(Self { locked, boot })
    }
}

fn level(reader: &mut Reader<'_>) -> Result<SecurityLevel, Malformed> {
    match reader.number(Tag::ENUMERATED)? {
        0 => Ok(SecurityLevel::Software),
        1 => Ok(SecurityLevel::TrustedEnvironment),
        2 => Ok(SecurityLevel::StrongBox),
        _ => Err(Malformed("the security level is unknown")),
    }
}

fn purposes(value: Reader<'_>) -> Result<Vec<u32>, Malformed> {
    let (mut reader, mut found) = (Reader(value.only(Tag::SET)?), Vec::new());
    while !reader.0.is_empty() {
        if found.len() == MAX_ENTRIES {
            return Err(Malformed("there are more than 64 purposes"));
        }
        found.push(reader.number(Tag::INTEGER)?);
    }
    Ok(found)
}

/// The signature digests of `AttestationApplicationId`, which is DER in an OCTET STRING.
fn app_signers(value: Reader<'_>) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader(Reader(value.only(Tag::OCTET_STRING)?).only(Tag::SEQUENCE)?);
    reader.expect(Tag::SET)?;
    let mut signers = Reader(reader.expect(Tag::SET)?.value);
    reader.end()?;
    let mut found = Vec::new();
    while !signers.0.is_empty() {
        if found.len() == MAX_ENTRIES {
            return Err(Malformed("the app has more than 64 signers"));
        }
        found.push(signers.expect(Tag::OCTET_STRING)?.value);
    }
    Ok(found)
}
