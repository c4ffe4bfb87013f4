// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceRecords} from "../src/DeviceRecords.sol";
import {DeviceRegistry} from "../src/DeviceRegistry.sol";
import {Base} from "./Base.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @notice A registry, its roles, and everybody's signatures. The EIP-712 hashes are worked out here again, from the
/// types as written in the documentation.
abstract contract DeviceBase is Base {
    uint256 internal constant OWNER_KEY = 0xA11CE;
    uint256 internal constant NEXT_KEY = 0xB0B;
    /// @dev Secrets of P-256 device keys.
    uint256 internal constant BORN = 0xB04;
    uint256 internal constant FRESH = 0xF4E54;
    bytes internal constant ED25519 = hex"01d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a00";
    bytes internal constant OTHER_ED25519 = hex"013d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c00";
    bytes32 internal constant VOUCHER = keccak256("the head of a voucher");

    address internal owner = vm.addr(OWNER_KEY);
    address internal next = vm.addr(NEXT_KEY);
    address internal admin = actor("admin");
    address internal registrar = actor("registrar");
    address internal guardian = actor("guardian");
    address internal anyone = actor("anyone");
    uint256 internal deadline;
    DeviceRegistry internal registry;

    function prepare() internal {
        vm.warp(1_700_000_000);
        deadline = block.timestamp + 1 hours;
        registry = deploy();
    }

    function deploy() internal returns (DeviceRegistry fresh) {
        fresh = new DeviceRegistry(admin);
        bytes32 registrars = fresh.REGISTRAR_ROLE();
        bytes32 guardians = fresh.GUARDIAN_ROLE();
        vm.startPrank(admin);
        fresh.grantRole(registrars, registrar);
        fresh.grantRole(guardians, guardian);
        vm.stopPrank();
    }

    // ---- Devices

    function p256Key(uint256 secret) internal pure returns (bytes memory) {
        (uint256 x, uint256 y) = vm.publicKeyP256(secret);
        return abi.encodePacked(bytes1(0x02), y & 1 == 1 ? bytes1(0x03) : bytes1(0x02), x);
    }

    function prove(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = vm.signP256(secret, sha256(abi.encodePacked("depin/binding/v2", digest)));
        if (uint256(s) > P256.N / 2) s = bytes32(P256.N - uint256(s));
        return abi.encodePacked(r, s);
    }

    /// @notice What a device whose proof nobody can check here brings along.
    function unchecked64() internal pure returns (bytes memory) {
        return abi.encodePacked(keccak256("R"), keccak256("S"));
    }

    // ---- What is signed

    function typed(bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("depin DeviceRegistry"),
                keccak256("2"),
                block.chainid,
                address(registry)
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domain, structHash));
    }

    function registerDigest(DeviceRegistry.Registration memory terms, uint256 nonce) internal view returns (bytes32) {
        bytes32 typehash =
            keccak256("Register(bytes deviceKey,address owner,bool active,uint256 nonce,uint256 deadline)");
        return typed(
            keccak256(
                abi.encode(typehash, keccak256(terms.deviceKey), terms.owner, terms.active, nonce, terms.deadline)
            )
        );
    }

    /// @notice Also makes `nonce` that of `terms`.
    function rotateDigest(DeviceRegistry.Rotation memory terms, uint256 nonce) internal view returns (bytes32) {
        terms.nonce = nonce;
        bytes32 typehash = keccak256(
            "Rotate(bytes32 device,bytes newKey,uint32 lastBoot,uint64 lastSequence,uint256 nonce,uint256 deadline)"
        );
        return typed(
            keccak256(
                abi.encode(
                    typehash,
                    terms.device,
                    keccak256(terms.newKey),
                    terms.lastBoot,
                    terms.lastSequence,
                    nonce,
                    terms.deadline
                )
            )
        );
    }

    function transferDigest(DeviceRegistry.Handover memory terms, address from, uint256 nonce)
        internal
        view
        returns (bytes32)
    {
        bytes32 typehash = keccak256(
            "Transfer(bytes32 device,address owner,address newOwner,bytes newKey,uint64 cutOver,bytes32 voucher,uint256 nonce,uint256 deadline)"
        );
        return typed(
            keccak256(
                abi.encode(
                    typehash,
                    terms.device,
                    from,
                    terms.newOwner,
                    keccak256(terms.newKey),
                    terms.cutOver,
                    terms.voucher,
                    nonce,
                    terms.deadline
                )
            )
        );
    }

    function compromiseDigest(bytes32 device, address who, bytes16 keyId, uint64 since, uint256 nonce)
        internal
        view
        returns (bytes32)
    {
        bytes32 typehash = keccak256(
            "Compromise(bytes32 device,address owner,bytes16 keyId,uint64 since,uint256 nonce,uint256 deadline)"
        );
        return typed(keccak256(abi.encode(typehash, device, who, keyId, since, nonce, deadline)));
    }

    /// @param action `Activate`, `Suspend`, `Resume` or `Deactivate`.
    function ownerDigest(string memory action, bytes32 device, address who, uint256 nonce)
        internal
        view
        returns (bytes32)
    {
        bytes32 typehash =
            keccak256(abi.encodePacked(action, "(bytes32 device,address owner,uint256 nonce,uint256 deadline)"));
        return typed(keccak256(abi.encode(typehash, device, who, nonce, deadline)));
    }

    function sign(uint256 signer, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer, digest);
        return abi.encodePacked(r, s, v);
    }

    // ---- Whole steps, each by what it needs

    function registration(bytes memory key, bool active) internal view returns (DeviceRegistry.Registration memory) {
        return DeviceRegistry.Registration(key, owner, active, deadline);
    }

    /// @notice Registers the P-256 device `secret`, relayed by anyone.
    function registerP256(uint256 secret, bool active) internal returns (bytes32) {
        DeviceRegistry.Registration memory terms = registration(p256Key(secret), active);
        bytes32 digest = registerDigest(terms, 0);
        bytes memory ownerSignature = sign(OWNER_KEY, digest);
        bytes memory proof = prove(secret, digest);
        vm.prank(anyone);
        return registry.register(terms, ownerSignature, proof);
    }

    function rotation(bytes32 device, bytes memory newKey) internal view returns (DeviceRegistry.Rotation memory) {
        return DeviceRegistry.Rotation(device, newKey, 3, 77, registry.nonces(device), deadline);
    }

    function rotateP256(bytes32 device, uint256 from, uint256 to) internal {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(to));
        bytes32 digest = rotateDigest(terms, registry.nonces(device));
        registry.rotate(terms, prove(from, digest), prove(to, digest));
    }

    function handover(bytes32 device, address to, bytes memory newKey)
        internal
        view
        returns (DeviceRegistry.Handover memory)
    {
        return DeviceRegistry.Handover(device, to, newKey, 12, VOUCHER, deadline);
    }

    function consents(DeviceRegistry.Handover memory terms, uint256 fromKey, uint256 toKey, uint256 old, uint256 new_)
        internal
        view
        returns (DeviceRegistry.Consents memory)
    {
        bytes32 digest = transferDigest(terms, vm.addr(fromKey), registry.nonces(terms.device));
        return
            DeviceRegistry.Consents(sign(fromKey, digest), sign(toKey, digest), prove(old, digest), prove(new_, digest));
    }

    function transferP256(bytes32 device, uint256 fromKey, uint256 toKey, uint256 old, uint256 new_) internal {
        DeviceRegistry.Handover memory terms = handover(device, vm.addr(toKey), p256Key(new_));
        registry.transfer(terms, consents(terms, fromKey, toKey, old, new_));
    }

    function compromiseKey(bytes32 device, bytes16 keyId, uint64 since) internal {
        registry.compromise(device, keyId, since, deadline, compromiseSignature(device, keyId, since));
    }

    /// @notice By whoever owns the device.
    function compromiseSignature(bytes32 device, bytes16 keyId, uint64 since) internal view returns (bytes memory) {
        address who = registry.ownerOf(device);
        bytes32 digest = compromiseDigest(device, who, keyId, since, registry.nonces(device));
        return sign(who == next ? NEXT_KEY : OWNER_KEY, digest);
    }

    function recoverP256(bytes32 device, uint256 to) internal {
        DeviceRegistry.Rotation memory terms = rotation(device, p256Key(to));
        bytes32 digest = rotateDigest(terms, registry.nonces(device));
        uint256 signer = registry.ownerOf(device) == next ? NEXT_KEY : OWNER_KEY;
        registry.recover(terms, sign(signer, digest), prove(to, digest));
    }

    function wrongStatus(bytes32 device, DeviceRecords.Status expected, DeviceRecords.Status found)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(DeviceRecords.WrongStatus.selector, device, expected, found);
    }

    function noLife(bytes32 device, DeviceRecords.Status found) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(DeviceRecords.NoLife.selector, device, found);
    }

    function idOf(bytes memory key) internal pure returns (bytes16) {
        return bytes16(sha256(key));
    }

    function status(bytes32 device) internal view returns (DeviceRecords.Status) {
        return registry.deviceInfo(device).status;
    }

    function assertStatus(bytes32 device, DeviceRecords.Status expected) internal view {
        vm.assertEq(uint256(status(device)), uint256(expected));
    }
}
