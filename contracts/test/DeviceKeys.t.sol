// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DeviceKeys} from "../src/DeviceKeys.sol";
import {P256Point} from "../src/P256Point.sol";
import {DeviceBase} from "./DeviceBase.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @notice Reverts of internal library calls happen one call further down, where a test can expect them.
contract Keys {
    function yOf(uint256 x, bool odd) external view returns (uint256) {
        return P256Point.yOf(x, odd);
    }

    function idOf(bytes memory key) external pure returns (bytes32) {
        return DeviceKeys.idOf(key);
    }

    function checkProof(bytes memory key, bytes32 digest, bytes calldata proof) external view returns (bool) {
        return DeviceKeys.checkProof(key, digest, proof);
    }
}

contract DeviceKeysTest is DeviceBase {
    Keys private keys = new Keys();
    bytes32 private constant DIGEST = keccak256("what was agreed");

    // ---- y from x

    /// @dev The base point (SEC 2, 2.4.2), 2 G and 3 G (NIST, point multiplication vectors), and the keys of RFC 6979 A.2.5
    /// and of the first Wycheproof group.
    function test_KnownPointsAreFound() public view {
        uint256[2][5] memory points = [
            [
                0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
                0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
            ],
            [
                0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978,
                0x07775510DB8ED040293D9AC69F7430DBBA7DADE63CE982299E04B79D227873D1
            ],
            [
                0x5ECBE4D1A6330A44C8F7EF951D4BF165E6C6B721EFADA985FB41661BC6E7FD6C,
                0x8734640C4998FF7E374B06CE1A64A2ECD82AB036384FB83D9A79B127A27D5032
            ],
            [
                0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
                0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299
            ],
            [
                0x2927B10512BAE3EDDCFE467828128BAD2903269919F7086069C8C4DF6C732838,
                0xC7787964EAAC00E5921FB1498A60F4606766B3D9685001558D1A974E7341513E
            ]
        ];
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 x, uint256 y) = (points[i][0], points[i][1]);
            vm.assertEq(keys.yOf(x, y & 1 == 1), y);
            vm.assertEq(keys.yOf(x, y & 1 == 0), P256.P - y);
        }
    }

    function testFuzz_EveryKeyIsFoundAgain(uint256 secret) public view {
        (uint256 x, uint256 y) = vm.publicKeyP256(bound(secret, 1, P256.N - 1));
        vm.assertEq(keys.yOf(x, y & 1 == 1), y);
    }

    function test_AnXWithoutYIsRefused() public {
        for (uint256 x = 1; x <= 4; ++x) {
            vm.assertFalse(isSquare(x));
            vm.expectRevert(abi.encodeWithSelector(P256Point.NotOnCurve.selector, x));
            keys.yOf(x, false);
            vm.expectRevert(abi.encodeWithSelector(P256Point.NotOnCurve.selector, x));
            keys.yOf(x, true);
        }
    }

    function testFuzz_AnyXIsAPointOrRefused(uint256 x) public {
        if (x < P256.P && isSquare(x)) {
            uint256 y = keys.yOf(x, true);
            vm.assertTrue(P256.isValidPublicKey(bytes32(x), bytes32(y)));
            vm.assertEq(y & 1, 1);
        } else {
            vm.expectRevert(abi.encodeWithSelector(P256Point.NotOnCurve.selector, x));
            keys.yOf(x, true);
        }
    }

    function test_AnXBeyondTheFieldIsRefused() public {
        // 5 is the x of a point; 5 + p would be the same point by another name.
        vm.assertTrue(isSquare(5));
        keys.yOf(5, true);
        uint256[3] memory beyond = [P256.P, P256.P + 5, type(uint256).max];
        for (uint256 i = 0; i < beyond.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(P256Point.NotOnCurve.selector, beyond[i]));
            keys.yOf(beyond[i], true);
        }
    }

    // ---- Typed keys

    function test_AKeyOfAnotherLengthIsRefused() public {
        uint256[3] memory lengths = [uint256(0), 33, 35];
        for (uint256 i = 0; i < lengths.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyLength.selector, 34, lengths[i]));
            keys.idOf(new bytes(lengths[i]));
        }
    }

    function test_AnUnknownTagIsRefused() public {
        bytes memory key = ED25519;
        key[0] = 0x00;
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyTag.selector, 1, 3, 0));
        keys.idOf(key);
        key[0] = 0x04;
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyTag.selector, 1, 3, 4));
        keys.idOf(key);
    }

    function test_AnEd25519KeyWithSomethingInItsPaddingIsRefused() public {
        bytes memory key = ED25519;
        key[33] = 0x07;
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyPadding.selector, 0, 7));
        keys.idOf(key);
    }

    function test_AnUncompressedPointIsRefused() public {
        bytes memory key = ED25519;
        for (uint8 tag = 2; tag <= 3; ++tag) {
            key[0] = bytes1(tag);
            key[1] = 0x04;
            vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadKeyPrefix.selector, 4));
            keys.idOf(key);
        }
    }

    // ---- Proofs

    /// @dev Made by OpenSSL with the secret 0xB04: key, message and hash mean the same to others.
    function test_AProofByAnotherLibraryIsRight() public view {
        bytes memory key = hex"020246776bd47be1d1e70038062c07c4ecb0a037aa56186807bc15a083fb9cdd0aa1";
        bytes memory proof =
            hex"ecd8ec34673854786506e3baa6618bad2fb6eeebe58f25b2ce8597978c8e449402ec78286ae37a72a538f69cf0d22bae5d36b575566f3b66e68912b757d38812";
        vm.assertEq(key, p256Key(BORN));
        vm.assertTrue(keys.checkProof(key, DIGEST, proof));
    }

    function test_AProofIsOverTheContextAndTheHash() public view {
        vm.assertTrue(keys.checkProof(p256Key(BORN), DIGEST, prove(BORN, DIGEST)));
    }

    function test_AProofByAnotherKindOfKeyIsNotChecked() public view {
        vm.assertFalse(keys.checkProof(ED25519, DIGEST, unchecked64()));
        bytes memory secp256k1 = hex"030379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        vm.assertFalse(keys.checkProof(secp256k1, DIGEST, unchecked64()));
    }

    function test_AProofOfAnotherLengthIsRefused() public {
        bytes memory proof = prove(BORN, DIGEST);
        bytes memory key = p256Key(BORN);
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadProofLength.selector, 64, 65));
        keys.checkProof(key, DIGEST, abi.encodePacked(proof, bytes1(0)));
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadProofLength.selector, 64, 0));
        keys.checkProof(ED25519, DIGEST, "");
    }

    function test_TheOtherFormOfASignatureIsRefused() public {
        bytes memory proof = prove(BORN, DIGEST);
        uint256 s;
        assembly ("memory-safe") {
            s := mload(add(proof, 64))
        }
        bytes memory other = abi.encodePacked(slice(proof), P256.N - s);
        vm.expectRevert(abi.encodeWithSelector(DeviceKeys.BadDeviceProof.selector, idOf(p256Key(BORN)), DIGEST));
        keys.checkProof(p256Key(BORN), DIGEST, other);
    }

    function test_AProofWithoutTheContextIsRefused() public {
        (bytes32 r, bytes32 s) = vm.signP256(BORN, DIGEST);
        if (uint256(s) > P256.N / 2) s = bytes32(P256.N - uint256(s));
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        keys.checkProof(p256Key(BORN), DIGEST, abi.encodePacked(r, s));
    }

    function testFuzz_NoBitOfAProofCanBeFlipped(uint256 bit) public {
        bytes memory proof = prove(BORN, DIGEST);
        bit = bound(bit, 0, 511);
        proof[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        vm.expectPartialRevert(DeviceKeys.BadDeviceProof.selector);
        keys.checkProof(p256Key(BORN), DIGEST, proof);
    }

    function test_AProofByAKeyThatIsNoPointIsRefused() public {
        bytes memory key = abi.encodePacked(bytes2(0x0202), uint256(P256.P));
        bytes memory proof = prove(BORN, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(P256Point.NotOnCurve.selector, P256.P));
        keys.checkProof(key, DIGEST, proof);
    }

    /// @dev Euler's criterion, by square and multiply: a root of its own would prove nothing about the library's.
    function isSquare(uint256 x) private pure returns (bool) {
        uint256 p = P256.P;
        uint256 base = addmod(mulmod(addmod(mulmod(x, x, p), P256.A, p), x, p), P256.B, p);
        uint256 power = 1;
        for (uint256 exponent = (p - 1) / 2; exponent != 0; exponent >>= 1) {
            if (exponent & 1 == 1) power = mulmod(power, base, p);
            base = mulmod(base, base, p);
        }
        return power == 1;
    }

    function slice(bytes memory proof) private pure returns (bytes32 r) {
        assembly ("memory-safe") {
            r := mload(add(proof, 32))
        }
    }
}
