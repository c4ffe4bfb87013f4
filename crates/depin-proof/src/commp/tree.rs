//! The tree under a piece commitment, built from left to right.

use std::sync::LazyLock;

use sha2::block_api::compress256;

use super::{Piece, PieceCommitment, PieceError};

/// A leaf or an inner node.
pub(crate) type Node = [u8; 32];

/// 127 bytes make four leaves.
const QUAD: usize = 127;

/// Quads hashed at a time.
const BATCH: usize = 32;

/// Levels from the leaves to the root of the four leaves that 127 bytes make.
const QUAD_LEVEL: u32 = 2;

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The second block of every 64-byte message: a one bit, zeros, the length of 512 bits.
const PADDING: [u8; 64] = {
    let mut block = [0; 64];
    block[0] = 0x80;
    block[62] = 0x02;
    block
};

/// Roots of trees of zero leaves, by height.
static ZERO_SUBTREES: LazyLock<[Node; 41]> = LazyLock::new(|| {
    let mut roots = [[0; 32]; 41];
    let mut root = [0; 32];
    for slot in &mut roots {
        *slot = root;
        root = join(&root, &root);
    }
    roots
});

/// The root of a tree of zero leaves that is `height` levels high; a piece has at most 35 levels.
pub(crate) fn zero_subtree(height: u32) -> Node {
    let height = usize::try_from(height).unwrap_or(usize::MAX);
    ZERO_SUBTREES.get(height).copied().unwrap_or_default()
}

/// The parent of two nodes.
pub(crate) fn join(left: &Node, right: &Node) -> Node {
    hash(side_by_side(left, right))
}

fn side_by_side(left: &Node, right: &Node) -> [u8; 64] {
    let mut block = [0; 64];
    let (first, second) = block.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    block
}

/// SHA-256 of 64 bytes, without the two top bits. Straight to the compression function, because the buffering of a general hasher costs a
/// third of the time at this size.
fn hash(block: [u8; 64]) -> Node {
    let mut state = INITIAL;
    compress256(&mut state, &[block, PADDING]);
    let mut node = [0; 32];
    let (words, _) = node.as_chunks_mut::<4>();
    for (to, word) in words.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    node[31] &= 0x3f;
    node
}

/// Sees every node of a tree as it is made: on each level from left to right.
pub(crate) trait Observe {
    /// The node at `index` of `level`; leaves are level 0.
    fn node(&mut self, level: u32, index: u64, node: &Node);
}

/// Sees nothing, and costs nothing.
impl Observe for () {
    fn node(&mut self, _: u32, _: u64, _: &Node) {}
}

/// A tree that grows by bytes. Keeps one node per level.
#[derive(Clone)]
pub(crate) struct Tree<O> {
    /// The bytes of an unfinished quad.
    quad: [u8; QUAD],
    filled: usize,
    quads: u64,
    size: u64,
    /// From the level of quads upward: the root of a finished subtree that waits for its right sibling.
    waiting: Vec<Option<Node>>,
    observer: O,
}

impl<O: Observe + Default> Default for Tree<O> {
    fn default() -> Self {
        Self::new(O::default())
    }
}

impl<O: Observe> Tree<O> {
    pub(crate) fn new(observer: O) -> Self {
        Self { quad: [0; QUAD], filled: 0, quads: 0, size: 0, waiting: Vec::new(), observer }
    }

    /// Bytes so far.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // A length always fits into 64 bits; a sum that does not is far beyond the largest piece.
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let mut rest = bytes;
        if self.filled > 0 {
            rest = self.fill(rest);
            if self.filled < QUAD {
                return;
            }
            self.push_quads(&[self.quad]);
            self.filled = 0;
        }
        let (quads, rest) = rest.as_chunks::<QUAD>();
        quads.chunks(BATCH).for_each(|batch| self.push_quads(batch));
        self.fill(rest);
    }

    /// Completes the unfinished quad as far as `bytes` go, and returns what is left of them.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let space = self.quad.get_mut(self.filled..).unwrap_or_default();
        let taken = bytes.len().min(space.len());
        let (now, later) = bytes.split_at(taken);
        space.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        self.filled = self.filled.saturating_add(taken);
        later
    }

    /// The piece, and the observer back.
    pub(crate) fn finish(mut self) -> Result<(Piece, O), PieceError> {
        if self.size == 0 {
            return Err(PieceError::Empty);
        }
        if self.size > super::MAX_PIECE {
            return Err(PieceError::TooLarge { found: self.size });
        }
        if self.filled > 0 {
            self.quad.iter_mut().skip(self.filled).for_each(|byte| *byte = 0);
            self.push_quads(&[self.quad]);
        }
        let commitment = PieceCommitment::from_bytes(self.root())?;
        Ok((Piece::new(commitment, self.size)?, self.observer))
    }

    /// Takes at most [`BATCH`] quads, step by step for all of them: a hash of what was written just before leaves the processor half idle.
    fn push_quads(&mut self, quads: &[[u8; QUAD]]) {
        let mut blocks = [[[0; 64]; 2]; BATCH];
        blocks.iter_mut().zip(quads).for_each(|(blocks, quad)| *blocks = leaves(quad));
        let mut pairs = [[0; 64]; BATCH];
        for (((blocks, pair), index), _) in blocks.iter().zip(&mut pairs).zip(self.quads..).zip(quads) {
            let leaves = blocks.iter().flat_map(|block| block.as_chunks::<32>().0);
            (index << 2..).zip(leaves).for_each(|(index, leaf)| self.observer.node(0, index, leaf));
            let [left, right] = blocks.map(hash);
            self.observer.node(1, index << 1, &left);
            self.observer.node(1, (index << 1) | 1, &right);
            *pair = side_by_side(&left, &right);
        }
        let mut nodes = [[0; 32]; BATCH];
        nodes.iter_mut().zip(pairs).zip(quads).for_each(|((node, pair), _)| *node = hash(pair));
        nodes.into_iter().zip(quads).for_each(|(node, _)| self.push(node));
    }

    /// Takes the root of the next quad, and finishes the subtrees it completes.
    fn push(&mut self, quad: Node) {
        let (mut node, mut index, mut level) = (quad, self.quads, QUAD_LEVEL);
        self.quads = self.quads.saturating_add(1);
        self.observer.node(level, index, &node);
        for slot in &mut self.waiting {
            let Some(left) = slot.take() else {
                *slot = Some(node);
                return;
            };
            node = join(&left, &node);
            index >>= 1;
            level = level.saturating_add(1);
            self.observer.node(level, index, &node);
        }
        self.waiting.push(Some(node));
    }

    /// Completes the right edge with zero subtrees.
    fn root(&mut self) -> Node {
        let mut edge: Option<Node> = None;
        let mut index = self.quads.saturating_sub(1);
        let mut level = QUAD_LEVEL;
        let mut slots = self.waiting.iter_mut().peekable();
        while let Some(slot) = slots.next() {
            if slots.peek().is_none() && edge.is_none() {
                return slot.take().unwrap_or_default();
            }
            edge = match (slot.take(), edge) {
                (Some(left), Some(right)) => Some(join(&left, &right)),
                (Some(only), None) | (None, Some(only)) => Some(join(&only, &zero_subtree(level))),
                (None, None) => None,
            };
            index >>= 1;
            level = level.saturating_add(1);
            if let Some(node) = &edge {
                self.observer.node(level, index, node);
            }
        }
        edge.unwrap_or_default()
    }
}

/// Fr32: 127 bytes as four leaves of 254 bits, in two blocks ready to be hashed.
fn leaves(quad: &[u8; QUAD]) -> [[u8; 64]; 2] {
    const TOP: u64 = u64::MAX >> 2;
    let mut words = [0; QUAD / 8];
    for (word, bytes) in words.iter_mut().zip(quad.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = words;
    // The last seven bytes, and above them nothing.
    let p = quad.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes) >> 8);
    // A leaf starts two bits earlier in its word than the one before.
    let left =
        [a, b, c, d & TOP, d >> 62 | e << 2, e >> 62 | f << 2, f >> 62 | g << 2, (g >> 62 | h << 2) & TOP];
    let right = [
        h >> 60 | i << 4,
        i >> 60 | j << 4,
        j >> 60 | k << 4,
        (k >> 60 | l << 4) & TOP,
        l >> 58 | m << 6,
        m >> 58 | n << 6,
        n >> 58 | o << 6,
        (o >> 58 | p << 6) & TOP,
    ];
    [left, right].map(|words| {
        let mut block = [0; 64];
        for (to, word) in block.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *to = word.to_le_bytes();
        }
        block
    })
}
