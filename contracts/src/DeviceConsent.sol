// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title What owners and devices consent to
/// @notice One EIP-712 type for each action on a device. Every one of them has the device's next nonce and a deadline, so
/// a signature serves one action, on one device, of one registry, on one chain, once.
abstract contract DeviceConsent is EIP712 {
    /// @notice What an owner and the device sign to register it.
    bytes32 public constant REGISTER_TYPEHASH =
        keccak256("Register(bytes deviceKey,address owner,bool active,uint256 nonce,uint256 deadline)");

    /// @notice What an owner signs to take a device into service.
    bytes32 public constant ACTIVATE_TYPEHASH =
        keccak256("Activate(bytes32 device,address owner,uint256 nonce,uint256 deadline)");

    /// @notice What the present key and the new key sign; the owner in place of a key that is compromised.
    bytes32 public constant ROTATE_TYPEHASH = keccak256(
        "Rotate(bytes32 device,bytes newKey,uint32 lastBoot,uint64 lastSequence,uint256 nonce,uint256 deadline)"
    );

    /// @notice What an owner signs to say since when a key is not the device's alone.
    bytes32 public constant COMPROMISE_TYPEHASH =
        keccak256("Compromise(bytes32 device,address owner,bytes16 keyId,uint64 since,uint256 nonce,uint256 deadline)");

    /// @notice What an owner signs to suspend a device.
    bytes32 public constant SUSPEND_TYPEHASH =
        keccak256("Suspend(bytes32 device,address owner,uint256 nonce,uint256 deadline)");

    /// @notice What an owner signs to resume a device.
    bytes32 public constant RESUME_TYPEHASH =
        keccak256("Resume(bytes32 device,address owner,uint256 nonce,uint256 deadline)");

    /// @notice What both owners, the present key and the new key sign to transfer a device.
    bytes32 public constant TRANSFER_TYPEHASH = keccak256(
        "Transfer(bytes32 device,address owner,address newOwner,bytes newKey,uint64 cutOver,bytes32 voucher,uint256 nonce,uint256 deadline)"
    );

    /// @notice What an owner signs to deactivate a device.
    bytes32 public constant DEACTIVATE_TYPEHASH =
        keccak256("Deactivate(bytes32 device,address owner,uint256 nonce,uint256 deadline)");

    /// @notice A signature that came too late, in seconds since the Unix epoch.
    error SignatureExpired(uint256 deadline, uint256 found);
    /// @notice The signature over `digest` is not by `signer`: wrong key, wrong action or wrong nonce.
    error BadSignature(address signer, bytes32 digest);

    constructor() EIP712("depin DeviceRegistry", "2") {}

    /// @dev The hash that is signed, while it is in time.
    function _digestInTime(bytes32 structHash, uint256 deadline) internal view returns (bytes32) {
        if (block.timestamp > deadline) revert SignatureExpired(deadline, block.timestamp);
        return _hashTypedDataV4(structHash);
    }

    /// @dev By ECDSA or, for a wallet that is a contract, by ERC-1271.
    function _requireSignature(address signer, bytes32 digest, bytes calldata signature) internal view {
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {
            revert BadSignature(signer, digest);
        }
    }
}
