// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceKeys} from "./DeviceKeys.sol";
import {DeviceRecords} from "./DeviceRecords.sol";
import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title Which device belongs to whom, and which key it signs with
/// @notice The life of a device: registered to an owner's wallet, activated, its key rotated or declared compromised,
/// suspended and resumed, transferred, deactivated. Owners consent by EIP-712 signature, checked here; ERC-1271 wallets
/// are welcome. The device consents too. A proof by a P-256 key is checked here; for another key a registrar attests
/// that it checked the proof, which an event publishes in full, so that anyone can check it again.
/// @dev A device's id is the SHA-256 of the typed key it was born with (see DeviceKeys). No key id ever serves two
/// devices, or one device twice. A deactivated device never comes back.
contract DeviceRegistry is AccessControl, DeviceRecords {
    /// @notice Whoever holds this role may relay actions with a proof that cannot be checked here, and answers for it.
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    /// @notice Whoever holds this role may suspend any device, and resume what was suspended by this role.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    /// @notice What is agreed to register a device.
    /// @param deviceKey The device's typed key.
    /// @param owner Who will own the device.
    /// @param active Whether it goes into service at once.
    /// @param deadline Until when the signatures are good, in seconds since the Unix epoch.
    struct Registration {
        bytes deviceKey;
        address owner;
        bool active;
        uint256 deadline;
    }

    /// @notice What is agreed to give a device a new key.
    /// @param device The device's id.
    /// @param newKey The typed key from now on.
    /// @param lastBoot The boot counter of the last report under the present key.
    /// @param lastSequence The sequence number of that report.
    /// @param nonce The device's next nonce: a proof that is not checked here says nothing about it.
    /// @param deadline Until when the signatures are good, in seconds since the Unix epoch.
    struct Rotation {
        bytes32 device;
        bytes newKey;
        uint32 lastBoot;
        uint64 lastSequence;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice What is agreed to transfer a device.
    /// @param device The device's id.
    /// @param newOwner Who will own the device.
    /// @param newKey The typed key from then on.
    /// @param cutOver The network's first epoch under the new owner and the new key. The new owner may suspend or deactivate
    /// the device from the transaction on, also before that epoch: a seller signs for a near one.
    /// @param voucher The digest of the head of the ownership voucher.
    /// @param deadline Until when the signatures are good, in seconds since the Unix epoch.
    struct Handover {
        bytes32 device;
        address newOwner;
        bytes newKey;
        uint64 cutOver;
        bytes32 voucher;
        uint256 deadline;
    }

    /// @notice The signatures under a handover: all over the same `Transfer`.
    /// @param owner The present owner's.
    /// @param newOwner The new owner's.
    /// @param device The present key's.
    /// @param newKey The new key's.
    struct Consents {
        bytes owner;
        bytes newOwner;
        bytes device;
        bytes newKey;
    }

    /// @param admin Who names registrars and guardians.
    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Registers a device to its first owner.
    /// @param terms What both agree to.
    /// @param ownerSignature The owner's signature over `Register`.
    /// @param deviceProof The device's.
    /// @return device The device's id.
    function register(Registration calldata terms, bytes calldata ownerSignature, bytes calldata deviceProof)
        external
        returns (bytes32 device)
    {
        device = deviceIdOf(terms.deviceKey);
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Unknown);
        if (terms.owner == address(0)) revert OwnerMissing();
        uint256 nonce = _change(device, record);
        bytes32 digest = _digestInTime(
            keccak256(
                abi.encode(
                    REGISTER_TYPEHASH, keccak256(terms.deviceKey), terms.owner, terms.active, nonce, terms.deadline
                )
            ),
            terms.deadline
        );
        _requireSignature(terms.owner, digest, ownerSignature);
        _requireProof(terms.deviceKey, digest, deviceProof);
        _takeKey(device, record, terms.deviceKey);
        record.status = terms.active ? Status.Active : Status.Bound;
        record.owner = terms.owner;
        emit DeviceRegistered(
            device, terms.owner, terms.deviceKey, terms.active, nonce, terms.deadline, deviceProof, _now()
        );
    }

    /// @notice Takes a registered device into service, by its owner's signature over `Activate`, which anyone may relay.
    function activate(bytes32 device, uint256 deadline, bytes calldata ownerSignature) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Bound);
        _ownerSigned(ACTIVATE_TYPEHASH, device, record, deadline, ownerSignature);
        record.status = Status.Active;
        emit DeviceActivated(device, _now());
    }

    /// @notice Gives a device a new key. Its present key and the new one sign the same `Rotate`. No rotation takes one of
    /// the keys that are kept for the owner.
    function rotate(Rotation calldata terms, bytes calldata oldProof, bytes calldata newProof) external {
        Record storage record = _alive(terms.device);
        bytes memory present = _soundKey(terms.device, record);
        uint8 most = MAX_KEYS - KEPT_FOR_OWNER;
        if (record.keys >= most) revert KeysKeptForOwner(terms.device, most);
        bytes32 digest = _rotation(record, terms);
        _requireProof(present, digest, oldProof);
        _rotate(record, terms, digest, oldProof, newProof);
    }

    /// @notice Gives a device whose present key is compromised a new key. Its owner and the new key sign the same `Rotate`.
    function recover(Rotation calldata terms, bytes calldata ownerSignature, bytes calldata newProof) external {
        Record storage record = _alive(terms.device);
        bytes16 keyId = bytes16(sha256(_presentKey(record)));
        if (_keyStates[keyId].compromised == 0) revert PresentKeySound(terms.device, keyId);
        bytes32 digest = _rotation(record, terms);
        _requireSignature(record.owner, digest, ownerSignature);
        _rotate(record, terms, digest, "", newProof);
    }

    /// @notice Declares a key that the device took under its present owner compromised since a moment. A key of an owner
    /// before stays as that owner left it: nobody who buys a device voids what its seller is still to be paid for.
    /// @param device The device's id.
    /// @param keyId The key's id.
    /// @param since From when on it need not be the device's alone, in seconds since the Unix epoch.
    /// @param deadline Until when the signature is good, in seconds since the Unix epoch.
    /// @param ownerSignature The owner's signature over `Compromise`, which anyone may relay.
    function compromise(bytes32 device, bytes16 keyId, uint64 since, uint256 deadline, bytes calldata ownerSignature)
        external
    {
        Record storage record = _alive(device);
        if (_deviceOfKeyId[keyId] != device) revert KeyOfAnotherDevice(keyId, device, _deviceOfKeyId[keyId]);
        KeyState storage state = _keyStates[keyId];
        if (state.ownershipEpoch != record.ownershipEpoch) {
            revert KeyOfFormerOwner(keyId, record.ownershipEpoch, state.ownershipEpoch);
        }
        if (since > block.timestamp) revert InTheFuture(block.timestamp, since);
        uint256 before = state.compromised;
        if (before != 0 && since >= before - 1) revert CompromisedBefore(keyId, uint64(before - 1), since);
        uint256 nonce = _change(device, record);
        bytes32 structHash =
            keccak256(abi.encode(COMPROMISE_TYPEHASH, device, record.owner, keyId, since, nonce, deadline));
        _requireSignature(record.owner, _digestInTime(structHash, deadline), ownerSignature);
        state.compromised = uint128(since) + 1;
        emit KeyCompromised(device, keyId, since, _now());
    }

    /// @notice Suspends an active device: the caller owns it, or is a guardian.
    function suspend(bytes32 device) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Active);
        bool owns = msg.sender == record.owner;
        if (!owns && !hasRole(GUARDIAN_ROLE, msg.sender)) revert NotOwner(device, record.owner, msg.sender);
        _change(device, record);
        _suspend(device, record, !owns);
    }

    /// @notice Suspends an active device by its owner's signature over `Suspend`, which anyone may relay.
    function suspendWithSignature(bytes32 device, uint256 deadline, bytes calldata ownerSignature) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Active);
        _ownerSigned(SUSPEND_TYPEHASH, device, record, deadline, ownerSignature);
        _suspend(device, record, false);
    }

    /// @notice Resumes a suspended device: the caller is a guardian and a guardian suspended it, or owns it and an owner did.
    function resume(bytes32 device) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Suspended);
        if (record.heldByGuardian) {
            if (!hasRole(GUARDIAN_ROLE, msg.sender)) revert HeldByGuardian(device);
        } else if (msg.sender != record.owner) {
            revert NotOwner(device, record.owner, msg.sender);
        }
        _change(device, record);
        _resume(device, record);
    }

    /// @notice Resumes a device that an owner suspended, by its owner's signature over `Resume`, which anyone may relay.
    function resumeWithSignature(bytes32 device, uint256 deadline, bytes calldata ownerSignature) external {
        Record storage record = _records[device];
        _requireStatus(device, record, Status.Suspended);
        if (record.heldByGuardian) revert HeldByGuardian(device);
        _ownerSigned(RESUME_TYPEHASH, device, record, deadline, ownerSignature);
        _resume(device, record);
    }

    /// @notice Transfers a device, with a new key. Both owners, the present key and the new one sign the same `Transfer`.
    /// A suspended device stays suspended. The new owner disposes of it at once, also before the cut-over.
    function transfer(Handover calldata terms, Consents calldata consents) external {
        Record storage record = _alive(terms.device);
        address owner = record.owner;
        if (terms.newOwner == address(0)) revert OwnerMissing();
        if (terms.newOwner == owner) revert AlreadyOwner(terms.device, owner);
        bytes memory present = _soundKey(terms.device, record);
        uint256 nonce = _change(terms.device, record);
        bytes32 digest = _digestInTime(_handoverHash(terms, owner, nonce), terms.deadline);
        _requireSignature(owner, digest, consents.owner);
        _requireSignature(terms.newOwner, digest, consents.newOwner);
        _requireProof(present, digest, consents.device);
        _requireProof(terms.newKey, digest, consents.newKey);
        record.owner = terms.newOwner;
        record.ownershipEpoch++;
        _takeKey(terms.device, record, terms.newKey);
        _emitTransferred(terms, owner, nonce, consents);
    }

    /// @notice Ends the life of the caller's device, for good.
    function deactivate(bytes32 device) external {
        Record storage record = _alive(device);
        if (msg.sender != record.owner) revert NotOwner(device, record.owner, msg.sender);
        _change(device, record);
        _deactivate(device, record);
    }

    /// @notice Ends the life of a device, for good, by its owner's signature over `Deactivate`, which anyone may relay.
    function deactivateWithSignature(bytes32 device, uint256 deadline, bytes calldata ownerSignature) external {
        Record storage record = _alive(device);
        _ownerSigned(DEACTIVATE_TYPEHASH, device, record, deadline, ownerSignature);
        _deactivate(device, record);
    }

    /// @dev What the owner alone signs: the device, the owner, the nonce and the deadline.
    function _ownerSigned(
        bytes32 typehash,
        bytes32 device,
        Record storage record,
        uint256 deadline,
        bytes calldata ownerSignature
    ) private {
        uint256 nonce = _change(device, record);
        bytes32 structHash = keccak256(abi.encode(typehash, device, record.owner, nonce, deadline));
        _requireSignature(record.owner, _digestInTime(structHash, deadline), ownerSignature);
    }

    function _rotation(Record storage record, Rotation calldata terms) private returns (bytes32 digest) {
        uint256 nonce = _change(terms.device, record);
        if (terms.nonce != nonce) revert WrongNonce(terms.device, nonce, terms.nonce);
        bytes32 structHash = keccak256(
            abi.encode(
                ROTATE_TYPEHASH,
                terms.device,
                keccak256(terms.newKey),
                terms.lastBoot,
                terms.lastSequence,
                nonce,
                terms.deadline
            )
        );
        digest = _digestInTime(structHash, terms.deadline);
    }

    function _rotate(
        Record storage record,
        Rotation calldata terms,
        bytes32 digest,
        bytes memory oldProof,
        bytes calldata newProof
    ) private {
        _requireProof(terms.newKey, digest, newProof);
        _takeKey(terms.device, record, terms.newKey);
        emit KeyRotated(
            terms.device,
            terms.newKey,
            terms.lastBoot,
            terms.lastSequence,
            terms.nonce,
            terms.deadline,
            oldProof,
            newProof,
            _now()
        );
    }

    function _suspend(bytes32 device, Record storage record, bool byGuardian) private {
        record.status = Status.Suspended;
        record.heldByGuardian = byGuardian;
        emit DeviceSuspended(device, _now());
    }

    function _resume(bytes32 device, Record storage record) private {
        record.status = Status.Active;
        record.heldByGuardian = false;
        emit DeviceResumed(device, _now());
    }

    function _deactivate(bytes32 device, Record storage record) private {
        record.status = Status.Deactivated;
        emit DeviceDeactivated(device, record.owner, _now());
    }

    function _emitTransferred(Handover calldata terms, address from, uint256 nonce, Consents calldata consents)
        private
    {
        emit DeviceTransferred(
            terms.device,
            from,
            terms.newOwner,
            terms.newKey,
            terms.cutOver,
            terms.voucher,
            nonce,
            terms.deadline,
            consents.device,
            consents.newKey,
            _now()
        );
    }

    /// @dev A proof that cannot be checked here needs somebody who answers for it.
    function _requireProof(bytes memory key, bytes32 digest, bytes calldata proof) private view {
        DeviceKeys.idOf(key);
        if (!DeviceKeys.checkProof(key, digest, proof)) _checkRole(REGISTRAR_ROLE);
    }

    function _handoverHash(Handover calldata terms, address owner, uint256 nonce) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                TRANSFER_TYPEHASH,
                terms.device,
                owner,
                terms.newOwner,
                keccak256(terms.newKey),
                terms.cutOver,
                terms.voucher,
                nonce,
                terms.deadline
            )
        );
    }
}
