// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {P256Point} from "./P256Point.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title Typed keys of devices, and what they sign
/// @notice A typed key is 34 bytes: a tag and the key, zero padded. 0x01 is an Ed25519 key of 32 bytes, 0x02 a P-256 key
/// and 0x03 a secp256k1 key, both compressed, of 33 bytes. Its SHA-256 identifies it; the first 16 bytes of that are its
/// key id.
/// @dev An EVM has a precompile for SHA-256, and for P-256 one or a fallback that can be paid. For Ed25519 it has
/// neither, and secp256k1 only recovers addresses: those proofs are checked by whoever reads the events.
library DeviceKeys {
    /// @notice The length of a typed key, in bytes.
    uint256 internal constant LENGTH = 34;

    /// @notice The length of a device's signature, in bytes, whatever its key: r and s, or R and S.
    uint256 internal constant PROOF_LENGTH = 64;

    /// @dev What a device signs begins with this, so that no report or receipt is taken for a consent.
    bytes16 private constant CONTEXT = "depin/binding/v2";

    bytes1 private constant TAG_ED25519 = 0x01;
    bytes1 private constant TAG_P256 = 0x02;
    bytes1 private constant TAG_SECP256K1 = 0x03;

    /// @notice A typed key of the wrong length, in bytes.
    error BadKeyLength(uint256 expected, uint256 found);
    /// @notice A tag that names no kind of key.
    error BadKeyTag(uint8 lowest, uint8 highest, uint8 found);
    /// @notice The last byte of a typed Ed25519 key is padding, which is zero.
    error BadKeyPadding(uint8 expected, uint8 found);
    /// @notice The first byte of a compressed point is 2 or 3.
    error BadKeyPrefix(uint8 found);
    /// @notice A device's signature of the wrong length, in bytes.
    error BadProofLength(uint256 expected, uint256 found);
    /// @notice The proof over `digest` is not by the device key `keyId`, or its s is in the upper half of the order.
    error BadDeviceProof(bytes16 keyId, bytes32 digest);

    /// @notice The SHA-256 of a typed key; fails when it is not one.
    function idOf(bytes memory key) internal pure returns (bytes32) {
        if (key.length != LENGTH) revert BadKeyLength(LENGTH, key.length);
        bytes1 tag = key[0];
        if (tag == TAG_ED25519) {
            if (key[33] != 0) revert BadKeyPadding(0, uint8(key[33]));
        } else if (tag == TAG_P256 || tag == TAG_SECP256K1) {
            bytes1 prefix = key[1];
            if (prefix != 0x02 && prefix != 0x03) revert BadKeyPrefix(uint8(prefix));
        } else {
            revert BadKeyTag(uint8(TAG_ED25519), uint8(TAG_SECP256K1), uint8(tag));
        }
        return sha256(key);
    }

    /// @notice Checks that the device key `key` signed the EIP-712 hash `digest`, where an EVM can. False when it cannot:
    /// the key is of another kind. Fails when the key is no point of P-256, or did not sign.
    function checkProof(bytes memory key, bytes32 digest, bytes calldata proof) internal view returns (bool checked) {
        if (proof.length != PROOF_LENGTH) revert BadProofLength(PROOF_LENGTH, proof.length);
        if (key[0] != TAG_P256) return false;
        // After the tag, 1 byte of prefix and 32 bytes of x.
        uint256 x;
        assembly ("memory-safe") {
            x := mload(add(key, 34))
        }
        uint256 y = P256Point.yOf(x, key[1] == 0x03);
        bytes32 message = sha256(abi.encodePacked(CONTEXT, digest));
        bool signed = P256.verify(message, bytes32(proof[:32]), bytes32(proof[32:]), bytes32(x), bytes32(y));
        if (!signed) revert BadDeviceProof(bytes16(sha256(key)), digest);
        return true;
    }
}
