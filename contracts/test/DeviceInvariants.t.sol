// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceRecords} from "../src/DeviceRecords.sol";
import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {DeviceBase} from "./DeviceBase.sol";

/// @notice Does to a few devices whatever may be done, in any order, with keys that are often used already, and keeps its
/// own books. What the registry refuses is skipped. Proofs are by Ed25519 keys and relayed by the registrar: what is
/// checked there is checked elsewhere, at a fraction of the time.
contract DeviceHandler is DeviceBase {
    uint256 private constant KEYS = 24;

    struct Book {
        uint256 nonce;
        uint32 ownershipEpoch;
        bool ended;
        bytes32 end;
    }

    bytes32[] public devices;
    mapping(bytes32 device => Book) public books;
    mapping(bytes16 keyId => bytes32) public holders;
    /// @dev Keys of owners before, and what the registry said of them at the sale.
    mapping(bytes16 keyId => bool) public sold;
    mapping(bytes16 keyId => bytes32) public soldAs;
    mapping(string action => uint256) public done;
    bool public nonceJumped;
    bool public epochJumped;
    bool public keyServedTwice;
    bool public endedChanged;

    uint256[2] private secrets = [OWNER_KEY, NEXT_KEY];

    constructor() {
        prepare();
        deadline = type(uint256).max;
    }

    // ---- What may be done

    function register(uint256 salt, bool active) external {
        if (devices.length == 6) return;
        DeviceRegistry.Registration memory terms = registration(key(salt), active);
        bytes32 device = sha256(terms.deviceKey);
        bytes memory signature = sign(OWNER_KEY, registerDigest(terms, registry.nonces(device)));
        vm.prank(registrar);
        try registry.register(terms, signature, unchecked64()) {
            devices.push(device);
            took(terms.deviceKey, device);
            observe(device, "register", 0);
        } catch {}
    }

    function activate(uint256 salt) external {
        bytes32 device = pick(salt);
        try registry.activate(device, deadline, signed("Activate", device)) {
            observe(device, "activate", 0);
        } catch {}
    }

    function rotate(uint256 salt, uint256 with) external {
        DeviceRegistry.Rotation memory terms = rotation(pick(salt), key(with));
        vm.prank(registrar);
        try registry.rotate(terms, unchecked64(), unchecked64()) {
            took(terms.newKey, terms.device);
            observe(terms.device, "rotate", 0);
        } catch {}
    }

    function recover(uint256 salt, uint256 with) external {
        DeviceRegistry.Rotation memory terms = rotation(pick(salt), key(with));
        bytes memory signature = sign(secretOf(terms.device), rotateDigest(terms, registry.nonces(terms.device)));
        vm.prank(registrar);
        try registry.recover(terms, signature, unchecked64()) {
            took(terms.newKey, terms.device);
            observe(terms.device, "recover", 0);
        } catch {}
    }

    function compromise(uint256 salt, uint256 which, uint64 since) external {
        bytes32 device = pick(salt);
        bytes16 keyId = which % 2 == 0 ? idOf(registry.deviceKey(device)) : idOf(key(which >> 1));
        since = uint64(bound(since, 0, block.timestamp));
        bytes32 digest = compromiseDigest(device, registry.ownerOf(device), keyId, since, registry.nonces(device));
        try registry.compromise(device, keyId, since, deadline, sign(secretOf(device), digest)) {
            observe(device, "compromise", 0);
        } catch (bytes memory refusal) {
            if (bytes4(refusal) == DeviceRecords.KeyOfFormerOwner.selector) done["compromise of a sold key"]++;
        }
    }

    function suspend(uint256 salt, bool byGuardian, bool direct) external {
        bytes32 device = pick(salt);
        bytes memory signature = signed("Suspend", device);
        vm.prank(byGuardian ? guardian : registry.ownerOf(device));
        if (direct || byGuardian) {
            try registry.suspend(device) {
                observe(device, "suspend", 0);
            } catch {}
        } else {
            try registry.suspendWithSignature(device, deadline, signature) {
                observe(device, "suspend", 0);
            } catch {}
        }
    }

    function resume(uint256 salt, bool byGuardian, bool direct) external {
        bytes32 device = pick(salt);
        bytes memory signature = signed("Resume", device);
        vm.prank(byGuardian ? guardian : registry.ownerOf(device));
        if (direct || byGuardian) {
            try registry.resume(device) {
                observe(device, "resume", 0);
            } catch {}
        } else {
            try registry.resumeWithSignature(device, deadline, signature) {
                observe(device, "resume", 0);
            } catch {}
        }
    }

    function transfer(uint256 salt, uint256 with) external {
        bytes32 device = pick(salt);
        uint256 from = secretOf(device);
        uint256 to = from == OWNER_KEY ? NEXT_KEY : OWNER_KEY;
        DeviceRegistry.Handover memory terms = handover(device, vm.addr(to), key(with));
        bytes32 digest = transferDigest(terms, vm.addr(from), registry.nonces(device));
        DeviceRegistry.Consents memory all =
            DeviceRegistry.Consents(sign(from, digest), sign(to, digest), unchecked64(), unchecked64());
        vm.prank(registrar);
        try registry.transfer(terms, all) {
            sell(device);
            took(terms.newKey, device);
            observe(device, "transfer", 1);
        } catch {}
    }

    function deactivate(uint256 salt, uint256 seldom) external {
        // Most devices have to live, or the others find nothing to do.
        if (seldom % 8 != 0) return;
        bytes32 device = pick(salt);
        try registry.deactivateWithSignature(device, deadline, signed("Deactivate", device)) {
            observe(device, "deactivate", 0);
            books[device].ended = true;
            books[device].end = snapshot(device);
        } catch {}
    }

    // ---- The books

    function snapshot(bytes32 device) public view returns (bytes32) {
        return keccak256(abi.encode(registry.deviceInfo(device)));
    }

    function count() external view returns (uint256) {
        return devices.length;
    }

    function standing(bytes16 keyId) public view returns (bytes32) {
        (bool compromised, uint64 since) = registry.compromisedSince(keyId);
        return keccak256(abi.encode(compromised, since));
    }

    function keyAt(uint256 index) external pure returns (bytes memory) {
        return key(index);
    }

    function keyCount() external pure returns (uint256) {
        return KEYS;
    }

    function registryOf() external view returns (DeviceRegistry) {
        return registry;
    }

    function observe(bytes32 device, string memory action, uint32 hands) private {
        done[action]++;
        Book storage book = books[device];
        if (book.ended) endedChanged = true;
        book.nonce++;
        book.ownershipEpoch += hands;
        if (registry.nonces(device) != book.nonce) nonceJumped = true;
        if (registry.ownershipEpoch(device) != book.ownershipEpoch) epochJumped = true;
    }

    function took(bytes memory taken, bytes32 device) private {
        bytes16 keyId = idOf(taken);
        if (holders[keyId] != 0) keyServedTwice = true;
        holders[keyId] = device;
    }

    function sell(bytes32 device) private {
        for (uint256 i = 0; i < KEYS; ++i) {
            bytes16 keyId = idOf(key(i));
            if (holders[keyId] != device || sold[keyId]) continue;
            sold[keyId] = true;
            soldAs[keyId] = standing(keyId);
        }
    }

    function key(uint256 salt) private pure returns (bytes memory) {
        return abi.encodePacked(bytes1(0x01), keccak256(abi.encode(salt % KEYS)), bytes1(0));
    }

    function pick(uint256 salt) private view returns (bytes32) {
        return devices.length == 0 ? bytes32(salt) : devices[salt % devices.length];
    }

    function secretOf(bytes32 device) private view returns (uint256) {
        return registry.ownerOf(device) == next ? NEXT_KEY : OWNER_KEY;
    }

    function signed(string memory action, bytes32 device) private view returns (bytes memory) {
        return sign(secretOf(device), ownerDigest(action, device, registry.ownerOf(device), registry.nonces(device)));
    }
}

contract DeviceInvariantsTest is DeviceBase {
    DeviceHandler private handler;

    function setUp() public {
        handler = new DeviceHandler();
        registry = handler.registryOf();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_AKeyIdNeverServesTwice() public view {
        vm.assertFalse(handler.keyServedTwice());
        for (uint256 i = 0; i < handler.keyCount(); ++i) {
            bytes16 keyId = idOf(handler.keyAt(i));
            vm.assertEq(registry.deviceOfKeyId(keyId), handler.holders(keyId));
        }
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 device = handler.devices(i);
            vm.assertEq(registry.deviceOfKeyId(idOf(registry.deviceKey(device))), device);
        }
    }

    function invariant_NobodyChangesWhatIsSaidOfASoldKey() public view {
        for (uint256 i = 0; i < handler.keyCount(); ++i) {
            bytes16 keyId = idOf(handler.keyAt(i));
            if (handler.sold(keyId)) vm.assertEq(handler.standing(keyId), handler.soldAs(keyId));
        }
    }

    function invariant_NoncesRiseByOne() public view {
        vm.assertFalse(handler.nonceJumped());
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 device = handler.devices(i);
            (uint256 nonce,,,) = handler.books(device);
            vm.assertEq(registry.nonces(device), nonce);
            vm.assertEq(registry.changes(device, 0, type(uint256).max).length, nonce);
        }
    }

    function invariant_TheOwnershipEpochRisesWithTransfersAndWithNothingElse() public view {
        vm.assertFalse(handler.epochJumped());
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 device = handler.devices(i);
            (, uint32 epoch,,) = handler.books(device);
            vm.assertEq(registry.ownershipEpoch(device), epoch);
        }
    }

    function invariant_ADeactivatedDeviceNeverChanges() public view {
        vm.assertFalse(handler.endedChanged());
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 device = handler.devices(i);
            (,, bool ended, bytes32 end) = handler.books(device);
            if (ended) vm.assertEq(handler.snapshot(device), end);
            vm.assertTrue(ended == (status(device) == DeviceRecords.Status.Deactivated));
        }
    }

    function invariant_OnlyASuspendedDeviceIsHeld() public view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            DeviceRecords.Device memory info = registry.deviceInfo(handler.devices(i));
            if (info.heldByGuardian) {
                vm.assertTrue(
                    info.status == DeviceRecords.Status.Suspended || info.status == DeviceRecords.Status.Deactivated
                );
            }
        }
    }

    /// @dev Invariants over runs in which nothing happens say nothing.
    function test_ARandomRunReachesEveryAction() public {
        string[10] memory actions = [
            "register",
            "activate",
            "rotate",
            "recover",
            "compromise",
            "compromise of a sold key",
            "suspend",
            "resume",
            "transfer",
            "deactivate"
        ];
        uint256 seed = 1;
        for (uint256 step = 0; step < 600; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            (uint256 a, uint256 b) = (seed >> 8, seed >> 80);
            uint256 which = seed % 9;
            if (which == 0) handler.register(a, b % 2 == 0);
            else if (which == 1) handler.activate(a);
            else if (which == 2) handler.rotate(a, b);
            else if (which == 3) handler.recover(a, b);
            else if (which == 4) handler.compromise(a, b, uint64(seed));
            else if (which == 5) handler.suspend(a, b % 2 == 0, b % 3 == 0);
            else if (which == 6) handler.resume(a, b % 2 == 0, b % 3 == 0);
            else if (which == 7) handler.transfer(a, b);
            else handler.deactivate(a, b);
        }
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertTrue(handler.done(actions[i]) > 0, actions[i]);
        }
    }
}
