//! The TPM's wire format: big-endian numbers and buffers with a length of two bytes (TPM2B).

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

/// Numbers of the TCG Algorithm Registry and of TPM 2.0 Part 2 that are used here.
pub(super) mod id {
    pub(crate) const RSA: u16 = 0x0001;
    pub(crate) const SHA256: u16 = 0x000b;
    pub(crate) const SHA384: u16 = 0x000c;
    pub(crate) const SHA512: u16 = 0x000d;
    pub(crate) const NULL: u16 = 0x0010;
    pub(crate) const RSASSA: u16 = 0x0014;
    pub(crate) const RSAPSS: u16 = 0x0016;
    pub(crate) const ECDSA: u16 = 0x0018;
    pub(crate) const ECC: u16 = 0x0023;
    pub(crate) const P256: u16 = 0x0003;
    pub(crate) const P384: u16 = 0x0004;
    /// TPM_GENERATED_VALUE: 0xff and "TCG".
    pub(crate) const GENERATED: u32 = 0xff54_4347;
    /// TPM_ST_ATTEST_QUOTE.
    pub(crate) const QUOTE: u16 = 0x8018;
}

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (first, rest) = self.0.split_at_checked(len).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(first)
    }

    /// A TPM2B: its buffer.
    pub(super) fn buffer(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow its end")) }
    }
}

/// `bytes` as a TPM2B; none above 65,535 bytes.
pub(super) fn buffer(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut framed = u16::try_from(bytes.len()).ok()?.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    Some(framed)
}

/// A number in `N` bytes: leading zeros are added or, as TPMs differ here, dropped.
pub(super) fn fixed<const N: usize>(number: &[u8]) -> Option<[u8; N]> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..)?;
    let mut bytes = [0; N];
    bytes.get_mut(N.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some(bytes)
}
