// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceConsent} from "../src/DeviceConsent.sol";
import {DeviceKeys} from "../src/DeviceKeys.sol";
import {DeviceRecords} from "../src/DeviceRecords.sol";
import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {P256Point} from "../src/P256Point.sol";
import {DeviceBase} from "./DeviceBase.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @notice A wallet that is a contract, and consents to what it was told to.
contract ContractWallet is IERC1271 {
    bytes32 public agreed;

    function agree(bytes32 digest) external {
        agreed = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == agreed ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @notice Lets a test pretend that a key id is taken: no two inputs are known to share 16 bytes of SHA-256.
contract CollidingRegistry is DeviceRegistry {
    constructor(address admin) DeviceRegistry(admin) {}

    function pretendTaken(bytes16 keyId, bytes32 holder) external {
        // `_deviceOfKeyId` lies right after `_records`.
        bytes32 slot = keccak256(abi.encode(bytes32(keyId), recordsSlot() + 1));
        assembly ("memory-safe") {
            sstore(slot, holder)
        }
    }

    /// @dev AccessControl has one slot, EIP712 two for names that do not fit a word.
    function recordsSlot() private pure returns (uint256) {
        return 3;
    }
}

/// @notice Registration, activation and what is known of a device.
contract DeviceRegistryTest is DeviceBase {
    bytes32 private device = sha256(ED25519);

    function setUp() public {
        prepare();
    }

    function test_ADeviceIsRegisteredToTheOwnerWhoSigned() public {
        DeviceRegistry.Registration memory terms = registration(ED25519, true);
        bytes memory signature = sign(OWNER_KEY, registerDigest(terms, 0));
        vm.expectEmit(address(registry));
        emit DeviceRecords.DeviceRegistered(
            device, owner, ED25519, true, 0, deadline, unchecked64(), uint64(block.timestamp)
        );
        vm.prank(registrar);
        vm.assertEq(registry.register(terms, signature, unchecked64()), device);

        vm.assertEq(registry.ownerOf(device), owner);
        vm.assertEq(registry.deviceKey(device), ED25519);
        vm.assertTrue(registry.isActive(device));
        vm.assertEq(registry.nonces(device), 1);
        vm.assertEq(registry.ownershipEpoch(device), 0);
        vm.assertEq(registry.deviceOfKeyId(bytes16(device)), device);
        DeviceRecords.Device memory info = registry.deviceInfo(device);
        vm.assertEq(uint256(info.status), uint256(DeviceRecords.Status.Active));
        vm.assertEq(info.owner, owner);
        vm.assertEq(info.nonce, 1);
        vm.assertEq(info.deviceKey, ED25519);
        vm.assertFalse(info.heldByGuardian);
        vm.assertFalse(info.keyCompromised);
    }

    function test_AnUnknownDeviceHasNothing() public view {
        vm.assertEq(registry.ownerOf(device), address(0));
        vm.assertEq(registry.deviceKey(device), "");
        vm.assertFalse(registry.isActive(device));
        vm.assertEq(registry.nonces(device), 0);
        vm.assertEq(registry.changes(device, 0, 10).length, 0);
        DeviceRecords.Device memory info = registry.deviceInfo(device);
        vm.assertEq(uint256(info.status), uint256(DeviceRecords.Status.Unknown));
        vm.assertFalse(info.keyCompromised);
    }

    function test_AllThreeKindsOfKeyAreRegistered() public {
        bytes[2] memory keys =
            [ED25519, bytes(hex"030379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")];
        for (uint256 i = 0; i < keys.length; ++i) {
            DeviceRegistry.Registration memory terms = registration(keys[i], true);
            bytes memory signature = sign(OWNER_KEY, registerDigest(terms, 0));
            vm.prank(registrar);
            vm.assertEq(registry.deviceKey(registry.register(terms, signature, unchecked64())), keys[i]);
        }
        vm.assertEq(registry.deviceKey(registerP256(BORN, true)), p256Key(BORN));
    }

    function test_AnyoneRelaysADeviceWhoseProofIsCheckedHere() public {
        vm.assertTrue(registry.isActive(registerP256(BORN, true)));
    }

    function test_ADeviceWhoseProofIsNotCheckedHereNeedsARegistrar() public {
        DeviceRegistry.Registration memory terms = registration(ED25519, true);
        bytes memory signature = sign(OWNER_KEY, registerDigest(terms, 0));
        bytes32 role = registry.REGISTRAR_ROLE();
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, owner, role));
        vm.prank(owner);
        registry.register(terms, signature, unchecked64());
    }

    function test_NoRegistrarRegistersAP256DeviceThatDidNotSign() public {
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory signature = sign(OWNER_KEY, digest);
        bytes memory forged = prove(FRESH, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadDeviceProof.selector, idOf(p256Key(BORN)), digest));
        vm.prank(registrar);
        registry.register(terms, signature, forged);
    }

    function test_AP256KeyThatIsNoPointIsRefused() public {
        DeviceRegistry.Registration memory terms = registration(abi.encodePacked(bytes2(0x0202), uint256(1)), true);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory signature = sign(OWNER_KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(P256Point.NotOnCurve.selector, 1));
        vm.prank(registrar);
        registry.register(terms, signature, unchecked64());
    }

    function test_WhatIsNoKeyIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyLength.selector, 34, 33));
        registry.register(registration(new bytes(33), true), "", "");
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyTag.selector, 1, 3, 0));
        registry.deviceIdOf(new bytes(34));
    }

    function test_AProofOfAnotherLengthIsRefused() public {
        DeviceRegistry.Registration memory terms = registration(ED25519, true);
        bytes memory signature = sign(OWNER_KEY, registerDigest(terms, 0));
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadProofLength.selector, 64, 0));
        vm.prank(registrar);
        registry.register(terms, signature, "");
    }

    function test_ADeviceWithoutOwnerIsRefused() public {
        DeviceRegistry.Registration memory terms = registration(ED25519, true);
        terms.owner = address(0);
        vm.expectPartialRevert(DeviceRecords.OwnerMissing.selector);
        vm.prank(registrar);
        registry.register(terms, "", unchecked64());
    }

    function test_ADeviceIsRegisteredOnce() public {
        device = registerP256(BORN, true);
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 1);
        bytes memory proof = prove(BORN, digest);
        vm.expectRevert(wrongStatus(device, DeviceRecords.Status.Unknown, DeviceRecords.Status.Active));
        registry.register(terms, sign(OWNER_KEY, digest), proof);
    }

    function test_ACollidingKeyIdIsRefused() public {
        CollidingRegistry colliding = new CollidingRegistry(admin);
        registry = colliding;
        device = sha256(p256Key(BORN));
        bytes32 holder = bytes32(uint256(device) ^ 1);
        colliding.pretendTaken(bytes16(device), holder);
        vm.assertEq(colliding.deviceOfKeyId(bytes16(device)), holder);
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory proof = prove(BORN, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeyIdTaken.selector, bytes16(device), holder, device));
        colliding.register(terms, sign(OWNER_KEY, digest), proof);
    }

    function test_ASignatureIsGoodUntilItsDeadlineAndNotASecondLonger() public {
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory signature = sign(OWNER_KEY, digest);
        bytes memory proof = prove(BORN, digest);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.SignatureExpired.selector, deadline, deadline + 1));
        registry.register(terms, signature, proof);
        vm.warp(deadline);
        registry.register(terms, signature, proof);
    }

    function test_ASignatureOfSomebodyElseIsRefused() public {
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory proof = prove(BORN, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.BadSignature.selector, owner, digest));
        registry.register(terms, sign(NEXT_KEY, digest), proof);
    }

    function test_ASignatureForAnotherRegistryOrChainIsRefused() public {
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory signature = sign(OWNER_KEY, digest);
        bytes memory proof = prove(BORN, digest);
        DeviceRegistry other = deploy();
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        other.register(terms, signature, proof);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.register(terms, signature, proof);
    }

    function test_AContractWalletOwnsADevice() public {
        ContractWallet wallet = new ContractWallet();
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        terms.owner = address(wallet);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory proof = prove(BORN, digest);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.register(terms, "", proof);
        wallet.agree(digest);
        vm.assertEq(registry.ownerOf(registry.register(terms, "", proof)), address(wallet));
    }

    function testFuzz_NoFieldOfARegistrationCanBeChangedAfterItWasSigned(uint256 salt, uint8 field) public {
        DeviceRegistry.Registration memory terms = registration(ED25519, true);
        bytes memory signature = sign(OWNER_KEY, registerDigest(terms, 0));
        if (field % 4 == 0) {
            bytes memory key = bytes.concat(ED25519);
            key[1 + salt % 32] = bytes1(uint8(key[1 + salt % 32]) ^ uint8(bound(salt >> 8, 1, 255)));
            terms.deviceKey = key;
        } else if (field % 4 == 1) {
            terms.owner = address(uint160(bound(salt, 1, type(uint160).max)));
            vm.assume(terms.owner != owner && terms.owner.code.length == 0);
        } else if (field % 4 == 2) {
            terms.deadline = bound(salt, block.timestamp, type(uint256).max);
            vm.assume(terms.deadline != deadline);
        } else {
            terms.active = false;
        }
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        vm.prank(registrar);
        registry.register(terms, signature, unchecked64());
    }

    // ---- Activation

    function test_ABoundDeviceIsActivatedByItsOwner() public {
        device = registerP256(BORN, false);
        assertStatus(device, DeviceRecords.Status.Bound);
        vm.assertFalse(registry.isActive(device));
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Activate", device, owner, 1));
        vm.expectEmit(address(registry));
        emit DeviceRecords.DeviceActivated(device, uint64(block.timestamp));
        vm.prank(anyone);
        registry.activate(device, deadline, signature);
        vm.assertTrue(registry.isActive(device));
        vm.assertEq(registry.nonces(device), 2);
    }

    function test_NobodyElseActivates() public {
        device = registerP256(BORN, false);
        bytes32 digest = ownerDigest("Activate", device, owner, 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.BadSignature.selector, owner, digest));
        vm.prank(registrar);
        registry.activate(device, deadline, sign(NEXT_KEY, digest));
    }

    function test_ADeviceIsActivatedOnce() public {
        device = registerP256(BORN, true);
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Activate", device, owner, 1));
        vm.expectRevert(wrongStatus(device, DeviceRecords.Status.Bound, DeviceRecords.Status.Active));
        registry.activate(device, deadline, signature);
        bytes32 unknown = bytes32(uint256(1));
        vm.expectRevert(wrongStatus(unknown, DeviceRecords.Status.Bound, DeviceRecords.Status.Unknown));
        registry.activate(unknown, deadline, signature);
    }

    // ---- Where the changes are

    function test_EveryChangeLeavesItsBlock() public {
        vm.roll(1_000);
        device = registerP256(BORN, false);
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Activate", device, owner, 1));
        vm.roll(1_001);
        registry.activate(device, deadline, signature);
        for (uint256 i = 0; i < 4; ++i) {
            vm.roll(type(uint64).max - i);
            vm.prank(owner);
            if (i % 2 == 0) registry.suspend(device);
            else registry.resume(device);
        }
        uint64[6] memory expected =
            [1_000, 1_001, type(uint64).max, type(uint64).max - 1, type(uint64).max - 2, type(uint64).max - 3];
        uint64[] memory found = registry.changes(device, 0, type(uint256).max);
        vm.assertEq(found.length, 6);
        for (uint256 i = 0; i < 6; ++i) {
            vm.assertEq(found[i], expected[i]);
        }
        found = registry.changes(device, 3, 2);
        vm.assertEq(found.length, 2);
        vm.assertEq(found[1], expected[4]);
        vm.assertEq(registry.changes(device, 5, 9).length, 1);
        vm.assertEq(registry.changes(device, 6, 9).length, 0);
        vm.assertEq(registry.changes(device, type(uint256).max, 9).length, 0);
    }
}
