//! A chain that reorganises, and a node in front of it that fails and lies on demand.

use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, Bytes, Log, LogData};
use async_trait::async_trait;
use depin_core::{ChainEvent, Digest, Timestamp, cbor, sha256};
use depin_index::{
    Asked, BlockFacts, ChainLog, ChainReader, ReadError, Tips, WINDOW, Wanted, conformance::sample,
};

pub const CONTRACT: Address = Address::repeat_byte(0xc0);
pub const TOPIC: B256 = B256::repeat_byte(0x70);

/// SplitMix64: the same numbers from the same seed.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    pub fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// A block with its events, each at its position.
#[derive(Clone, Debug)]
struct Block {
    facts: BlockFacts,
    events: Vec<(u64, ChainEvent)>,
}

#[derive(Clone, Debug)]
pub struct Chain {
    blocks: Vec<Block>,
    /// Blocks made so far: no two are the same.
    made: u64,
    /// Up to here nothing is replaced.
    pub final_block: u64,
    /// The newest block a follower may have stored: no reorganisation reaches deeper than the window below it.
    pub stored: u64,
    dice: Dice,
}

impl Chain {
    pub fn new(seed: u64) -> Self {
        let facts = BlockFacts {
            number: 0,
            hash: sha256(&[b"genesis"]),
            parent: Digest::default(),
            time: Timestamp(1_700_000_000_000),
        };
        let blocks = vec![Block { facts, events: vec![] }];
        Self { blocks, made: 0, final_block: 0, stored: 0, dice: Dice(seed) }
    }

    pub fn latest(&self) -> BlockFacts {
        self.blocks.last().unwrap().facts
    }

    pub fn events(&self) -> usize {
        self.blocks.iter().map(|block| block.events.len()).sum()
    }

    pub fn grow(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let parent = self.latest();
            self.made += 1;
            let number = parent.number + 1;
            let hash = sha256(&[&self.made.to_be_bytes(), &parent.hash.0]);
            // A few blocks make an hour, so that reorganisations fall within hours and across them.
            let time = Timestamp(parent.time.0 + 1_000 * (1 + self.dice.below(900)));
            let count = if self.dice.one_in(3) { 1 + self.dice.below(4) } else { 0 };
            let mut index = 0;
            let events = (0..count)
                .map(|_| {
                    index += 1 + self.dice.below(3);
                    (index, sample::event(self.dice.below(512)))
                })
                .collect();
            self.blocks.push(Block { facts: BlockFacts { number, hash, parent: parent.hash, time }, events });
        }
    }

    /// Takes the newest `depth` blocks away, as far as a follower can undo it.
    pub fn cut(&mut self, depth: u64) {
        let to = self.latest().number.saturating_sub(depth);
        let to = to.max(self.final_block).max(self.stored.saturating_sub(WINDOW));
        self.blocks.truncate(usize::try_from(to).unwrap() + 1);
    }

    /// As [`Chain::cut`], however deep.
    pub fn tear(&mut self, depth: u64) {
        let to = self.latest().number.saturating_sub(depth);
        self.blocks.truncate(usize::try_from(to).unwrap() + 1);
    }

    /// What happens to a chain at random.
    pub fn happen(&mut self, dice: &mut Dice) {
        match dice.below(6) {
            0 => self.grow(1 + dice.below(3)),
            1 => self.grow(1 + dice.below(60)),
            2 if dice.one_in(8) => self.grow(300 + dice.below(200)),
            3 => {
                let depth = 1 + dice.below(4);
                self.cut(depth);
                self.grow(depth + dice.below(2));
            }
            4 => {
                let depth = 1 + dice.below(WINDOW);
                let height = self.latest().number;
                self.cut(depth);
                // Shorter, of the same height, longer.
                let cut = height - self.latest().number;
                self.grow((cut + dice.below(3)).saturating_sub(dice.below(cut + 1)));
            }
            5 => {
                self.final_block = self.final_block.max(self.latest().number.saturating_sub(400));
                self.grow(1);
            }
            _ => self.cut(1 + dice.below(8)),
        }
    }

    fn logs(&self, from: u64, to: u64) -> Vec<ChainLog> {
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        let blocks = self.blocks.iter().skip(from).take(to + 1 - from);
        blocks
            .flat_map(|block| block.events.iter().map(|(index, event)| log(&block.facts, *index, event)))
            .collect()
    }
}

fn log(block: &BlockFacts, index: u64, event: &ChainEvent) -> ChainLog {
    let data = LogData::new_unchecked(vec![TOPIC], Bytes::from(cbor::to_vec(event)));
    ChainLog {
        block: Some(block.number),
        block_hash: Some(block.hash),
        log_index: Some(index),
        removed: false,
        log: Log { address: CONTRACT, data },
    }
}

/// Changes an answer.
pub type LogLie = fn(&mut Vec<ChainLog>);
pub type HeaderLie = fn(&mut Vec<Option<BlockFacts>>);

/// A node in front of a chain. With `trouble` it fails, lies and lets the chain change between two requests.
#[derive(Clone, Debug)]
pub struct Node {
    pub chain: Arc<Mutex<Chain>>,
    pub wanted: Wanted,
    /// Most blocks it answers at once.
    pub limit: u64,
    /// One request in so many goes wrong; 0 means none does.
    pub trouble: u64,
    pub dice: Arc<Mutex<Dice>>,
    pub log_lie: Option<LogLie>,
    pub header_lie: Option<HeaderLie>,
}

impl Node {
    pub fn honest(chain: Arc<Mutex<Chain>>) -> Self {
        let wanted = Wanted { addresses: vec![CONTRACT], topics: vec![TOPIC] };
        let dice = Arc::new(Mutex::new(Dice(0)));
        Self { chain, wanted, limit: u64::MAX, trouble: 0, dice, log_lie: None, header_lie: None }
    }

    /// Fails, or lets something happen to the chain first.
    fn trouble(&self) -> Result<(), ReadError> {
        let mut dice = self.dice.lock().unwrap();
        if self.trouble == 0 || !dice.one_in(self.trouble) {
            return Ok(());
        }
        if dice.one_in(2) {
            return Err(ReadError::Failed("connection reset".into()));
        }
        let mut then = dice.clone();
        dice.below(2);
        let mut chain = self.chain.lock().unwrap();
        // A run comes to an end.
        if chain.made < 2_000 {
            chain.happen(&mut then);
        }
        Ok(())
    }

    fn lies(&self) -> Option<u64> {
        let mut dice = self.dice.lock().unwrap();
        (self.trouble > 0 && dice.one_in(self.trouble)).then(|| dice.below(64))
    }
}

pub const LOG_LIES: [LogLie; 10] = [
    |logs| logs.reverse(),
    |logs| logs.extend(logs.last().cloned()),
    |logs| logs.iter_mut().take(1).for_each(|log| log.removed = true),
    |logs| logs.iter_mut().take(1).for_each(|log| log.block_hash = Some(Digest([7; 32]))),
    |logs| logs.iter_mut().take(1).for_each(|log| log.block = Some(u64::MAX)),
    |logs| logs.iter_mut().take(1).for_each(|log| log.block = None),
    |logs| logs.iter_mut().take(1).for_each(|log| log.log.address = Address::ZERO),
    |logs| {
        logs.iter_mut().take(1).for_each(|log| log.log.data = LogData::new_unchecked(vec![], Bytes::new()))
    },
    |logs| {
        logs.iter_mut().take(1).for_each(|log| {
            log.log.data = LogData::new_unchecked(vec![TOPIC], Bytes::from(vec![0xff]));
        });
    },
    |logs| {
        logs.iter_mut().take(1).for_each(|log| {
            log.log.data = LogData::new_unchecked(vec![TOPIC], Bytes::from(vec![0; 65 * 1024]));
        });
    },
];

pub const HEADER_LIES: [HeaderLie; 4] = [
    |headers| headers.truncate(headers.len() - 1),
    |headers| headers[0].as_mut().unwrap().number += 1,
    |headers| *headers.last_mut().unwrap() = None,
    // A hash is computed from its header, so both change.
    |headers| {
        let last = headers.last_mut().unwrap().as_mut().unwrap();
        (last.parent, last.hash) = (Digest([9; 32]), Digest([8; 32]));
    },
];

#[async_trait]
impl ChainReader for Node {
    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    async fn tips(&self) -> Result<Tips, ReadError> {
        self.trouble()?;
        let mut chain = self.chain.lock().unwrap();
        // What is told may be stored.
        chain.stored = chain.stored.max(chain.latest().number);
        Ok(Tips { latest: chain.latest(), final_block: Some(chain.final_block) })
    }

    async fn headers(&self, numbers: &[u64]) -> Result<Vec<Option<BlockFacts>>, ReadError> {
        self.trouble()?;
        let chain = self.chain.lock().unwrap();
        let header = |number: &u64| Some(chain.blocks.get(usize::try_from(*number).ok()?)?.facts);
        let mut headers: Vec<_> = numbers.iter().map(header).collect();
        // One header alone may be a comparison with the past, where a lie cannot be told from a reorganisation.
        if headers.len() > 1 && headers.iter().all(Option::is_some) {
            if let Some(lie) = self.header_lie {
                lie(&mut headers);
            } else if let Some(number) = self.lies() {
                HEADER_LIES[usize::try_from(number).unwrap() % HEADER_LIES.len()](&mut headers);
            }
        }
        Ok(headers)
    }

    async fn logs(&self, asked: Asked<'_>) -> Result<Vec<ChainLog>, ReadError> {
        self.trouble()?;
        let chain = self.chain.lock().unwrap();
        let mut logs = match asked {
            Asked::Range { from, to } => {
                if to - from >= self.limit {
                    return Err(ReadError::TooMuch { said: format!("at most {} blocks", self.limit) });
                }
                chain.logs(from, to)
            }
            Asked::Blocks(blocks) => {
                let mut logs = Vec::new();
                for block in blocks {
                    let here = chain.blocks.get(usize::try_from(block.number).unwrap());
                    if here.is_none_or(|here| here.facts.hash != block.hash) {
                        return Err(ReadError::Unknown { block: block.number });
                    }
                    logs.extend(chain.logs(block.number, block.number));
                }
                logs
            }
        };
        if !logs.is_empty() {
            if let Some(lie) = self.log_lie {
                lie(&mut logs);
            } else if let Some(number) = self.lies() {
                LOG_LIES[usize::try_from(number).unwrap() % LOG_LIES.len()](&mut logs);
            }
        }
        Ok(logs)
    }

    fn decode(&self, log: &Log) -> Result<ChainEvent, &'static str> {
        cbor::from_slice(&log.data.data).map_err(|_| "its data is no event")
    }
}
