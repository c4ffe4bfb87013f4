// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceConsent} from "../src/DeviceConsent.sol";
import {DeviceRecords} from "../src/DeviceRecords.sol";
import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {DeviceBase} from "./DeviceBase.sol";

/// @notice What a buyer cannot do to a seller, and a thief not to an owner.
contract DeviceTenuresTest is DeviceBase {
    bytes32 private device;
    bytes16 private born;
    bytes16 private fresh;

    function setUp() public {
        prepare();
        device = registerP256(BORN, true);
        born = idOf(p256Key(BORN));
        fresh = idOf(p256Key(FRESH));
    }

    // ---- Keys of an owner before

    function test_ABuyerDeclaresNoKeyOfTheSellerCompromised() public {
        rotateP256(device, BORN, FRESH);
        transferP256(device, OWNER_KEY, NEXT_KEY, FRESH, 0xE11E);
        bytes16[2] memory sold = [born, fresh];
        for (uint256 i = 0; i < sold.length; ++i) {
            expectFormer(sold[i], 1, 0);
            (bool compromised,) = registry.compromisedSince(sold[i]);
            vm.assertFalse(compromised);
        }
        vm.assertEq(registry.nonces(device), 3);
    }

    function test_ABuyerDeclaresTheKeysOfItsOwnTimeAlsoBeforeTheCutOver() public {
        transferP256(device, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        compromiseKey(device, fresh, 5);
        vm.assertTrue(registry.deviceInfo(device).keyCompromised);
        recoverP256(device, 0xE11E);
        rotateP256(device, 0xE11E, 0xE22E);
        // Of those before the present one too, and only to an earlier moment.
        compromiseKey(device, idOf(p256Key(0xE11E)), 7);
        compromiseKey(device, fresh, 4);
        (, uint64 since) = registry.compromisedSince(fresh);
        vm.assertEq(since, 4);
        vm.assertFalse(registry.deviceInfo(device).keyCompromised);
    }

    function test_WhatTheSellerDeclaredStaysAsItWas() public {
        compromiseKey(device, born, 500);
        recoverP256(device, FRESH);
        transferP256(device, OWNER_KEY, NEXT_KEY, FRESH, 0xE11E);
        uint64[3] memory moments = [uint64(0), 499, 501];
        for (uint256 i = 0; i < moments.length; ++i) {
            bytes memory signature = compromiseSignature(device, born, moments[i]);
            vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeyOfFormerOwner.selector, born, 1, 0));
            registry.compromise(device, born, moments[i], deadline, signature);
        }
        (bool compromised, uint64 since) = registry.compromisedSince(born);
        vm.assertTrue(compromised);
        vm.assertEq(since, 500);
    }

    function test_AnOwnerWhoBoughtTheDeviceBackHasNoHoldOnTheKeysOfBefore() public {
        transferP256(device, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        transferP256(device, NEXT_KEY, OWNER_KEY, FRESH, 0xE11E);
        expectFormer(born, 2, 0);
        expectFormer(fresh, 2, 1);
        compromiseKey(device, idOf(p256Key(0xE11E)), 5);
    }

    function test_AFormerOwnerDeclaresNothing() public {
        transferP256(device, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        bytes32 digest = compromiseDigest(device, next, fresh, 5, 2);
        vm.expectPartialRevert(DeviceConsent.BadSignature.selector);
        registry.compromise(device, fresh, 5, deadline, sign(OWNER_KEY, digest));
        expectFormer(born, 1, 0);
    }

    function test_ABuyerSuspendsAndDeactivatesBeforeTheCutOver() public {
        transferP256(device, OWNER_KEY, NEXT_KEY, BORN, FRESH);
        vm.prank(next);
        registry.suspend(device);
        assertStatus(device, DeviceRecords.Status.Suspended);
        vm.prank(next);
        registry.deactivate(device);
        assertStatus(device, DeviceRecords.Status.Deactivated);
    }

    // ---- Keys that are kept for the owner

    function test_AThiefRotatesUntilOnlyTheOwnersKeysAreLeft() public {
        uint256 most = rotateAll();
        vm.assertEq(most, 56);
        DeviceRegistry.Rotation memory terms = rotation(device, OTHER_ED25519);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeysKeptForOwner.selector, device, 56));
        vm.prank(registrar);
        registry.rotate(terms, unchecked64(), unchecked64());
        // All that are left, one after the other, and no more.
        for (uint256 i = most; i < registry.MAX_KEYS(); ++i) {
            compromisePresent();
            recoverTo(nthKey(i));
            terms.nonce = registry.nonces(device);
            vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeysKeptForOwner.selector, device, 56));
            vm.prank(registrar);
            registry.rotate(terms, unchecked64(), unchecked64());
        }
        compromisePresent();
        terms.nonce = registry.nonces(device);
        bytes memory signature = sign(OWNER_KEY, rotateDigest(terms, terms.nonce));
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.TooManyKeys.selector, device, 64));
        vm.prank(registrar);
        registry.recover(terms, signature, unchecked64());
    }

    function test_ADeviceThatMayRotateNoMoreIsSoldUntilItsKeysAreUsedUp() public {
        uint256 most = rotateAll();
        for (uint256 i = most; i < registry.MAX_KEYS(); ++i) {
            sellWith(nthKey(i));
        }
        vm.assertEq(registry.ownershipEpoch(device), registry.KEPT_FOR_OWNER());
        (DeviceRegistry.Handover memory terms, DeviceRegistry.Consents memory all) = saleWith(OTHER_ED25519);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.TooManyKeys.selector, device, 64));
        vm.prank(registrar);
        registry.transfer(terms, all);
    }

    // ---- Steps

    /// @dev Nobody can check these proofs here, which makes them cheap.
    function rotateAll() private returns (uint256 most) {
        most = registry.MAX_KEYS() - registry.KEPT_FOR_OWNER();
        DeviceRegistry.Rotation memory terms = rotation(device, nthKey(1));
        bytes memory old = prove(BORN, rotateDigest(terms, 1));
        vm.startPrank(registrar);
        registry.rotate(terms, old, unchecked64());
        for (uint256 i = 2; i < most; ++i) {
            terms.newKey = nthKey(i);
            terms.nonce = i;
            registry.rotate(terms, unchecked64(), unchecked64());
        }
        vm.stopPrank();
    }

    function compromisePresent() private {
        compromiseKey(device, idOf(registry.deviceKey(device)), 5);
    }

    function recoverTo(bytes memory key) private {
        DeviceRegistry.Rotation memory terms = rotation(device, key);
        bytes memory signature = sign(OWNER_KEY, rotateDigest(terms, terms.nonce));
        vm.prank(registrar);
        registry.recover(terms, signature, unchecked64());
    }

    function sellWith(bytes memory key) private {
        (DeviceRegistry.Handover memory terms, DeviceRegistry.Consents memory all) = saleWith(key);
        vm.prank(registrar);
        registry.transfer(terms, all);
    }

    /// @dev To whichever of the two does not own it.
    function saleWith(bytes memory key)
        private
        view
        returns (DeviceRegistry.Handover memory terms, DeviceRegistry.Consents memory all)
    {
        address from = registry.ownerOf(device);
        (uint256 seller, uint256 buyer) = from == next ? (NEXT_KEY, OWNER_KEY) : (OWNER_KEY, NEXT_KEY);
        terms = handover(device, vm.addr(buyer), key);
        bytes32 digest = transferDigest(terms, from, registry.nonces(device));
        all = DeviceRegistry.Consents(sign(seller, digest), sign(buyer, digest), unchecked64(), unchecked64());
    }

    function nthKey(uint256 n) private pure returns (bytes memory) {
        return abi.encodePacked(bytes1(0x01), keccak256(abi.encode(n)), bytes1(0));
    }

    function expectFormer(bytes16 keyId, uint32 expected, uint32 found) private {
        bytes memory signature = compromiseSignature(device, keyId, 5);
        vm.expectRevert(abi.encodeWithSelector(DeviceRecords.KeyOfFormerOwner.selector, keyId, expected, found));
        registry.compromise(device, keyId, 5, deadline, signature);
    }
}
