// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {EthereumDIDRegistry} from "./EthereumDIDRegistry.sol";

/// @notice What did:ethr relies on.
contract EthereumDIDRegistryTest is Base {
    EthereumDIDRegistry private registry = new EthereumDIDRegistry();
    address private identity = actor("identity");
    address private next = actor("next");

    function test_TheOwnerChangesTheOwner() public {
        vm.assertEq(registry.identityOwner(identity), identity);
        vm.roll(10);
        vm.expectEmit(address(registry));
        emit EthereumDIDRegistry.DIDOwnerChanged(identity, next, 0);
        vm.prank(identity);
        registry.changeOwner(identity, next);
        vm.assertEq(registry.changed(identity), 10);
        vm.expectRevert(abi.encodeWithSelector(EthereumDIDRegistry.BadActor.selector, next, identity));
        vm.prank(identity);
        registry.changeOwner(identity, identity);
        vm.roll(12);
        vm.expectEmit(address(registry));
        emit EthereumDIDRegistry.DIDOwnerChanged(identity, address(0), 10);
        vm.prank(next);
        registry.changeOwner(identity, address(0));
        vm.assertEq(registry.identityOwner(identity), identity);
        vm.assertEq(registry.owners(identity), address(0));
    }

    function test_ADelegateIsValidForItsTime() public {
        vm.warp(1_000);
        vm.startPrank(identity);
        registry.addDelegate(identity, "veriKey", next, 50);
        vm.assertTrue(registry.validDelegate(identity, "veriKey", next));
        vm.warp(1_050);
        vm.assertFalse(registry.validDelegate(identity, "veriKey", next));
        registry.addDelegate(identity, "veriKey", next, 50);
        registry.revokeDelegate(identity, "veriKey", next);
        vm.assertFalse(registry.validDelegate(identity, "veriKey", next));
    }

    function test_ChangesOfOneBlockPointToThatBlock() public {
        vm.roll(10);
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(registry.setAttribute, (identity, "did/svc/x", "u", 9));
        calls[1] = abi.encodeCall(registry.revokeAttribute, (identity, "did/svc/x", "u"));
        calls[2] = abi.encodeCall(registry.changeOwner, (identity, next));
        vm.expectEmit(address(registry));
        emit EthereumDIDRegistry.DIDAttributeChanged(identity, "did/svc/x", "u", block.timestamp + 9, 0);
        vm.expectEmit(address(registry));
        emit EthereumDIDRegistry.DIDAttributeChanged(identity, "did/svc/x", "u", 0, 10);
        vm.expectEmit(address(registry));
        emit EthereumDIDRegistry.DIDOwnerChanged(identity, next, 10);
        vm.prank(identity);
        registry.multicall(calls);
        vm.assertEq(registry.changed(identity), 10);
    }
}
