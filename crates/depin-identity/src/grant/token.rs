//! Narrowing tokens, and looking into them before anything in them runs.

use biscuit_auth::{
    Algorithm, Biscuit, BlockBuilder, KeyPair, PrivateKey, UnverifiedBiscuit, format::schema,
};
use depin_core::{KeyType, sha256};
use prost::Message as _;
use zeroize::Zeroizing;

use super::{Grant, GrantError, GrantId, Narrowing};

/// Longest symbol of a block in bytes: a did:key has 56, a kind or service 64.
const MAX_SYMBOL: usize = 80;

impl Grant {
    /// Takes something away from a grant, offline: no key but the one in the token is needed. `random` as in [`Grant::prepare`].
    ///
    /// # Errors
    /// [`GrantError`]; whether the grant counts at all is not looked at.
    pub fn narrow(token: &[u8], narrowing: &Narrowing, random: &[u8; 32]) -> Result<Vec<u8>, GrantError> {
        bounds(token)?;
        let text = narrowing.to_text()?;
        let held = UnverifiedBiscuit::from(token).map_err(malformed)?;
        if held.block_count() >= Self::MAX_BLOCKS {
            let (found, max) = (held.block_count().saturating_add(1), Self::MAX_BLOCKS);
            return Err(GrantError::Blocks { found, max });
        }
        let block = BlockBuilder::new().code(&text).map_err(malformed)?;
        let narrowed = held.append_with_keypair(&next_key(random, &text)?, block);
        bounded(narrowed.and_then(|token| token.to_vec()).map_err(malformed)?)
    }
}

/// A verified token, taken apart.
pub(super) struct Parts {
    pub(super) grant: Grant,
    pub(super) narrowings: Vec<Narrowing>,
    pub(super) ids: Vec<GrantId>,
}

pub(super) fn malformed(error: impl std::fmt::Display) -> GrantError {
    GrantError::Malformed { reason: error.to_string() }
}

pub(super) fn algorithm(kind: KeyType) -> Result<Algorithm, GrantError> {
    match kind {
        KeyType::Ed25519 => Ok(Algorithm::Ed25519),
        KeyType::P256 => Ok(Algorithm::Secp256r1),
        found => Err(GrantError::Key { found }),
    }
}

pub(super) fn bounds(token: &[u8]) -> Result<(), GrantError> {
    let (found, max) = (token.len(), Grant::MAX_LEN);
    if found > max { Err(GrantError::TooLarge { found, max }) } else { Ok(()) }
}

pub(super) fn bounded(token: Vec<u8>) -> Result<Vec<u8>, GrantError> {
    bounds(&token).map(|()| token)
}

pub(super) fn key_pair(secret: &[u8], algorithm: Algorithm) -> Result<KeyPair, GrantError> {
    Ok(KeyPair::from(&PrivateKey::from_bytes(secret, algorithm).map_err(malformed)?))
}

/// The key that signs the next block. Other blocks get other keys even should `random` be used again.
pub(super) fn next_key(random: &[u8; 32], text: &str) -> Result<KeyPair, GrantError> {
    let seed = Zeroizing::new(sha256(&[b"depin/grant/v1/next", random, text.as_bytes()]).0);
    key_pair(seed.as_slice(), Algorithm::Ed25519)
}

impl Parts {
    /// Takes a verified token apart; `bytes` are what it was read from.
    pub(super) fn of(token: &Biscuit, bytes: &[u8]) -> Result<Self, GrantError> {
        let (found, max) = (token.block_count(), Grant::MAX_BLOCKS);
        if found > max {
            return Err(GrantError::Blocks { found, max });
        }
        if let Some(block) = token.external_public_keys().iter().position(Option::is_some) {
            return Err(GrantError::ThirdParty { block });
        }
        if token.to_vec().map_err(malformed)? != bytes {
            return Err(malformed("it is not in its one encoding"));
        }
        let proto = token.container().to_proto();
        let (mut ids, mut narrowings) = (Vec::new(), Vec::new());
        for (index, signed) in core::iter::once(&proto.authority).chain(&proto.blocks).enumerate() {
            check_form(index, &signed.block)?;
            ids.push(id(signed));
        }
        let text = |index| token.print_block_source(index).map_err(malformed);
        let foreign =
            |block| GrantError::Vocabulary { block, reason: "it says something else than grants say" };
        let grant = Grant::from_text(&text(0)?).ok_or_else(|| foreign(0))?;
        for index in 1..found {
            narrowings.push(Narrowing::from_text(&text(index)?).ok_or_else(|| foreign(index))?);
        }
        Ok(Self { grant, narrowings, ids })
    }
}

/// From what is signed: the block and the key for the next one.
fn id(signed: &schema::SignedBlock) -> GrantId {
    let length = u64::try_from(signed.block.len()).unwrap_or(u64::MAX).to_be_bytes();
    GrantId(sha256(&[b"depin/grant/v1/id", &length, &signed.block, &signed.next_key.key]))
}

/// Refuses what could cost more than reading it: rules, long expressions, nested terms, long symbols. What is left prints in a few kilobytes.
fn check_form(block: usize, bytes: &[u8]) -> Result<(), GrantError> {
    use schema::{op::Content, term};
    let refused = |reason| Err(GrantError::Vocabulary { block, reason });
    let decoded = schema::Block::decode(bytes).map_err(malformed)?;
    let scalar = |term: &schema::Term| {
        use term::Content::{Bytes, Integer, String, Variable};
        matches!(term.content, Some(Bytes(_) | Integer(_) | String(_) | Variable(_)))
    };
    let simple =
        |predicate: &schema::Predicate| predicate.terms.len() <= 2 && predicate.terms.iter().all(scalar);
    let plain = |op: &schema::Op| match &op.content {
        Some(Content::Value(term)) => scalar(term),
        Some(Content::Binary(_)) => true,
        _ => false,
    };
    let short =
        |expression: &schema::Expression| expression.ops.len() <= 3 && expression.ops.iter().all(plain);
    let bare = |query: &schema::Rule| {
        let one = query.body.len() <= 1 && query.expressions.len() <= 1 && query.scope.is_empty();
        one && query.body.iter().all(simple) && query.expressions.iter().all(short)
    };
    if !decoded.rules.is_empty() {
        return refused("it has rules");
    }
    if !decoded.scope.is_empty() || !decoded.public_keys.is_empty() || decoded.context.is_some() {
        return refused("it has scopes, keys or a context");
    }
    if block > 0 && !decoded.facts.is_empty() {
        return refused("it adds facts; only the issuer may");
    }
    if decoded.symbols.iter().any(|symbol| symbol.len() > MAX_SYMBOL) {
        return refused("it has a symbol that is too long");
    }
    let facts = decoded.facts.iter().all(|fact| simple(&fact.predicate));
    let checks = decoded.checks.iter().all(|check| check.queries.iter().all(bare));
    if facts && checks { Ok(()) } else { refused("it has facts or checks of another form") }
}
