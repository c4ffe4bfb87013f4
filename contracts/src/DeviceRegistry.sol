// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Which device belongs to whom
/// @notice Binds a device key to an owner's wallet. Owners consent by EIP-712 signature, checked here; ERC-1271 wallets
/// are welcome. The device consents too: a registrar attests that it checked that proof, which an event publishes in
/// full, so that anyone can check it again.
/// @dev A typed key is 34 bytes: a tag and the key, zero padded. 0x01 is an Ed25519 key of 32 bytes, 0x02 a P-256 key
/// and 0x03 a secp256k1 key, both compressed, of 33 bytes. A device's id is the SHA-256 of its typed key, its key id
/// the first 16 bytes of that. A deactivated device never comes back.
contract DeviceRegistry is AccessControl, EIP712 {
    /// @notice Whoever holds this role may relay registrations and transfers, and answers for the device's proof.
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    /// @notice What an owner signs to register a device.
    bytes32 public constant REGISTER_TYPEHASH =
        keccak256("Register(bytes deviceKey,address owner,uint256 nonce,uint256 deadline)");

    /// @notice What both the owner and the new owner sign to transfer a device.
    bytes32 public constant TRANSFER_TYPEHASH =
        keccak256("Transfer(bytes32 device,address owner,address newOwner,uint256 nonce,uint256 deadline)");

    /// @notice What an owner signs to deactivate a device.
    bytes32 public constant DEACTIVATE_TYPEHASH =
        keccak256("Deactivate(bytes32 device,address owner,uint256 nonce,uint256 deadline)");

    /// @notice The length of a typed key, in bytes.
    uint256 public constant KEY_LENGTH = 34;

    bytes1 private constant ED25519 = 0x01;
    bytes1 private constant P256 = 0x02;
    bytes1 private constant SECP256K1 = 0x03;

    /// @notice Where a device is in its life.
    enum Status {
        Unknown,
        Active,
        Deactivated
    }

    /// @notice What the registry knows of a device.
    /// @param status Where the device is in its life.
    /// @param owner Who owns it, or owned it last.
    /// @param ownershipEpoch How often it changed hands.
    /// @param nonce What the next signature about it must carry.
    /// @param deviceKey Its typed key.
    struct Device {
        Status status;
        address owner;
        uint32 ownershipEpoch;
        uint256 nonce;
        bytes deviceKey;
    }

    struct Record {
        bytes32 keyHead;
        bytes2 keyTail;
        Status status;
        uint32 ownershipEpoch;
        uint32 nonce;
        address owner;
    }

    mapping(bytes32 device => Record) private _records;
    mapping(bytes16 keyId => bytes32 device) private _deviceOfKeyId;

    /// @notice `owner` registered the device with `deviceKey`. `deviceProof` is what the device signed.
    event DeviceRegistered(
        bytes32 indexed device,
        address indexed owner,
        bytes deviceKey,
        uint256 nonce,
        uint256 deadline,
        bytes deviceProof
    );
    /// @notice The device went from one owner to another. `deviceProof`, signed by the device, names the new owner.
    event DeviceTransferred(
        bytes32 indexed device,
        address indexed from,
        address indexed to,
        uint256 nonce,
        uint256 deadline,
        bytes deviceProof
    );
    /// @notice `owner` ended the life of the device.
    event DeviceDeactivated(bytes32 indexed device, address indexed owner);

    /// @notice A typed key of the wrong length, in bytes.
    error BadKeyLength(uint256 expected, uint256 found);
    /// @notice A tag that names no kind of key.
    error BadKeyTag(uint8 lowest, uint8 highest, uint8 found);
    /// @notice The last byte of a typed Ed25519 key is padding, which is zero.
    error BadKeyPadding(uint8 expected, uint8 found);
    /// @notice The first byte of a compressed point is 2 or 3.
    error BadKeyPrefix(uint8 found);
    /// @notice Another device has the same first 16 bytes of its id.
    error KeyIdTaken(bytes16 keyId, bytes32 holder, bytes32 device);
    /// @notice The device is not where the action needs it to be.
    error WrongStatus(bytes32 device, Status expected, Status found);
    /// @notice A device needs an owner.
    error OwnerMissing();
    /// @notice The device belongs to that owner already.
    error AlreadyOwner(bytes32 device, address owner);
    /// @notice Only the owner may do this without a signature.
    error NotOwner(bytes32 device, address expected, address found);
    /// @notice A signature that came too late, in seconds since the Unix epoch.
    error SignatureExpired(uint256 deadline, uint256 found);
    /// @notice The signature over `digest` is not by `signer`: wrong key, wrong action or wrong nonce.
    error BadSignature(address signer, bytes32 digest);

    /// @param admin Who names registrars.
    constructor(address admin) EIP712("depin DeviceRegistry", "1") {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Registers a device to `owner`.
    /// @param deviceKey_ The device's typed key.
    /// @param owner Who will own the device.
    /// @param deadline Until when the signature is good, in seconds since the Unix epoch.
    /// @param ownerSignature The owner's signature over `Register`.
    /// @param deviceProof What the device signed; not checked here, published.
    /// @return device The device's id.
    function register(
        bytes calldata deviceKey_,
        address owner,
        uint256 deadline,
        bytes calldata ownerSignature,
        bytes calldata deviceProof
    ) external onlyRole(REGISTRAR_ROLE) returns (bytes32 device) {
        device = deviceIdOf(deviceKey_);
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Unknown);
        bytes32 holder = _deviceOfKeyId[bytes16(device)];
        if (holder != 0) revert KeyIdTaken(bytes16(device), holder, device);
        if (owner == address(0)) revert OwnerMissing();

        uint256 nonce = record.nonce++;
        _requireSignature(
            owner,
            keccak256(abi.encode(REGISTER_TYPEHASH, keccak256(deviceKey_), owner, nonce, deadline)),
            deadline,
            ownerSignature
        );

        record.keyHead = bytes32(deviceKey_[:32]);
        record.keyTail = bytes2(deviceKey_[32:]);
        record.status = Status.Active;
        record.owner = owner;
        _deviceOfKeyId[bytes16(device)] = device;
        emit DeviceRegistered(device, owner, deviceKey_, nonce, deadline, deviceProof);
    }

    /// @notice Transfers a device to `newOwner`. Both owners sign the same `Transfer`.
    /// @param device The device's id.
    /// @param newOwner Who will own the device.
    /// @param deadline Until when the signatures are good, in seconds since the Unix epoch.
    /// @param ownerSignature The present owner's signature over `Transfer`.
    /// @param newOwnerSignature The new owner's signature over the same `Transfer`.
    /// @param deviceProof What the device signed, naming the new owner; not checked here, published.
    function transfer(
        bytes32 device,
        address newOwner,
        uint256 deadline,
        bytes calldata ownerSignature,
        bytes calldata newOwnerSignature,
        bytes calldata deviceProof
    ) external onlyRole(REGISTRAR_ROLE) {
        (address owner, uint256 nonce) = _handOver(device, newOwner);
        bytes32 structHash = keccak256(abi.encode(TRANSFER_TYPEHASH, device, owner, newOwner, nonce, deadline));
        _requireSignature(owner, structHash, deadline, ownerSignature);
        _requireSignature(newOwner, structHash, deadline, newOwnerSignature);
        emit DeviceTransferred(device, owner, newOwner, nonce, deadline, deviceProof);
    }

    /// @notice Ends the life of the caller's device, for good.
    function deactivate(bytes32 device) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Active);
        if (msg.sender != record.owner) revert NotOwner(device, record.owner, msg.sender);
        record.nonce++;
        _deactivate(device, record);
    }

    /// @notice Ends the life of a device, for good, by its owner's signature, which anyone may relay.
    /// @param device The device's id.
    /// @param deadline Until when the signature is good, in seconds since the Unix epoch.
    /// @param ownerSignature The owner's signature over `Deactivate`.
    function deactivateWithSignature(bytes32 device, uint256 deadline, bytes calldata ownerSignature) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Active);
        uint256 nonce = record.nonce++;
        bytes32 structHash = keccak256(abi.encode(DEACTIVATE_TYPEHASH, device, record.owner, nonce, deadline));
        _requireSignature(record.owner, structHash, deadline, ownerSignature);
        _deactivate(device, record);
    }

    /// @notice Who owns the device, or owned it last; zero when it is unknown.
    function ownerOf(bytes32 device) external view returns (address) {
        return _records[device].owner;
    }

    /// @notice The device's typed key; empty when it is unknown.
    function deviceKey(bytes32 device) public view returns (bytes memory) {
        Record storage record = _records[device];
        if (record.status == Status.Unknown) return "";
        return abi.encodePacked(record.keyHead, record.keyTail);
    }

    /// @notice Whether the device is registered and not deactivated.
    function isActive(bytes32 device) external view returns (bool) {
        return _records[device].status == Status.Active;
    }

    /// @notice What the next signature about the device must carry. Zero for a device to be registered.
    function nonces(bytes32 device) external view returns (uint256) {
        return _records[device].nonce;
    }

    /// @notice How often the device changed hands.
    function ownershipEpoch(bytes32 device) external view returns (uint32) {
        return _records[device].ownershipEpoch;
    }

    /// @notice Everything the registry knows of the device, in one call.
    function deviceInfo(bytes32 device) external view returns (Device memory) {
        Record storage record = _records[device];
        return Device(record.status, record.owner, record.ownershipEpoch, record.nonce, deviceKey(device));
    }

    /// @notice Which device has this key id; zero when none has.
    function deviceOfKeyId(bytes16 keyId) external view returns (bytes32) {
        return _deviceOfKeyId[keyId];
    }

    /// @notice The id of the device with this typed key; fails when it is not one.
    function deviceIdOf(bytes calldata deviceKey_) public pure returns (bytes32) {
        if (deviceKey_.length != KEY_LENGTH) revert BadKeyLength(KEY_LENGTH, deviceKey_.length);
        bytes1 tag = deviceKey_[0];
        if (tag == ED25519) {
            if (deviceKey_[33] != 0) revert BadKeyPadding(0, uint8(deviceKey_[33]));
        } else if (tag == P256 || tag == SECP256K1) {
            bytes1 prefix = deviceKey_[1];
            if (prefix != 0x02 && prefix != 0x03) revert BadKeyPrefix(uint8(prefix));
        } else {
            revert BadKeyTag(uint8(ED25519), uint8(SECP256K1), uint8(tag));
        }
        return sha256(deviceKey_);
    }

    function _handOver(bytes32 device, address newOwner) private returns (address owner, uint256 nonce) {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Active);
        owner = record.owner;
        if (newOwner == address(0)) revert OwnerMissing();
        if (newOwner == owner) revert AlreadyOwner(device, owner);
        nonce = record.nonce++;
        record.owner = newOwner;
        record.ownershipEpoch++;
    }

    function _deactivate(bytes32 device, Record storage record) private {
        record.status = Status.Deactivated;
        emit DeviceDeactivated(device, record.owner);
    }

    function _requireStatus(bytes32 device, Record storage record, Status expected) private view {
        if (record.status != expected) revert WrongStatus(device, expected, record.status);
    }

    function _requireSignature(address signer, bytes32 structHash, uint256 deadline, bytes calldata signature)
        private
        view
    {
        if (block.timestamp > deadline) revert SignatureExpired(deadline, block.timestamp);
        bytes32 digest = _hashTypedDataV4(structHash);
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {
            revert BadSignature(signer, digest);
        }
    }
}
