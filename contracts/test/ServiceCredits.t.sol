// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "../src/NetworkToken.sol";
import {ServiceCredits} from "../src/ServiceCredits.sol";
import {Base} from "./Base.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

contract ServiceCreditsTest is Base {
    uint256 private constant KEY = 0xC057;
    address private payer = vm.addr(KEY);
    address private admin = actor("admin");
    address private distributor = actor("distributor");
    NetworkToken private token;
    ServiceCredits private credits;

    function setUp() public {
        vm.warp(1_700_000_000);
        token = new NetworkToken("Test", "TST", admin, payer, 1e24, 0);
        credits = new ServiceCredits(token, 2_500, admin);
        bytes32 role = credits.DISTRIBUTOR_ROLE();
        vm.prank(admin);
        credits.grantRole(role, distributor);
        vm.prank(payer);
        token.approve(address(credits), type(uint256).max);
    }

    function test_APaymentBurnsItsShareAndHoldsTheRest() public {
        vm.expectEmit(address(credits));
        emit ServiceCredits.Paid(payer, payer, 1_000, 250);
        vm.prank(payer);
        credits.pay(1_000);
        vm.assertEq(credits.totalPaid(), 1_000);
        vm.assertEq(credits.totalBurned(), 250);
        vm.assertEq(credits.held(), 750);
        vm.assertEq(token.balanceOf(address(credits)), 750);
        vm.assertEq(token.totalSupply(), 1e24 - 250);
    }

    function test_TheBurnedShareIsRoundedUp() public {
        vm.prank(payer);
        credits.pay(1);
        vm.assertEq(credits.totalBurned(), 1);
        vm.assertEq(credits.held(), 0);
        vm.prank(payer);
        credits.pay(5);
        vm.assertEq(credits.totalBurned(), 3);
    }

    function test_AnyonePaysForACustomer() public {
        address customer = actor("customer");
        vm.expectEmit(address(credits));
        emit ServiceCredits.Paid(customer, payer, 400, 100);
        vm.prank(payer);
        credits.payFor(customer, 400);
    }

    function test_APermitReplacesTheApproval() public {
        vm.prank(payer);
        token.approve(address(credits), 0);
        (uint8 v, bytes32 r, bytes32 s) = permit(1_000, block.timestamp);
        vm.prank(payer);
        credits.payWithPermit(payer, 1_000, block.timestamp, v, r, s);
        vm.assertEq(credits.totalPaid(), 1_000);
    }

    function test_APermitThatSomebodySubmittedBeforeStillPays() public {
        vm.prank(payer);
        token.approve(address(credits), 0);
        (uint8 v, bytes32 r, bytes32 s) = permit(1_000, block.timestamp);
        token.permit(payer, address(credits), 1_000, block.timestamp, v, r, s);
        vm.prank(payer);
        credits.payWithPermit(payer, 1_000, block.timestamp, v, r, s);
        vm.assertEq(credits.totalPaid(), 1_000);
    }

    function test_AnExpiredPermitPaysNothing() public {
        vm.prank(payer);
        token.approve(address(credits), 0);
        (uint8 v, bytes32 r, bytes32 s) = permit(1_000, block.timestamp - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(credits), 0, 1_000)
        );
        vm.prank(payer);
        credits.payWithPermit(payer, 1_000, block.timestamp - 1, v, r, s);
    }

    function test_APaymentOfNothingIsRefused() public {
        vm.expectPartialRevert(ServiceCredits.NothingToPay.selector);
        credits.pay(0);
    }

    function test_APaymentForNobodyIsRefused() public {
        vm.expectPartialRevert(ServiceCredits.CustomerMissing.selector);
        credits.payFor(address(0), 1);
    }

    function test_TheBurnedShareHasBounds() public {
        vm.expectRevert(abi.encodeWithSelector(ServiceCredits.BurnShareOutOfRange.selector, 1, 10_000, 0));
        new ServiceCredits(token, 0, admin);
        vm.expectRevert(abi.encodeWithSelector(ServiceCredits.BurnShareOutOfRange.selector, 1, 10_000, 10_001));
        new ServiceCredits(token, 10_001, admin);
        new ServiceCredits(token, 1, admin);
        new ServiceCredits(token, 10_000, admin);
    }

    function test_OnlyTheDistributorTakesHeldTokens() public {
        vm.prank(payer);
        credits.pay(1_000);
        address[3] memory others = [payer, admin, address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
            vm.prank(others[i]);
            credits.release(1);
        }
        vm.prank(distributor);
        credits.release(750);
        vm.assertEq(token.balanceOf(distributor), 750);
        vm.assertEq(credits.held(), 0);
    }

    function test_NoMoreThanWhatIsHeldIsReleased() public {
        vm.prank(payer);
        credits.pay(1_000);
        vm.startPrank(distributor);
        vm.expectRevert(abi.encodeWithSelector(ServiceCredits.HeldTooLow.selector, 750, 751));
        credits.release(751);
    }

    function test_ADonationIsNotHeld() public {
        vm.prank(payer);
        token.transfer(address(credits), 100);
        vm.assertEq(credits.held(), 0);
        vm.expectRevert(abi.encodeWithSelector(ServiceCredits.HeldTooLow.selector, 0, 1));
        vm.prank(distributor);
        credits.release(1);
    }

    function test_WhatIsRestoredIsHeldAgain() public {
        vm.prank(payer);
        credits.pay(1_000);
        vm.startPrank(distributor);
        credits.release(750);
        token.approve(address(credits), 700);
        credits.restore(700);
        vm.assertEq(credits.held(), 700);
        vm.assertEq(token.balanceOf(address(credits)), 700);
        vm.assertEq(credits.totalPaid(), 1_000);
    }

    function test_ADistributorWithoutItsRoleStillRestores() public {
        vm.prank(payer);
        credits.pay(1_000);
        vm.prank(distributor);
        credits.release(750);
        bytes32 role = credits.DISTRIBUTOR_ROLE();
        vm.prank(admin);
        credits.revokeRole(role, distributor);
        vm.startPrank(distributor);
        token.approve(address(credits), 750);
        credits.restore(750);
        vm.assertEq(credits.held(), 750);
    }

    function testFuzz_EveryPaymentIsBurnedOrHeldToTheLastUnit(uint256 amount, uint16 bps) public {
        amount = bound(amount, 1, 1e24);
        bps = uint16(bound(bps, 1, 10_000));
        ServiceCredits other = new ServiceCredits(token, bps, admin);
        vm.startPrank(payer);
        token.approve(address(other), amount);
        other.pay(amount);
        vm.assertEq(other.totalBurned() + other.held(), amount);
        vm.assertGe(other.totalBurned() * 10_000, amount * bps);
        vm.assertLt((other.totalBurned() - 1) * 10_000, amount * bps);
        vm.assertEq(token.balanceOf(address(other)), other.held());
    }

    function permit(uint256 amount, uint256 deadline) private view returns (uint8, bytes32, bytes32) {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash =
            keccak256(abi.encode(typehash, payer, address(credits), amount, token.nonces(payer), deadline));
        return vm.sign(KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash)));
    }
}
