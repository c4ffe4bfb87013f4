//! Making tokens, wherever the issuer's key lives.

use std::fmt;

use biscuit_auth::{BiscuitBuilder, datalog::SymbolTable, format::schema};
use depin_core::KeyType;
use prost::Message as _;

use super::{
    Grant, GrantError,
    token::{algorithm, bounded, key_pair, malformed, next_key},
};
use crate::{DeviceSigner, Signature, SoftwareKey};

/// A grant that lacks only its issuer's signature.
pub struct UnsignedGrant {
    token: schema::Biscuit,
    message: Vec<u8>,
    issuer: KeyType,
}

impl Grant {
    /// Prepares the grant for the key of the device or of the network's operator, which is of type `issuer`. `random` is 32 random bytes, never used
    /// before: they make the grant's id unique, so that revoking it revokes no other.
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn prepare(&self, issuer: KeyType, random: &[u8; 32]) -> Result<UnsignedGrant, GrantError> {
        let text = self.to_text()?;
        // The library signs while it builds; this key's signature gives way to the issuer's.
        let draft = key_pair(&[1; 32], algorithm(issuer)?)?;
        let builder = BiscuitBuilder::new().code(&text).map_err(malformed)?;
        let token = builder.build_with_key_pair(&draft, SymbolTable::new(), &next_key(random, &text)?);
        let token = token.map_err(malformed)?.container().to_proto();
        let message = message(&token.authority)?;
        Ok(UnsignedGrant { token, message, issuer })
    }

    /// Issues the grant with a key in memory. `random` as in [`Grant::prepare`].
    ///
    /// # Errors
    /// [`GrantError`].
    pub fn issue(&self, issuer: &SoftwareKey, random: &[u8; 32]) -> Result<Vec<u8>, GrantError> {
        let unsigned = self.prepare(issuer.public().key_type(), random)?;
        let signature = issuer.signature(unsigned.message());
        unsigned.finish(&signature)
    }
}

impl UnsignedGrant {
    /// What is to be signed, as it is: the algorithm hashes it.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The token, with `signature` by the issuer over [`UnsignedGrant::message`].
    ///
    /// # Errors
    /// [`GrantError::Malformed`] when it is no signature of the issuer's type of key.
    pub fn finish(mut self, signature: &Signature) -> Result<Vec<u8>, GrantError> {
        self.token.authority.signature = match self.issuer {
            KeyType::P256 => {
                let signature = p256::ecdsa::Signature::from_slice(&signature.0).map_err(malformed)?;
                signature.to_der().as_bytes().to_vec()
            }
            _ => signature.0.to_vec(),
        };
        bounded(self.token.encode_to_vec())
    }

    /// Lets `signer` sign.
    ///
    /// # Errors
    /// [`GrantError`]; [`GrantError::Sign`] when the key did not sign.
    pub async fn sign(self, signer: &dyn DeviceSigner) -> Result<Vec<u8>, GrantError> {
        let signature = signer.sign(&self.message).await?;
        self.finish(&signature)
    }
}

/// The holder of a grant needs no more than this to use it, so it is not shown.
impl fmt::Debug for UnsignedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsignedGrant").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// What the issuer signs (Biscuit specification 3.3, "Signature (one block)"): the block, and the key that signs the next one.
fn message(block: &schema::SignedBlock) -> Result<Vec<u8>, GrantError> {
    let schema::SignedBlock { block, next_key, version, .. } = block;
    let algorithm = next_key.algorithm.to_le_bytes();
    match version.unwrap_or_default() {
        0 => Ok([block.as_slice(), &algorithm, &next_key.key].concat()),
        1 => {
            let parts: [&[u8]; 8] = [
                b"\0BLOCK\0\0VERSION\0",
                &1_u32.to_le_bytes(),
                b"\0PAYLOAD\0",
                block,
                b"\0ALGORITHM\0",
                &algorithm,
                b"\0NEXTKEY\0",
                &next_key.key,
            ];
            Ok(parts.concat())
        }
        other => Err(malformed(format!("blocks of version {other} are not known here"))),
    }
}
