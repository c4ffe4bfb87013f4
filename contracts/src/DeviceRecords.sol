// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceConsent} from "./DeviceConsent.sol";
import {DeviceKeys} from "./DeviceKeys.sol";

/// @title What a device registry knows and tells
/// @notice The records of devices, the ids of their keys, the blocks of their changes, and the events of each change.
abstract contract DeviceRecords is DeviceConsent {
    /// @notice Where a device is in its life. `Bound`: it has an owner, and was never activated.
    enum Status {
        Unknown,
        Bound,
        Active,
        Suspended,
        Deactivated
    }

    /// @notice What the registry knows of a device.
    /// @param status Where the device is in its life.
    /// @param heldByGuardian Whether a guardian suspended it, so that only a guardian resumes it.
    /// @param keyCompromised Whether its present key was declared compromised, so that the owner has to recover it.
    /// @param owner Who owns it, or owned it last.
    /// @param ownershipEpoch How often it changed hands.
    /// @param nonce What the next signature about it must carry: the number of its changes.
    /// @param deviceKey Its present typed key.
    struct Device {
        Status status;
        bool heldByGuardian;
        bool keyCompromised;
        address owner;
        uint32 ownershipEpoch;
        uint256 nonce;
        bytes deviceKey;
    }

    /// @dev Each owner but the first brought a key along, so an ownership epoch stays below the number of keys.
    struct Record {
        bytes32 keyHead;
        bytes2 keyTail;
        Status status;
        bool heldByGuardian;
        uint8 keys;
        uint16 ownershipEpoch;
        uint32 nonce;
        address owner;
    }

    /// @dev A word that a key of a first owner writes only when it is compromised.
    /// @param ownershipEpoch How often the device had changed hands when it took the key, that time included.
    /// @param compromised One more than the moment, in seconds, since when the key is compromised; 0 for a sound key.
    struct KeyState {
        uint16 ownershipEpoch;
        uint128 compromised;
    }

    /// @notice The most keys that a device ever has: whoever reads its events keeps all of them.
    uint8 public constant MAX_KEYS = 64;

    /// @notice How many of them are never rotated to, but kept for what the owner signs: a thief with the present key
    /// cannot use them up.
    uint8 public constant KEPT_FOR_OWNER = 8;

    mapping(bytes32 device => Record) internal _records;
    mapping(bytes16 keyId => bytes32 device) internal _deviceOfKeyId;
    mapping(bytes16 keyId => KeyState) internal _keyStates;
    /// @dev The block of each change, four to a word, by the nonce the change used.
    mapping(bytes32 device => mapping(uint256 word => uint256 blocks)) private _changes;

    /// @notice `owner` registered the device with `deviceKey`. `deviceProof` is what the device signed.
    event DeviceRegistered(
        bytes32 indexed device,
        address indexed owner,
        bytes deviceKey,
        bool active,
        uint256 nonce,
        uint256 deadline,
        bytes deviceProof,
        uint64 timestamp
    );
    /// @notice The device went into service.
    event DeviceActivated(bytes32 indexed device, uint64 timestamp);
    /// @notice The device signs with `newKey` from now on. `oldProof` is empty when the owner recovered it.
    event KeyRotated(
        bytes32 indexed device,
        bytes newKey,
        uint32 lastBoot,
        uint64 lastSequence,
        uint256 nonce,
        uint256 deadline,
        bytes oldProof,
        bytes newProof,
        uint64 timestamp
    );
    /// @notice What the key `keyId` signed since `since`, in seconds, need not be by the device.
    event KeyCompromised(bytes32 indexed device, bytes16 indexed keyId, uint64 since, uint64 timestamp);
    /// @notice The device is out of service for a while.
    event DeviceSuspended(bytes32 indexed device, uint64 timestamp);
    /// @notice The device is in service again.
    event DeviceResumed(bytes32 indexed device, uint64 timestamp);
    /// @notice The device went from one owner to another, and signs with `newKey`, from the epoch `cutOver` on.
    /// `deviceProof` is by the key before, `newKeyProof` by `newKey`.
    event DeviceTransferred(
        bytes32 indexed device,
        address indexed from,
        address indexed to,
        bytes newKey,
        uint64 cutOver,
        bytes32 voucher,
        uint256 nonce,
        uint256 deadline,
        bytes deviceProof,
        bytes newKeyProof,
        uint64 timestamp
    );
    /// @notice `owner` ended the life of the device.
    event DeviceDeactivated(bytes32 indexed device, address indexed owner, uint64 timestamp);

    /// @notice The key id serves, or served, a device already.
    error KeyIdTaken(bytes16 keyId, bytes32 holder, bytes32 device);
    /// @notice The device has had as many keys as a device may have.
    error TooManyKeys(bytes32 device, uint8 most);
    /// @notice The device has had as many keys as it may rotate to. Those that are left are its owner's: declare the
    /// present key compromised and recover the device, or transfer it.
    error KeysKeptForOwner(bytes32 device, uint8 most);
    /// @notice The device is not where the action needs it to be.
    error WrongStatus(bytes32 device, Status expected, Status found);
    /// @notice The device was never registered, or was deactivated: nothing can be done with it.
    error NoLife(bytes32 device, Status found);
    /// @notice A device needs an owner.
    error OwnerMissing();
    /// @notice The device belongs to that owner already.
    error AlreadyOwner(bytes32 device, address owner);
    /// @notice Only the owner, or for a suspension a guardian, may do this without a signature.
    error NotOwner(bytes32 device, address expected, address found);
    /// @notice A guardian suspended the device: only a guardian resumes it.
    error HeldByGuardian(bytes32 device);
    /// @notice What is agreed is for another nonce of the device.
    error WrongNonce(bytes32 device, uint256 expected, uint256 found);
    /// @notice The key belongs to another device, or to none.
    error KeyOfAnotherDevice(bytes16 keyId, bytes32 expected, bytes32 found);
    /// @notice The device took the key under an owner before, in the ownership epoch `found`: name a key that it took
    /// since.
    error KeyOfFormerOwner(bytes16 keyId, uint32 expected, uint32 found);
    /// @notice A moment after this block's, in seconds since the Unix epoch.
    error InTheFuture(uint256 latest, uint256 found);
    /// @notice The key was declared compromised since `since` already: only an earlier moment adds anything.
    error CompromisedBefore(bytes16 keyId, uint64 since, uint64 found);
    /// @notice The present key is compromised and proves nothing: the owner has to recover the device.
    error PresentKeyCompromised(bytes32 device, bytes16 keyId);
    /// @notice The present key is sound: rotate with its proof.
    error PresentKeySound(bytes32 device, bytes16 keyId);

    /// @notice Who owns the device, or owned it last; zero when it is unknown.
    function ownerOf(bytes32 device) external view returns (address) {
        return _records[device].owner;
    }

    /// @notice The device's present typed key; empty when it is unknown.
    function deviceKey(bytes32 device) public view returns (bytes memory) {
        Record storage record = _records[device];
        return record.status == Status.Unknown ? bytes("") : _presentKey(record);
    }

    /// @notice Whether the device is in service.
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

    /// @notice Everything the registry knows of the device as it is now, in one call.
    function deviceInfo(bytes32 device) external view returns (Device memory) {
        Record storage record = _records[device];
        bytes memory key = deviceKey(device);
        return Device({
            status: record.status,
            heldByGuardian: record.heldByGuardian,
            keyCompromised: key.length != 0 && _keyStates[bytes16(sha256(key))].compromised != 0,
            owner: record.owner,
            ownershipEpoch: record.ownershipEpoch,
            nonce: record.nonce,
            deviceKey: key
        });
    }

    /// @notice Which device has, or had, the key with this id; zero when none has.
    function deviceOfKeyId(bytes16 keyId) external view returns (bytes32) {
        return _deviceOfKeyId[keyId];
    }

    /// @notice Whether the key was declared compromised, and since when, in seconds since the Unix epoch.
    function compromisedSince(bytes16 keyId) external view returns (bool compromised, uint64 since) {
        uint256 stored = _keyStates[keyId].compromised;
        return stored == 0 ? (false, 0) : (true, uint64(stored - 1));
    }

    /// @notice The block of each change of the device from the change `first` on, at most `count` of them: where its
    /// events are, so that nobody has to search the chain for them.
    /// @dev These are block numbers as the EVM sees them. A chain on which logs carry other ones has to be searched.
    function changes(bytes32 device, uint256 first, uint256 count) external view returns (uint64[] memory blocks) {
        uint256 nonce = _records[device].nonce;
        uint256 left = first < nonce ? nonce - first : 0;
        blocks = new uint64[](left < count ? left : count);
        for (uint256 i = 0; i < blocks.length; ++i) {
            uint256 change = first + i;
            blocks[i] = uint64(_changes[device][change / 4] >> (64 * (change % 4)));
        }
    }

    /// @notice The id of the device that is born with this typed key; fails when it is not one.
    function deviceIdOf(bytes calldata deviceKey_) public pure returns (bytes32) {
        return DeviceKeys.idOf(deviceKey_);
    }

    /// @dev Uses the device's next nonce, and notes where the change is.
    function _change(bytes32 device, Record storage record) internal returns (uint256 nonce) {
        nonce = record.nonce++;
        _changes[device][nonce / 4] |= uint256(uint64(block.number)) << (64 * (nonce % 4));
    }

    /// @dev Makes `key` the present key of the device, in its present ownership epoch. Its id stays taken for ever.
    function _takeKey(bytes32 device, Record storage record, bytes calldata key) internal {
        bytes16 keyId = bytes16(DeviceKeys.idOf(key));
        bytes32 holder = _deviceOfKeyId[keyId];
        if (holder != 0) revert KeyIdTaken(keyId, holder, device);
        if (record.keys == MAX_KEYS) revert TooManyKeys(device, MAX_KEYS);
        record.keys++;
        _deviceOfKeyId[keyId] = device;
        if (record.ownershipEpoch != 0) _keyStates[keyId].ownershipEpoch = record.ownershipEpoch;
        record.keyHead = bytes32(key[:32]);
        record.keyTail = bytes2(key[32:]);
    }

    function _soundKey(bytes32 device, Record storage record) internal view returns (bytes memory key) {
        key = _presentKey(record);
        bytes16 keyId = bytes16(sha256(key));
        if (_keyStates[keyId].compromised != 0) revert PresentKeyCompromised(device, keyId);
    }

    function _alive(bytes32 device) internal view returns (Record storage record) {
        record = _records[device];
        Status found = record.status;
        if (found == Status.Unknown || found == Status.Deactivated) revert NoLife(device, found);
    }

    function _requireStatus(bytes32 device, Record storage record, Status expected) internal view {
        if (record.status != expected) revert WrongStatus(device, expected, record.status);
    }

    function _presentKey(Record storage record) internal view returns (bytes memory) {
        return abi.encodePacked(record.keyHead, record.keyTail);
    }

    function _now() internal view returns (uint64) {
        return uint64(block.timestamp);
    }
}
