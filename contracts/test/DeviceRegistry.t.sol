// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {Base} from "./Base.sol";
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

contract DeviceRegistryTest is Base {
    uint256 private constant OWNER_KEY = 0xA11CE;
    uint256 private constant NEXT_KEY = 0xB0B;
    address private owner = vm.addr(OWNER_KEY);
    address private next = vm.addr(NEXT_KEY);
    address private admin = actor("admin");
    address private registrar = actor("registrar");
    bytes private constant KEY = hex"01d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a00";
    bytes private constant PROOF = "what the device signed";
    bytes32 private device = sha256(KEY);
    uint256 private deadline;
    DeviceRegistry private registry;

    function setUp() public {
        vm.warp(1_700_000_000);
        deadline = block.timestamp + 1 hours;
        registry = deploy();
    }

    function deploy() private returns (DeviceRegistry fresh) {
        fresh = new DeviceRegistry(admin);
        bytes32 role = fresh.REGISTRAR_ROLE();
        vm.prank(admin);
        fresh.grantRole(role, registrar);
    }

    // ---- Registration

    function test_ADeviceIsRegisteredToTheOwnerWhoSigned() public {
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 0, deadline);
        vm.expectEmit(address(registry));
        emit DeviceRegistry.DeviceRegistered(device, owner, KEY, 0, deadline, PROOF);
        vm.prank(registrar);
        vm.assertEq(registry.register(KEY, owner, deadline, signature, PROOF), device);

        vm.assertEq(registry.ownerOf(device), owner);
        vm.assertEq(registry.deviceKey(device), KEY);
        vm.assertTrue(registry.isActive(device));
        vm.assertEq(registry.nonces(device), 1);
        vm.assertEq(registry.ownershipEpoch(device), 0);
        vm.assertEq(registry.deviceOfKeyId(bytes16(device)), device);
        DeviceRegistry.Device memory info = registry.deviceInfo(device);
        vm.assertEq(uint256(info.status), uint256(DeviceRegistry.Status.Active));
        vm.assertEq(info.owner, owner);
        vm.assertEq(info.nonce, 1);
        vm.assertEq(info.deviceKey, KEY);
    }

    function test_AnUnknownDeviceHasNothing() public view {
        vm.assertEq(registry.ownerOf(device), address(0));
        vm.assertEq(registry.deviceKey(device), "");
        vm.assertFalse(registry.isActive(device));
        vm.assertEq(registry.nonces(device), 0);
    }

    function test_AllThreeKindsOfKeyAreRegistered() public {
        bytes[3] memory keys = [
            KEY,
            bytes(hex"0202e2534a3532d08fbba02dde659ee62bd0031fe2db785596ef509302446b030852"),
            bytes(hex"030379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
        ];
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes memory signature = signRegister(OWNER_KEY, keys[i], owner, 0, deadline);
            vm.prank(registrar);
            bytes32 id = registry.register(keys[i], owner, deadline, signature, PROOF);
            vm.assertEq(registry.deviceKey(id), keys[i]);
        }
    }

    function test_OnlyARegistrarRegisters() public {
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 0, deadline);
        bytes32 role = registry.REGISTRAR_ROLE();
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, owner, role));
        vm.prank(owner);
        registry.register(KEY, owner, deadline, signature, PROOF);
    }

    function test_AKeyOfAnotherLengthIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyLength.selector, 34, 33));
        registry.deviceIdOf(new bytes(33));
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyLength.selector, 34, 35));
        registry.deviceIdOf(new bytes(35));
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyLength.selector, 34, 0));
        registry.deviceIdOf("");
    }

    function test_AnUnknownTagIsRefused() public {
        bytes memory key = KEY;
        key[0] = 0x00;
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyTag.selector, 1, 3, 0));
        registry.deviceIdOf(key);
        key[0] = 0x04;
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyTag.selector, 1, 3, 4));
        registry.deviceIdOf(key);
    }

    function test_AnEd25519KeyWithSomethingInItsPaddingIsRefused() public {
        bytes memory key = KEY;
        key[33] = 0x07;
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyPadding.selector, 0, 7));
        registry.deviceIdOf(key);
    }

    function test_AnUncompressedPointIsRefused() public {
        bytes memory key = KEY;
        for (uint8 tag = 2; tag <= 3; ++tag) {
            key[0] = bytes1(tag);
            key[1] = 0x04;
            vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadKeyPrefix.selector, 4));
            registry.deviceIdOf(key);
        }
    }

    function test_ADeviceWithoutOwnerIsRefused() public {
        vm.expectPartialRevert(DeviceRegistry.OwnerMissing.selector);
        vm.prank(registrar);
        registry.register(KEY, address(0), deadline, "", PROOF);
    }

    function test_ADeviceIsRegisteredOnce() public {
        register();
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 1, deadline);
        vm.expectRevert(wrongStatus(DeviceRegistry.Status.Unknown, DeviceRegistry.Status.Active));
        vm.prank(registrar);
        registry.register(KEY, owner, deadline, signature, PROOF);
    }

    function test_ACollidingKeyIdIsRefused() public {
        CollidingRegistry colliding = new CollidingRegistry(admin);
        bytes32 role = colliding.REGISTRAR_ROLE();
        vm.prank(admin);
        colliding.grantRole(role, registrar);
        bytes32 holder = bytes32(uint256(device) ^ 1);
        colliding.pretendTaken(bytes16(device), holder);
        vm.assertEq(colliding.deviceOfKeyId(bytes16(device)), holder);
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.KeyIdTaken.selector, bytes16(device), holder, device));
        vm.prank(registrar);
        colliding.register(KEY, owner, deadline, "", PROOF);
    }

    function test_ASignatureIsGoodUntilItsDeadlineAndNotASecondLonger() public {
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 0, deadline);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.SignatureExpired.selector, deadline, deadline + 1));
        vm.prank(registrar);
        registry.register(KEY, owner, deadline, signature, PROOF);
        vm.warp(deadline);
        vm.prank(registrar);
        registry.register(KEY, owner, deadline, signature, PROOF);
    }

    function test_ASignatureOfSomebodyElseIsRefused() public {
        bytes memory signature = signRegister(NEXT_KEY, KEY, owner, 0, deadline);
        bytes32 digest = registerDigest(KEY, owner, 0, deadline);
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.BadSignature.selector, owner, digest));
        vm.prank(registrar);
        registry.register(KEY, owner, deadline, signature, PROOF);
    }

    function test_ASignatureForAnotherRegistryIsRefused() public {
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 0, deadline);
        DeviceRegistry other = deploy();
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        vm.prank(registrar);
        other.register(KEY, owner, deadline, signature, PROOF);
    }

    function test_AContractWalletOwnsADevice() public {
        ContractWallet wallet = new ContractWallet();
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        vm.prank(registrar);
        registry.register(KEY, address(wallet), deadline, "", PROOF);
        wallet.agree(registerDigest(KEY, address(wallet), 0, deadline));
        vm.prank(registrar);
        registry.register(KEY, address(wallet), deadline, "", PROOF);
        vm.assertEq(registry.ownerOf(device), address(wallet));
    }

    function testFuzz_NoFieldOfARegistrationCanBeChangedAfterItWasSigned(uint256 salt, uint8 field) public {
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 0, deadline);
        bytes memory key = KEY;
        address who = owner;
        uint256 until = deadline;
        if (field % 3 == 0) {
            key[1 + salt % 32] = bytes1(uint8(key[1 + salt % 32]) ^ uint8(bound(salt >> 8, 1, 255)));
        } else if (field % 3 == 1) {
            who = address(uint160(bound(salt, 1, type(uint160).max)));
            vm.assume(who != owner && who.code.length == 0);
        } else {
            until = bound(salt, block.timestamp, type(uint256).max);
            vm.assume(until != deadline);
        }
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        vm.prank(registrar);
        registry.register(key, who, until, signature, PROOF);
    }

    // ---- Transfer

    function test_ATransferNeedsBothOwnersAndRaisesTheOwnershipEpoch() public {
        register();
        bytes memory old = signTransfer(OWNER_KEY, owner, next, 1, deadline);
        bytes memory new_ = signTransfer(NEXT_KEY, owner, next, 1, deadline);
        vm.startPrank(registrar);
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        registry.transfer(device, next, deadline, old, old, PROOF);
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        registry.transfer(device, next, deadline, new_, new_, PROOF);
        vm.expectEmit(address(registry));
        emit DeviceRegistry.DeviceTransferred(device, owner, next, 1, deadline, PROOF);
        registry.transfer(device, next, deadline, old, new_, PROOF);
        vm.assertEq(registry.ownerOf(device), next);
        vm.assertEq(registry.ownershipEpoch(device), 1);
        vm.assertEq(registry.nonces(device), 2);
        vm.assertTrue(registry.isActive(device));
    }

    function test_ATransferCannotBeReplayedAfterTheDeviceCameBack() public {
        register();
        bytes memory old = signTransfer(OWNER_KEY, owner, next, 1, deadline);
        bytes memory new_ = signTransfer(NEXT_KEY, owner, next, 1, deadline);
        vm.startPrank(registrar);
        registry.transfer(device, next, deadline, old, new_, PROOF);
        registry.transfer(
            device,
            owner,
            deadline,
            signTransfer(NEXT_KEY, next, owner, 2, deadline),
            signTransfer(OWNER_KEY, next, owner, 2, deadline),
            PROOF
        );
        vm.assertEq(registry.ownershipEpoch(device), 2);
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        registry.transfer(device, next, deadline, old, new_, PROOF);
    }

    function test_OnlyARegistrarTransfers() public {
        register();
        bytes memory old = signTransfer(OWNER_KEY, owner, next, 1, deadline);
        bytes memory new_ = signTransfer(NEXT_KEY, owner, next, 1, deadline);
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(owner);
        registry.transfer(device, next, deadline, old, new_, PROOF);
    }

    function test_ATransferToTheSameOwnerIsRefused() public {
        register();
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.AlreadyOwner.selector, device, owner));
        vm.prank(registrar);
        registry.transfer(device, owner, deadline, "", "", PROOF);
    }

    function test_ATransferToNobodyIsRefused() public {
        register();
        vm.expectPartialRevert(DeviceRegistry.OwnerMissing.selector);
        vm.prank(registrar);
        registry.transfer(device, address(0), deadline, "", "", PROOF);
    }

    function test_AnUnknownDeviceIsNeitherTransferredNorDeactivated() public {
        bytes memory refusal = wrongStatus(DeviceRegistry.Status.Active, DeviceRegistry.Status.Unknown);
        vm.expectRevert(refusal);
        vm.prank(registrar);
        registry.transfer(device, next, deadline, "", "", PROOF);
        vm.expectRevert(refusal);
        registry.deactivate(device);
        vm.expectRevert(refusal);
        registry.deactivateWithSignature(device, deadline, "");
    }

    function test_AnExpiredTransferIsRefused() public {
        register();
        bytes memory old = signTransfer(OWNER_KEY, owner, next, 1, deadline);
        bytes memory new_ = signTransfer(NEXT_KEY, owner, next, 1, deadline);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.SignatureExpired.selector, deadline, deadline + 1));
        vm.prank(registrar);
        registry.transfer(device, next, deadline, old, new_, PROOF);
    }

    // ---- Deactivation

    function test_TheOwnerDeactivatesDirectly() public {
        register();
        vm.expectEmit(address(registry));
        emit DeviceRegistry.DeviceDeactivated(device, owner);
        vm.prank(owner);
        registry.deactivate(device);
        vm.assertFalse(registry.isActive(device));
        vm.assertEq(registry.ownerOf(device), owner);
        vm.assertEq(registry.deviceKey(device), KEY);
    }

    function test_NobodyElseDeactivatesDirectly() public {
        register();
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.NotOwner.selector, device, owner, registrar));
        vm.prank(registrar);
        registry.deactivate(device);
    }

    function test_AnyoneRelaysADeactivation() public {
        register();
        bytes memory signature = signDeactivate(OWNER_KEY, owner, 1, deadline);
        vm.prank(actor("anyone"));
        registry.deactivateWithSignature(device, deadline, signature);
        vm.assertFalse(registry.isActive(device));
    }

    function test_ADeactivationSignedByAFormerOwnerIsRefused() public {
        register();
        bytes memory signature = signDeactivate(OWNER_KEY, owner, 2, deadline);
        vm.prank(registrar);
        registry.transfer(
            device,
            next,
            deadline,
            signTransfer(OWNER_KEY, owner, next, 1, deadline),
            signTransfer(NEXT_KEY, owner, next, 1, deadline),
            PROOF
        );
        vm.expectPartialRevert(DeviceRegistry.BadSignature.selector);
        registry.deactivateWithSignature(device, deadline, signature);
    }

    function test_AnExpiredDeactivationIsRefused() public {
        register();
        bytes memory signature = signDeactivate(OWNER_KEY, owner, 1, deadline);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(DeviceRegistry.SignatureExpired.selector, deadline, deadline + 1));
        registry.deactivateWithSignature(device, deadline, signature);
    }

    function test_ADeactivatedDeviceNeverComesBack() public {
        register();
        vm.prank(owner);
        registry.deactivate(device);
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 2, deadline);
        vm.startPrank(registrar);
        vm.expectRevert(wrongStatus(DeviceRegistry.Status.Unknown, DeviceRegistry.Status.Deactivated));
        registry.register(KEY, owner, deadline, signature, PROOF);
        vm.expectRevert(wrongStatus(DeviceRegistry.Status.Active, DeviceRegistry.Status.Deactivated));
        registry.transfer(device, next, deadline, "", "", PROOF);
    }

    // ---- One signature, one action

    function test_ASignatureForOneActionServesNoOther() public {
        bytes memory forRegister = signRegister(OWNER_KEY, KEY, owner, 1, deadline);
        bytes memory forTransfer = signTransfer(OWNER_KEY, owner, next, 1, deadline);
        bytes memory forDeactivate = signDeactivate(OWNER_KEY, owner, 1, deadline);
        bytes memory consent = signTransfer(NEXT_KEY, owner, next, 1, deadline);
        register();
        bytes4 refusal = DeviceRegistry.BadSignature.selector;
        vm.startPrank(registrar);
        vm.expectPartialRevert(refusal);
        registry.transfer(device, next, deadline, forDeactivate, consent, PROOF);
        vm.expectPartialRevert(refusal);
        registry.transfer(device, next, deadline, forRegister, consent, PROOF);
        vm.expectPartialRevert(refusal);
        registry.deactivateWithSignature(device, deadline, forTransfer);
        vm.expectPartialRevert(refusal);
        registry.deactivateWithSignature(device, deadline, forRegister);
        registry.deactivateWithSignature(device, deadline, forDeactivate);
    }

    // ---- Helpers

    function register() private {
        bytes memory signature = signRegister(OWNER_KEY, KEY, owner, 0, deadline);
        vm.prank(registrar);
        registry.register(KEY, owner, deadline, signature, PROOF);
    }

    function wrongStatus(DeviceRegistry.Status expected, DeviceRegistry.Status found)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(DeviceRegistry.WrongStatus.selector, device, expected, found);
    }

    function registerDigest(bytes memory key, address who, uint256 nonce, uint256 until)
        private
        view
        returns (bytes32)
    {
        bytes32 typehash = keccak256("Register(bytes deviceKey,address owner,uint256 nonce,uint256 deadline)");
        return typed(keccak256(abi.encode(typehash, keccak256(key), who, nonce, until)));
    }

    function signRegister(uint256 signer, bytes memory key, address who, uint256 nonce, uint256 until)
        private
        view
        returns (bytes memory)
    {
        return sign(signer, registerDigest(key, who, nonce, until));
    }

    function signTransfer(uint256 signer, address from, address to, uint256 nonce, uint256 until)
        private
        view
        returns (bytes memory)
    {
        bytes32 typehash =
            keccak256("Transfer(bytes32 device,address owner,address newOwner,uint256 nonce,uint256 deadline)");
        return sign(signer, typed(keccak256(abi.encode(typehash, device, from, to, nonce, until))));
    }

    function signDeactivate(uint256 signer, address who, uint256 nonce, uint256 until)
        private
        view
        returns (bytes memory)
    {
        bytes32 typehash = keccak256("Deactivate(bytes32 device,address owner,uint256 nonce,uint256 deadline)");
        return sign(signer, typed(keccak256(abi.encode(typehash, device, who, nonce, until))));
    }

    function typed(bytes32 structHash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("depin DeviceRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domain, structHash));
    }

    function sign(uint256 signer, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer, digest);
        return abi.encodePacked(r, s, v);
    }
}
