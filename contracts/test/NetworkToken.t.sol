// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "../src/NetworkToken.sol";
import {Base} from "./Base.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

contract NetworkTokenTest is Base {
    address private admin = actor("admin");
    address private holder = actor("holder");
    address private minter = actor("minter");
    NetworkToken private token;

    function setUp() public {
        token = new NetworkToken("Test", "TST", admin, holder, 1_000, 500);
        bytes32 role = token.MINTER_ROLE();
        vm.prank(admin);
        token.grantRole(role, minter);
    }

    function test_TheInitialSupplyGoesToItsHolderAndDoesNotCountAsMinted() public view {
        vm.assertEq(token.balanceOf(holder), 1_000);
        vm.assertEq(token.totalSupply(), 1_000);
        vm.assertEq(token.totalMinted(), 0);
        vm.assertEq(token.mintable(minter), 500);
    }

    function test_ATokenCanStartWithoutSupply() public {
        NetworkToken empty = new NetworkToken("Test", "TST", admin, address(0), 0, 500);
        vm.assertEq(empty.totalSupply(), 0);
    }

    function test_AMinterMintsExactlyUpToTheCap() public {
        vm.startPrank(minter);
        token.mint(holder, 499);
        vm.expectRevert(abi.encodeWithSelector(NetworkToken.MintCapExceeded.selector, 1, 2));
        token.mint(holder, 2);
        token.mint(holder, 1);
        vm.assertEq(token.balanceOf(holder), 1_500);
        vm.assertEq(token.mintable(minter), 0);
    }

    function test_BurningMakesNoRoomUnderTheCap() public {
        vm.prank(minter);
        token.mint(holder, 500);
        vm.prank(holder);
        token.burn(1_500);
        vm.expectRevert(abi.encodeWithSelector(NetworkToken.MintCapExceeded.selector, 0, 1));
        vm.prank(minter);
        token.mint(holder, 1);
    }

    function test_OnlyAMinterMints() public {
        bytes32 role = token.MINTER_ROLE();
        vm.assertEq(token.mintable(holder), 0);
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, holder, role));
        vm.prank(holder);
        token.mint(holder, 1);
    }

    function test_TheAdminCannotMintWithoutTheRole() public {
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(admin);
        token.mint(admin, 1);
    }

    function testFuzz_WhatWasMintedNeverPassesTheCap(uint256[8] memory amounts) public {
        uint256 minted;
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 amount = bound(amounts[i], 0, 200);
            vm.prank(minter);
            try token.mint(holder, amount) {
                minted += amount;
            } catch {
                vm.assertLt(500, minted + amount);
            }
        }
        vm.assertEq(token.totalMinted(), minted);
        vm.assertLe(minted, 500);
    }
}
