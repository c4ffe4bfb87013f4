// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceConsent} from "../src/DeviceConsent.sol";
import {DeviceKeys} from "../src/DeviceKeys.sol";
import {DeviceRecords} from "../src/DeviceRecords.sol";
import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {DeviceBase} from "./DeviceBase.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice Devices that rest, change hands, and end.
contract DeviceLifecycleTest is DeviceBase {
    bytes32 private device;

    function setUp() public {
        prepare();
        device = registerP256(BORN, true);
    }

    // ---- Suspension

    function test_TheOwnerSuspendsAndResumes() public {
        vm.expectEmit(address(registry));
        emit DeviceRecords.DeviceSuspended(device, uint64(block.timestamp));
        vm.prank(owner);
        registry.suspend(device);
        assertStatus(device, DeviceRecords.Status.Suspended);
        vm.assertFalse(registry.isActive(device));
        vm.expectEmit(address(registry));
        emit DeviceRecords.DeviceResumed(device, uint64(block.timestamp));
        vm.prank(owner);
        registry.resume(device);
        vm.assertTrue(registry.isActive(device));
        vm.assertEq(registry.nonces(device), 3);
    }

    function test_AnyoneRelaysWhatTheOwnerSigned() public {
        vm.startPrank(anyone);
        registry.suspendWithSignature(device, deadline, sign(OWNER_KEY, ownerDigest("Suspend", device, owner, 1)));
        assertStatus(device, DeviceRecords.Status.Suspended);
        registry.resumeWithSignature(device, deadline, sign(OWNER_KEY, ownerDigest("Resume", device, owner, 2)));
        vm.assertTrue(registry.isActive(device));
    }

    function test_WhatAGuardianSuspendedOnlyAGuardianResumes() public {
        vm.prank(guardian);
        registry.suspend(device);
        vm.assertTrue(registry.deviceInfo(device).heldByGuardian);
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Resume", device, owner, 2));
        bytes memory refusal = abi.encodeWithSelector(DeviceRecords.HeldByGuardian.selector, device);
        vm.expectRevert(refusal);
        registry.resumeWithSignature(device, deadline, signature);
        vm.expectRevert(refusal);
        vm.prank(owner);
        registry.resume(device);
        vm.prank(guardian);
        registry.resume(device);
        vm.assertTrue(registry.isActive(device));
        vm.assertFalse(registry.deviceInfo(device).heldByGuardian);
        vm.assertEq(registry.nonces(device), 3);
    }

    function test_AGuardianResumesNothingThatTheOwnerSuspended() public {
        vm.prank(owner);
        registry.suspend(device);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.NotOwner.selector, device, owner, guardian));
        vm.prank(guardian);
        registry.resume(device);
    }

    function test_NobodyElseSuspends() public {
        bytes memory refusal = abi.encodeWithSelector(DeviceRecords.NotOwner.selector, device, owner, registrar);
        vm.expectRevert(refusal);
        vm.prank(registrar);
        registry.suspend(device);
        bytes32 digest = ownerDigest("Suspend", device, owner, 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.BadSignature.selector, owner, digest));
        registry.suspendWithSignature(device, deadline, sign(NEXT_KEY, digest));
    }

    function test_OnlyAnActiveDeviceIsSuspendedAndOnlyASuspendedOneResumed() public {
        vm.expectRevert(wrongStatus(device, DeviceRecords.Status.Suspended, DeviceRecords.Status.Active));
        vm.prank(owner);
        registry.resume(device);
        vm.startPrank(guardian);
        registry.suspend(device);
        vm.expectRevert(wrongStatus(device, DeviceRecords.Status.Active, DeviceRecords.Status.Suspended));
        registry.suspend(device);
        vm.stopPrank();
        bytes32 bound_ = registerP256(FRESH, false);
        vm.expectRevert(wrongStatus(bound_, DeviceRecords.Status.Active, DeviceRecords.Status.Bound));
        vm.prank(owner);
        registry.suspend(bound_);
    }

    function test_ASuspensionOutlastsATransfer() public {
        vm.prank(guardian);
        registry.suspend(device);
        transferP256(device, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        assertStatus(device, DeviceRecords.Status.Suspended);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.HeldByGuardian.selector, device));
        vm.prank(next);
        registry.resume(device);
    }

    function test_ASuspendedDeviceIsNotActivatedInstead() public {
        vm.prank(guardian);
        registry.suspend(device);
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Activate", device, owner, 2));
        vm.expectRevert(wrongStatus(device, DeviceRecords.Status.Bound, DeviceRecords.Status.Suspended));
        registry.activate(device, deadline, signature);
    }

    // ---- Transfer

    function test_ATransferNeedsBothOwnersAndBothKeysAndRaisesTheOwnershipEpoch() public {
        DeviceRegistry.Handover memory terms = handover(device, next, p256Key(FRESH));
        DeviceRegistry.Consents memory all = consents(terms, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        DeviceRegistry.Consents memory some =
            DeviceRegistry.Consents(all.newOwner, all.newOwner, all.device, all.newKey);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.transfer(terms, some);
        some = DeviceRegistry.Consents(all.owner, all.owner, all.device, all.newKey);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.transfer(terms, some);
        some = DeviceRegistry.Consents(all.owner, all.newOwner, all.newKey, all.newKey);
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        registry.transfer(terms, some);
        some = DeviceRegistry.Consents(all.owner, all.newOwner, all.device, all.device);
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        registry.transfer(terms, some);

        vm.expectEmit(address(registry));
        emit DeviceRecords.DeviceTransferred(
            device,
            owner,
            next,
            p256Key(FRESH),
            12,
            VOUCHER,
            1,
            deadline,
            all.device,
            all.newKey,
            uint64(block.timestamp)
        );
        vm.prank(anyone);
        registry.transfer(terms, all);
        vm.assertEq(registry.ownerOf(device), next);
        vm.assertEq(registry.deviceKey(device), p256Key(FRESH));
        vm.assertEq(registry.ownershipEpoch(device), 1);
        vm.assertEq(registry.nonces(device), 2);
        vm.assertTrue(registry.isActive(device));
        vm.assertEq(registry.deviceOfKeyId(idOf(p256Key(BORN))), device);
    }

    function test_ATransferCannotBeReplayedAfterTheDeviceCameBack() public {
        DeviceRegistry.Handover memory terms = handover(device, next, p256Key(FRESH));
        DeviceRegistry.Consents memory all = consents(terms, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        registry.transfer(terms, all);
        transferP256(device, NEXT_KEY, OWNER_KEY, FRESH, 0xE11E);
        vm.assertEq(registry.ownershipEpoch(device), 2);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.transfer(terms, all);
    }

    function testFuzz_NoFieldOfATransferCanBeChangedAfterItWasSigned(uint256 salt, uint8 field) public {
        DeviceRegistry.Handover memory terms = handover(device, next, p256Key(FRESH));
        DeviceRegistry.Consents memory all = consents(terms, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        if (field % 5 == 0) terms.cutOver = uint64(bound(salt, 13, type(uint64).max));
        else if (field % 5 == 1) terms.voucher = bytes32(salt);
        else if (field % 5 == 2) terms.newKey = p256Key(0xE11E);
        else if (field % 5 == 3) terms.deadline = bound(salt, deadline + 1, type(uint256).max);
        else terms.newOwner = actor("a thief");
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.transfer(terms, all);
    }

    function test_ATransferOfADeviceThatIsNotCheckedHereNeedsARegistrar() public {
        DeviceRegistry.Handover memory terms = handover(device, next, ED25519);
        DeviceRegistry.Consents memory all = consents(terms, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        all.newKey = unchecked64();
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(owner);
        registry.transfer(terms, all);
        vm.prank(registrar);
        registry.transfer(terms, all);
    }

    function test_ATransferWithTheSameKeyIsRefused() public {
        DeviceRegistry.Handover memory terms = handover(device, next, p256Key(BORN));
        DeviceRegistry.Consents memory all = consents(terms, OWNER_KEY, NEXT_KEY, BORN, BORN);
        vm.expectPartialRevert(DeviceRecords.KeyIdTaken.selector);
        registry.transfer(terms, all);
    }

    function test_ATransferToTheSameOwnerOrToNobodyIsRefused() public {
        DeviceRegistry.Handover memory terms = handover(device, owner, p256Key(FRESH));
        DeviceRegistry.Consents memory none;
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.AlreadyOwner.selector, device, owner));
        registry.transfer(terms, none);
        terms.newOwner = address(0);
        vm.expectPartialRevert(DeviceRecords.OwnerMissing.selector);
        registry.transfer(terms, none);
    }

    function test_AnExpiredTransferIsRefused() public {
        DeviceRegistry.Handover memory terms = handover(device, next, p256Key(FRESH));
        DeviceRegistry.Consents memory all = consents(terms, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.SignatureExpired.selector, deadline, deadline + 1));
        registry.transfer(terms, all);
    }

    // ---- Deactivation

    function test_TheOwnerDeactivatesDirectly() public {
        vm.expectEmit(address(registry));
        emit DeviceRecords.DeviceDeactivated(device, owner, uint64(block.timestamp));
        vm.prank(owner);
        registry.deactivate(device);
        vm.assertFalse(registry.isActive(device));
        vm.assertEq(registry.ownerOf(device), owner);
        vm.assertEq(registry.deviceKey(device), p256Key(BORN));
    }

    function test_NobodyElseDeactivates() public {
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.NotOwner.selector, device, owner, guardian));
        vm.prank(guardian);
        registry.deactivate(device);
        bytes32 digest = ownerDigest("Deactivate", device, owner, 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.BadSignature.selector, owner, digest));
        registry.deactivateWithSignature(device, deadline, sign(NEXT_KEY, digest));
    }

    function test_AnyoneRelaysADeactivation() public {
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Deactivate", device, owner, 1));
        vm.prank(anyone);
        registry.deactivateWithSignature(device, deadline, signature);
        assertStatus(device, DeviceRecords.Status.Deactivated);
    }

    function test_ADeactivationSignedByAFormerOwnerIsRefused() public {
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Deactivate", device, owner, 2));
        transferP256(device, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.deactivateWithSignature(device, deadline, signature);
    }

    function test_AnExpiredSignatureOfTheOwnerIsRefused() public {
        bytes memory signature = sign(OWNER_KEY, ownerDigest("Deactivate", device, owner, 1));
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceConsent.SignatureExpired.selector, deadline, deadline + 1));
        registry.deactivateWithSignature(device, deadline, signature);
    }

    function test_NothingHappensToADeviceThatIsUnknownOrEnded() public {
        everythingIsRefused(bytes32(uint256(7)), DeviceRecords.Status.Unknown);
        vm.prank(owner);
        registry.deactivate(device);
        everythingIsRefused(device, DeviceRecords.Status.Deactivated);
        DeviceRegistry.Registration memory terms = registration(p256Key(BORN), true);
        bytes32 digest = registerDigest(terms, 2);
        bytes memory signature = sign(OWNER_KEY, digest);
        bytes memory proof = prove(BORN, digest);
        vm.expectRevert(wrongStatus(device, DeviceRecords.Status.Unknown, DeviceRecords.Status.Deactivated));
        registry.register(terms, signature, proof);
        vm.assertEq(registry.nonces(device), 2);
    }

    // ---- One signature, one action

    function test_ASignatureForOneActionServesNoOther() public {
        string[4] memory actions = ["Activate", "Suspend", "Resume", "Deactivate"];
        bytes32 bound_ = registerP256(FRESH, false);
        vm.prank(owner);
        registry.suspend(device);
        for (uint256 i = 0; i < actions.length; ++i) {
            bytes memory signed = sign(OWNER_KEY, ownerDigest(actions[i], device, owner, 2));
            if (i != 2) {
                vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
                registry.resumeWithSignature(device, deadline, signed);
            }
            if (i != 3) {
                vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
                registry.deactivateWithSignature(device, deadline, signed);
            }
            signed = sign(OWNER_KEY, ownerDigest(actions[i], bound_, owner, 1));
            if (i != 0) {
                vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
                registry.activate(bound_, deadline, signed);
            }
        }
    }

    function everythingIsRefused(bytes32 id, DeviceRecords.Status found) private {
        bytes memory refusal = noLife(id, found);
        DeviceRegistry.Rotation memory change = rotation(id, p256Key(FRESH));
        DeviceRegistry.Consents memory none;
        vm.startPrank(registrar);
        vm.expectRevert(refusal);
        registry.rotate(change, "", "");
        vm.expectRevert(refusal);
        registry.recover(change, "", "");
        vm.expectRevert(refusal);
        registry.compromise(id, bytes16(id), 0, deadline, "");
        vm.expectRevert(refusal);
        registry.transfer(handover(id, next, p256Key(FRESH)), none);
        vm.expectRevert(refusal);
        registry.deactivate(id);
        vm.expectRevert(refusal);
        registry.deactivateWithSignature(id, deadline, "");
        vm.expectRevert(wrongStatus(id, DeviceRecords.Status.Bound, found));
        registry.activate(id, deadline, "");
        vm.expectRevert(wrongStatus(id, DeviceRecords.Status.Active, found));
        registry.suspend(id);
        vm.expectRevert(wrongStatus(id, DeviceRecords.Status.Active, found));
        registry.suspendWithSignature(id, deadline, "");
        vm.expectRevert(wrongStatus(id, DeviceRecords.Status.Suspended, found));
        registry.resume(id);
        vm.expectRevert(wrongStatus(id, DeviceRecords.Status.Suspended, found));
        registry.resumeWithSignature(id, deadline, "");
        vm.stopPrank();
    }
}
