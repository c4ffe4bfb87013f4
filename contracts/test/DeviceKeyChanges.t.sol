// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceConsent} from "../src/DeviceConsent.sol";
import {DeviceKeys} from "../src/DeviceKeys.sol";
import {DeviceRecords} from "../src/DeviceRecords.sol";
import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {DeviceBase} from "./DeviceBase.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice Keys that change: rotation, compromise, recovery.
contract DeviceKeyChangesTest is DeviceBase {
    bytes32 private device;
    bytes16 private born;

    function setUp() public {
        prepare();
        device = registerP256(BORN, true);
        born = idOf(p256Key(BORN));
    }

    function test_ARotationNeedsBothKeysAndNamesTheLastReport() public {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 1);
        bytes memory old = prove(BORN, digest);
        bytes memory new_ = prove(FRESH, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadDeviceProof.selector, born, digest));
        registry.rotate(terms, new_, new_);
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadDeviceProof.selector, idOf(p256Key(FRESH)), digest));
        registry.rotate(terms, old, old);
        vm.expectEmit(address(registry));
        emit DeviceRecords.KeyRotated(device, p256Key(FRESH), 3, 77, 1, deadline, old, new_, uint64(block.timestamp));
        vm.prank(anyone);
        registry.rotate(terms, old, new_);
        vm.assertEq(registry.deviceKey(device), p256Key(FRESH));
        vm.assertEq(registry.nonces(device), 2);
        vm.assertEq(registry.deviceOfKeyId(born), device);
        vm.assertEq(registry.deviceOfKeyId(idOf(p256Key(FRESH))), device);
        vm.assertEq(registry.ownershipEpoch(device), 0);
    }

    function test_TheKeyBeforeRotatesNoMore() public {
        rotateP256(device, BORN, FRESH);
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(0xE11E));
        bytes32 digest = rotateDigest(terms, 2);
        bytes memory old = prove(BORN, digest);
        bytes memory new_ = prove(0xE11E, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadDeviceProof.selector, idOf(p256Key(FRESH)), digest));
        registry.rotate(terms, old, new_);
    }

    function test_ARotationServesOnce() public {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 1);
        bytes memory old = prove(BORN, digest);
        bytes memory new_ = prove(FRESH, digest);
        registry.rotate(terms, old, new_);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.WrongNonce.selector, device, 2, 1));
        registry.rotate(terms, old, new_);
        terms.nonce = 2;
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        registry.rotate(terms, old, new_);
    }

    function test_AKeyThatServedOnceServesNeverAgain() public {
        rotateP256(device, BORN, FRESH);
        // Back to the key before.
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(BORN));
        bytes32 digest = rotateDigest(terms, 2);
        bytes memory old = prove(FRESH, digest);
        bytes memory new_ = prove(BORN, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeyIdTaken.selector, born, device, device));
        registry.rotate(terms, old, new_);
        // To itself.
        terms.newKey = p256Key(FRESH);
        digest = rotateDigest(terms, 2);
        old = prove(FRESH, digest);
        vm.expectPartialRevert(DeviceRecords.KeyIdTaken.selector);
        registry.rotate(terms, old, old);
        // As another device.
        DeviceRegistry.Registration memory other = registration(p256Key(FRESH), true);
        digest = registerDigest(other, 0);
        bytes memory signature = sign(OWNER_KEY, digest);
        bytes memory proof = prove(FRESH, digest);
        vm.expectPartialRevert(DeviceRecords.KeyIdTaken.selector);
        registry.register(other, signature, proof);
    }

    function test_ARotationToAKeyThatIsNotCheckedHereNeedsARegistrar() public {
        DeviceRegistry.Rotation memory terms = rotation(device, ED25519);
        bytes memory old = prove(BORN, rotateDigest(terms, 1));
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(anyone);
        registry.rotate(terms, old, unchecked64());
        vm.prank(registrar);
        registry.rotate(terms, old, unchecked64());
        // And from it.
        terms.newKey = p256Key(FRESH);
        bytes memory new_ = prove(FRESH, rotateDigest(terms, 2));
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(anyone);
        registry.rotate(terms, unchecked64(), new_);
        vm.prank(registrar);
        registry.rotate(terms, unchecked64(), new_);
    }

    function test_NoRegistrarSendsARotationForAnotherNonce() public {
        DeviceRegistry.Rotation memory terms = rotation(device, ED25519);
        bytes memory old = prove(BORN, rotateDigest(terms, 1));
        vm.startPrank(registrar);
        registry.rotate(terms, old, unchecked64());
        terms.newKey = OTHER_ED25519;
        for (uint256 nonce = 0; nonce < 5; ++nonce) {
            terms.nonce = nonce;
            if (nonce == 2) continue;
            vm.expectRevert(abi.encodeWithSelector(DeviceRecords.WrongNonce.selector, device, 2, nonce));
            registry.rotate(terms, unchecked64(), unchecked64());
        }
        terms.nonce = 2;
        registry.rotate(terms, unchecked64(), unchecked64());
    }

    function test_ARotationToWhatIsNoKeyIsRefused() public {
        DeviceRegistry.Rotation memory terms = rotation(device, new bytes(33));
        bytes memory old = prove(BORN, rotateDigest(terms, 1));
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyLength.selector, 34, 33));
        registry.rotate(terms, old, unchecked64());
    }

    function testFuzz_NoFieldOfARotationCanBeChangedAfterItWasSigned(uint64 salt, uint8 field) public {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 1);
        if (field % 3 == 0) terms.lastBoot = uint32(bound(salt, 4, type(uint32).max));
        else if (field % 3 == 1) terms.lastSequence = uint64(bound(salt, 78, type(uint64).max));
        else terms.deadline = bound(salt, deadline + 1, type(uint256).max);
        bytes memory old = prove(BORN, digest);
        bytes memory new_ = prove(FRESH, digest);
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        registry.rotate(terms, old, new_);
    }

    function test_AnExpiredRotationIsRefused() public {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 1);
        bytes memory old = prove(BORN, digest);
        bytes memory new_ = prove(FRESH, digest);
        vm.warp(deadline + 1);
        vm.expectPartialRevert(DeviceConsent.SignatureExpired.selector);
        registry.rotate(terms, old, new_);
    }

    // ---- Compromise

    function test_ACompromiseIsDeclaredByTheOwnerAndShows() public {
        uint64 since = uint64(block.timestamp - 100);
        (bool compromised,) = registry.compromisedSince(born);
        vm.assertFalse(compromised);
        bytes memory signature = sign(OWNER_KEY, compromiseDigest(device, owner, born, since, 1));
        vm.expectEmit(address(registry));
        emit DeviceRecords.KeyCompromised(device, born, since, uint64(block.timestamp));
        vm.prank(anyone);
        registry.compromise(device, born, since, deadline, signature);
        uint64 found;
        (compromised, found) = registry.compromisedSince(born);
        vm.assertTrue(compromised);
        vm.assertEq(found, since);
        vm.assertTrue(registry.deviceInfo(device).keyCompromised);
        vm.assertEq(registry.nonces(device), 2);
    }

    function test_AMomentOfZeroIsAMoment() public {
        compromiseKey(device, born, 0);
        (bool compromised, uint64 since) = registry.compromisedSince(born);
        vm.assertTrue(compromised);
        vm.assertEq(since, 0);
    }

    function test_NobodyElseDeclaresACompromise() public {
        bytes32 digest = compromiseDigest(device, owner, born, 5, 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.BadSignature.selector, owner, digest));
        vm.prank(guardian);
        registry.compromise(device, born, 5, deadline, sign(NEXT_KEY, digest));
    }

    function test_ACompromiseInTheFutureIsRefused() public {
        uint64 since = uint64(block.timestamp + 1);
        bytes memory signature = sign(OWNER_KEY, compromiseDigest(device, owner, born, since, 1));
        vm.expectRevert(
            abi.encodeWithSelector(DeviceRecords.InTheFuture.selector, block.timestamp, block.timestamp + 1)
        );
        registry.compromise(device, born, since, deadline, signature);
        compromiseKey(device, born, uint64(block.timestamp));
    }

    function test_ACompromiseNamesAKeyOfTheDevice() public {
        bytes32 other = registerP256(FRESH, true);
        bytes16 foreign = bytes16(other);
        bytes memory signature = sign(OWNER_KEY, compromiseDigest(device, owner, foreign, 5, 1));
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeyOfAnotherDevice.selector, foreign, device, other));
        registry.compromise(device, foreign, 5, deadline, signature);
    }

    function test_ACompromiseIsOnlyDeclaredEarlier() public {
        compromiseKey(device, born, 500);
        uint64[2] memory late = [uint64(500), 501];
        for (uint256 i = 0; i < late.length; ++i) {
            bytes memory signature = sign(OWNER_KEY, compromiseDigest(device, owner, born, late[i], 2));
            vm.expectRevert(
                abi.encodeWithSelector(DeviceRecords.CompromisedBefore.selector, born, uint64(500), late[i])
            );
            registry.compromise(device, born, late[i], deadline, signature);
        }
        compromiseKey(device, born, 499);
        (, uint64 since) = registry.compromisedSince(born);
        vm.assertEq(since, 499);
    }

    function test_AKeyBeforeIsDeclaredCompromisedAndThePresentOneStaysSound() public {
        rotateP256(device, BORN, FRESH);
        compromiseKey(device, born, 5);
        vm.assertFalse(registry.deviceInfo(device).keyCompromised);
        rotateP256(device, FRESH, 0xE11E);
    }

    // ---- Recovery

    function test_ACompromisedKeyProvesNothing() public {
        compromiseKey(device, born, 5);
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 2);
        bytes memory old = prove(BORN, digest);
        bytes memory new_ = prove(FRESH, digest);
        bytes memory refusal = abi.encodeWithSelector(DeviceRecords.PresentKeyCompromised.selector, device, born);
        vm.expectRevert(refusal);
        registry.rotate(terms, old, new_);
        DeviceRegistry.Handover memory sale = handover(device, next, p256Key(FRESH));
        DeviceRegistry.Consents memory all = consents(sale, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        vm.expectRevert(refusal);
        registry.transfer(sale, all);
    }

    function test_TheOwnerRecoversADeviceWhoseKeyIsCompromised() public {
        compromiseKey(device, born, 5);
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 2);
        bytes memory new_ = prove(FRESH, digest);
        bytes memory signature = sign(OWNER_KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.BadSignature.selector, owner, digest));
        registry.recover(terms, sign(NEXT_KEY, digest), new_);
        bytes memory old = prove(BORN, digest);
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        registry.recover(terms, signature, old);
        vm.expectEmit(address(registry));
        emit DeviceRecords.KeyRotated(device, p256Key(FRESH), 3, 77, 2, deadline, "", new_, uint64(block.timestamp));
        vm.prank(anyone);
        registry.recover(terms, signature, new_);
        vm.assertEq(registry.deviceKey(device), p256Key(FRESH));
        vm.assertFalse(registry.deviceInfo(device).keyCompromised);
        rotateP256(device, FRESH, 0xE11E);
    }

    function test_TheOwnerCannotReplaceASoundKeyAlone() public {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(FRESH));
        bytes32 digest = rotateDigest(terms, 1);
        bytes memory signature = sign(OWNER_KEY, digest);
        bytes memory new_ = prove(FRESH, digest);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.PresentKeySound.selector, device, born));
        registry.recover(terms, signature, new_);
    }

    function test_ARecoveryToAKeyThatIsNotCheckedHereNeedsARegistrar() public {
        compromiseKey(device, born, 5);
        DeviceRegistry.Rotation memory terms = rotation(device, ED25519);
        bytes memory signature = sign(OWNER_KEY, rotateDigest(terms, 2));
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        registry.recover(terms, signature, unchecked64());
        vm.prank(registrar);
        registry.recover(terms, signature, unchecked64());
    }
}
