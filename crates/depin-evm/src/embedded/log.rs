//! The blocks file: what the chain was told, in order, so that it can be executed again.
//!
//! Layout: eight bytes of magic, then frames. A frame is the payload's length and its bitwise complement (`u32`, little endian), a
//! checksum, and the payload, a deterministic CBOR [`Record`]. The checksum is SHA-256 of the checksum before and the payload, so that
//! a frame left out or moved shows as well; before the first stands SHA-256 of the magic. The first record is the genesis.
//!
//! Every append is flushed to the disk before it counts. A crash can therefore leave one torn frame at the end, never acknowledged to
//! anyone: it is cut off and kept in a file beside. Damage anywhere else is an error, never a silent loss.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use depin_core::{Digest, cbor, sha256};
use minicbor::{Decode, Encode};

use super::OpenError;

const MAGIC: &[u8; 8] = b"depinevm";
const FILE_NAME: &str = "blocks";
const HEADER: usize = 40;
/// Largest payload: a block is at most a handful of transactions of at most 128 KiB.
const MAX_PAYLOAD: usize = 16 << 20;
/// The version of the layout and of the rules by which records are executed.
const VERSION: u32 = 1;

/// Something the chain was told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Record {
    /// How the chain starts.
    #[n(0)]
    Genesis(#[n(0)] Genesis),
    /// A block was sealed.
    #[n(1)]
    Block {
        #[n(0)]
        timestamp: u64,
        /// EIP-2718 bytes.
        #[n(1)]
        txs: Vec<RawTx>,
        #[n(2)]
        hash: Digest,
    },
    /// Blocks above this one were taken back.
    #[n(2)]
    Rewind(#[n(0)] u64),
    /// A test set a balance: address and 32 bytes, big endian.
    #[n(3)]
    Balance {
        #[n(0)]
        #[cbor(with = "cbor::address")]
        address: depin_core::Address,
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        balance: [u8; 32],
    },
}

/// A transaction as it was received.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct RawTx(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub(super) Vec<u8>,
);

/// How a chain starts. Two chains with different ones never share a block hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Genesis {
    #[n(0)]
    pub(super) version: u32,
    #[n(1)]
    pub(super) chain_id: u64,
    /// Seconds since the Unix epoch.
    #[n(2)]
    pub(super) time: u64,
    #[n(3)]
    pub(super) accounts: Vec<Prefunded>,
}

/// An account that has a balance from the start.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Prefunded {
    #[n(0)]
    #[cbor(with = "cbor::address")]
    pub(super) address: depin_core::Address,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(super) balance: [u8; 32],
}

impl Genesis {
    pub(super) fn new(chain_id: u64, time: u64, accounts: Vec<Prefunded>) -> Self {
        Self { version: VERSION, chain_id, time, accounts }
    }
}

/// The open file. It holds an exclusive lock for as long as it lives.
#[derive(Debug)]
pub(super) struct BlocksFile {
    file: File,
    path: PathBuf,
    len: u64,
    /// The last checksum.
    head: Digest,
}

impl BlocksFile {
    /// Whether `dir` has such a file.
    pub(super) fn exists(dir: &Path) -> bool {
        dir.join(FILE_NAME).is_file()
    }

    /// Opens or creates the file in `dir` and reads every record.
    pub(super) fn open(dir: &Path) -> Result<(Self, Vec<Record>), OpenError> {
        let path = dir.join(FILE_NAME);
        let io = |source| OpenError::Io { path: path.clone(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Busy { path: path.clone() },
            TryLockError::Error(source) => io(source),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let Parsed { records, good, head } = parse(&bytes, &path)?;
        let mut this = Self { file, path: path.clone(), len: u64::try_from(good).unwrap_or(u64::MAX), head };
        if good < bytes.len() {
            this.cut(bytes.get(good..).unwrap_or_default()).map_err(io)?;
        }
        if good == 0 {
            this.write(MAGIC).map_err(io)?;
            // The name of a new file lives in its directory.
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        }
        Ok((this, records))
    }

    /// Appends a record; when this returns, it is on the disk.
    pub(super) fn append(&mut self, record: &Record) -> std::io::Result<()> {
        let payload = cbor::to_vec(record);
        let len = u32::try_from(payload.len()).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
        if payload.len() > MAX_PAYLOAD {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let mut frame = Vec::with_capacity(payload.len().saturating_add(HEADER));
        frame.extend_from_slice(&len.to_le_bytes());
        frame.extend_from_slice(&(!len).to_le_bytes());
        let head = sha256(&[self.head.as_bytes(), &payload]);
        frame.extend_from_slice(head.as_bytes());
        frame.extend_from_slice(&payload);
        self.write(&frame)?;
        self.head = head;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.len))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.len = self.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Ok(())
            }
            Err(error) => {
                // A half-written frame must not stand before the next one.
                self.file.set_len(self.len)?;
                Err(error)
            }
        }
    }

    /// Cuts a torn tail off and keeps it beside the file.
    fn cut(&mut self, torn: &[u8]) -> std::io::Result<()> {
        let beside = self.path.with_extension(format!("torn-{}", self.len));
        tracing::warn!(
            path = %self.path.display(), kept = %beside.display(), bytes = torn.len(),
            "the last write was interrupted; what it left was moved aside"
        );
        File::create(&beside).and_then(|mut file| file.write_all(torn).and_then(|()| file.sync_all()))?;
        self.file.set_len(self.len)?;
        self.file.sync_all()
    }
}

struct Parsed {
    records: Vec<Record>,
    /// Where the last good one ends.
    good: usize,
    head: Digest,
}

/// Reads every record.
fn parse(bytes: &[u8], path: &Path) -> Result<Parsed, OpenError> {
    let mut head = sha256(&[MAGIC]);
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        return Ok(Parsed { records: Vec::new(), good: 0, head });
    }
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return Err(OpenError::NotBlocks { path: path.to_owned() });
    };
    let mut records = Vec::new();
    loop {
        let at = bytes.len().saturating_sub(rest.len());
        let damaged = |what| OpenError::Damaged { path: path.to_owned(), at, what };
        match frame(rest, head) {
            Frame::End => return Ok(Parsed { records, good: at, head }),
            Frame::Damaged(what) => return Err(damaged(what)),
            Frame::Good { payload, after, checksum } => {
                check_version(payload, records.is_empty(), path)?;
                let record = cbor::from_slice(payload)
                    .map_err(|_| damaged("a record that this version cannot read"))?;
                records.push(record);
                (rest, head) = (after, checksum);
            }
        }
    }
}

enum Frame<'a> {
    Good {
        payload: &'a [u8],
        after: &'a [u8],
        checksum: Digest,
    },
    /// Nothing, or what an interrupted write leaves.
    End,
    Damaged(&'static str),
}

fn frame(rest: &[u8], head: Digest) -> Frame<'_> {
    // A file system may extend a file before it writes the data: zeros up to the end are an interrupted write too.
    if rest.iter().all(|byte| *byte == 0) {
        return Frame::End;
    }
    let Some((header, body)) = rest.split_at_checked(HEADER) else { return Frame::End };
    let (len, complement, found) = (le_u32(header, 0), le_u32(header, 4), header.get(8..HEADER));
    if len != !complement {
        return Frame::Damaged("the length of a record");
    }
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > MAX_PAYLOAD {
        return Frame::Damaged("the length of a record");
    }
    let Some((payload, after)) = body.split_at_checked(len) else { return Frame::End };
    let checksum = sha256(&[head.as_bytes(), payload]);
    if found == Some(checksum.as_bytes()) {
        return Frame::Good { payload, after, checksum };
    }
    if after.iter().all(|byte| *byte == 0) { Frame::End } else { Frame::Damaged("the checksum of a record") }
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    let end = at.saturating_add(4);
    bytes.get(at..end).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes).unwrap_or_default()
}

/// Reads the version before anything else of the genesis, so that a newer layout is named as such.
fn check_version(payload: &[u8], first: bool, path: &Path) -> Result<(), OpenError> {
    if !first {
        return Ok(());
    }
    let mut decoder = minicbor::Decoder::new(payload);
    let version = decoder
        .array()
        .and_then(|_| decoder.u32())
        .and_then(|_| decoder.array())
        .and_then(|_| decoder.array())
        .and_then(|_| decoder.u32());
    match version {
        Ok(VERSION) => Ok(()),
        Ok(found) => Err(OpenError::Version { path: path.to_owned(), found, supported: VERSION }),
        Err(_) => {
            Err(OpenError::Damaged { path: path.to_owned(), at: MAGIC.len(), what: "the genesis record" })
        }
    }
}
