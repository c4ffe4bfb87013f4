//! A reader for DER (X.690) over borrowed bytes: what the certificate library does not give, which are the bytes that were signed and tag
//! numbers above 30. It does not recurse, so nesting costs what its caller asks for.

/// What is wrong with DER bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A tag: class and form as they stand in the first byte, and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The upper three bits of the first byte.
    form: u8,
    number: u32,
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    /// Tag, length and value.
    pub(crate) whole: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Tag {
    pub(crate) const BOOLEAN: Self = Self::universal(1);
    pub(crate) const INTEGER: Self = Self::universal(2);
    pub(crate) const OCTET_STRING: Self = Self::universal(4);
    pub(crate) const ENUMERATED: Self = Self::universal(10);
    pub(crate) const SEQUENCE: Self = Self { form: 0x20, number: 16 };
    pub(crate) const SET: Self = Self { form: 0x20, number: 17 };

    const fn universal(number: u32) -> Self {
        Self { form: 0, number }
    }

    /// The number of an explicit context-specific tag.
    pub(crate) fn explicit(self) -> Option<u32> {
        (self.form == 0xa0).then_some(self.number)
    }
}

impl<'a> Reader<'a> {
    /// The next element; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        let start = self.0;
        let Some(first) = self.byte() else { return Ok(None) };
        let number = match first & 0x1f {
            0x1f => self.long_number()?,
            short => u32::from(short),
        };
        let length = self.length()?;
        let (value, rest) = self.0.split_at_checked(length).ok_or(Malformed("an element ends too early"))?;
        let whole = start.get(..start.len().saturating_sub(rest.len())).unwrap_or_default();
        self.0 = rest;
        Ok(Some(Element { tag: Tag { form: first & 0xe0, number }, whole, value }))
    }

    /// The next element, which must be a `tag`.
    pub(crate) fn expect(&mut self, tag: Tag) -> Result<Element<'a>, Malformed> {
        let element = self.next()?.ok_or(Malformed("an element is missing"))?;
        if element.tag == tag { Ok(element) } else { Err(Malformed("an element has another type")) }
    }

    /// The value of the one element that there is, which must be a `tag`.
    pub(crate) fn only(mut self, tag: Tag) -> Result<&'a [u8], Malformed> {
        let element = self.expect(tag)?;
        self.end()?;
        Ok(element.value)
    }

    /// The next element, a small number that is not negative.
    pub(crate) fn number(&mut self, tag: Tag) -> Result<u32, Malformed> {
        let value = self.expect(tag)?.value;
        let shortest = match value {
            [] => false,
            [0, second, ..] => *second >= 0x80,
            [first, ..] => *first < 0x80,
        };
        if !shortest || value.len() > 5 {
            return Err(Malformed("a number is negative, too large or not in its shortest form"));
        }
        let number = value.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        u32::try_from(number).map_err(|_| Malformed("a number is too large"))
    }

    /// The next element, a truth value.
    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.expect(Tag::BOOLEAN)?.value {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Malformed("a BOOLEAN is neither 00 nor ff")),
        }
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes follow the last element")) }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A tag number above 30: groups of seven bits, three at most.
    fn long_number(&mut self) -> Result<u32, Malformed> {
        const WRONG: Malformed = Malformed("a tag number is cut, too large or not in its shortest form");
        let mut number = 0_u32;
        for group in 0..3 {
            let byte = self.byte().ok_or(WRONG)?;
            if group == 0 && byte == 0x80 {
                return Err(WRONG);
            }
            number = (number << 7) | u32::from(byte & 0x7f);
            if byte < 0x80 {
                return if number < 0x1f { Err(WRONG) } else { Ok(number) };
            }
        }
        Err(WRONG)
    }

    /// A definite length in its shortest form, below 2^24.
    fn length(&mut self) -> Result<usize, Malformed> {
        const WRONG: Malformed =
            Malformed("a length is cut, indefinite, too large or not in its shortest form");
        let first = self.byte().ok_or(WRONG)?;
        let bytes = match first {
            0..=0x7f => return Ok(usize::from(first)),
            0x81..=0x83 => first & 0x0f,
            _ => return Err(WRONG),
        };
        let mut length = 0_usize;
        for position in 0..bytes {
            let byte = self.byte().ok_or(WRONG)?;
            if position == 0 && byte == 0 {
                return Err(WRONG);
            }
            length = (length << 8) | usize::from(byte);
        }
        if length < 0x80 { Err(WRONG) } else { Ok(length) }
    }
}
