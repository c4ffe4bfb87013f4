// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "../src/NetworkToken.sol";
import {RewardDistributor} from "../src/RewardDistributor.sol";
import {ServiceCredits} from "../src/ServiceCredits.sol";
import {DistributorBase} from "./DistributorBase.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Configuration, starting epochs, escrow, schedule.
contract EpochsTest is DistributorBase {
    function setUp() public {
        deploy();
    }

    // ---- Configuration

    function test_EveryParameterHasBounds() public {
        RewardDistributor.Config memory c = config();
        c.epochLength = 0;
        refused(c, "epochLength", 1, 366 days, 0);
        c = config();
        c.initialEmission = uint256(type(uint128).max) + 1;
        refused(c, "initialEmission", 0, type(uint128).max, uint256(type(uint128).max) + 1);
        c = config();
        c.mintPerBurnBps = 10_000;
        refused(c, "mintPerBurnBps", 0, 9_999, 10_000);
        c = config();
        c.challengeWindow = 0;
        refused(c, "challengeWindow", 1, 30 days, 0);
        c.challengeWindow = 30 days + 1;
        refused(c, "challengeWindow", 1, 30 days, 30 days + 1);
        c = config();
        c.evidencePeriod = 0;
        refused(c, "evidencePeriod", 1, 30 days - 1, 0);
        c = config();
        c.resolutionPeriod = 29 days + 1;
        refused(c, "resolutionPeriod", 1, 29 days, 29 days + 1);
        c = config();
        c.proposalBond = 0;
        refused(c, "proposalBond", 1, type(uint128).max, 0);
        c = config();
        c.challengeBond = 0;
        refused(c, "challengeBond", 1, type(uint128).max, 0);
        c = config();
        c.maxVoids = 0;
        refused(c, "maxVoids", 1, 10, 0);
        c.maxVoids = 11;
        refused(c, "maxVoids", 1, 10, 11);
    }

    function test_NoAddressIsMissing() public {
        RewardDistributor.Config memory c = config();
        c.resolver = address(0);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AddressMissing.selector, "resolver"));
        new RewardDistributor(c);
        c = config();
        c.guardian = address(0);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AddressMissing.selector, "guardian"));
        new RewardDistributor(c);
        c = config();
        c.admin = address(0);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AddressMissing.selector, "admin"));
        new RewardDistributor(c);
    }

    function test_WhatCustomersPayWithIsWhatIsPaidOut() public {
        RewardDistributor.Config memory c = config();
        c.token = new NetworkToken("Other", "OTH", admin, bank, 1, 1);
        vm.expectRevert(
            abi.encodeWithSelector(RewardDistributor.TokenMismatch.selector, address(c.token), address(token))
        );
        new RewardDistributor(c);
        c.token = NetworkToken(address(0));
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AddressMissing.selector, "token"));
        new RewardDistributor(c);
        c = config();
        c.credits = ServiceCredits(address(0));
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AddressMissing.selector, "credits"));
        new RewardDistributor(c);
    }

    // ---- Schedule

    function test_TheScheduleHalvesAndEnds() public view {
        vm.assertEq(distributor.schedule(0), EMISSION);
        vm.assertEq(distributor.schedule(3), EMISSION);
        vm.assertEq(distributor.schedule(4), EMISSION / 2);
        vm.assertEq(distributor.schedule(8), EMISSION / 4);
        vm.assertEq(distributor.schedule(4 * 256), 0);
        vm.assertEq(distributor.schedule(type(uint256).max), 0);
    }

    function test_WithoutAnIntervalTheScheduleNeverHalves() public {
        RewardDistributor.Config memory c = config();
        c.halvingInterval = 0;
        vm.assertEq(new RewardDistributor(c).schedule(1_000_000), EMISSION);
    }

    // ---- Starting

    function test_AnEpochStartsAtItsTimeAndNotASecondBefore() public {
        vm.warp(GENESIS - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, GENESIS, GENESIS - 1));
        distributor.startEpoch();
        vm.warp(GENESIS);
        vm.assertEq(distributor.startEpoch(), 0);
        vm.warp(GENESIS + DAY - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, GENESIS + DAY, GENESIS + DAY - 1));
        distributor.startEpoch();
        vm.warp(GENESIS + DAY);
        vm.assertEq(distributor.startEpoch(), 1);
        vm.assertEq(distributor.nextEpoch(), 2);
    }

    function test_MissedEpochsAreStartedInOrder() public {
        vm.warp(GENESIS + 3 * DAY);
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertEq(distributor.startEpoch(), i);
        }
    }

    function test_WithoutDemandNothingIsMinted() public {
        distributor.startEpoch();
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(0);
        vm.assertEq(mintCap, 0);
        vm.assertEq(revenueCap, 0);
        vm.assertEq(token.totalMinted(), 0);
    }

    function test_AnEpochEscrowsWhatBurnAndHeldRevenueAllow() public {
        pay(4_000e18);
        vm.expectEmit(address(distributor));
        emit RewardDistributor.EpochStarted(0, 800e18, REVENUE);
        distributor.startEpoch();
        vm.assertEq(token.balanceOf(address(distributor)), 800e18 + REVENUE);
        vm.assertEq(token.totalMinted(), 800e18);
        vm.assertEq(credits.held(), 2_500e18);
        vm.assertEq(distributor.mintedNet(), 800e18);
        assertStatus(0, RewardDistributor.Status.Awaiting);
    }

    function test_AnEpochEscrowsNoMoreThanTheScheduleAndLeavesTheRestToLaterOnes() public {
        pay(8_000e18);
        runEpoch();
        (uint256 mintCap,) = distributor.caps(0);
        vm.assertEq(mintCap, EMISSION);
        runEpoch();
        (mintCap,) = distributor.caps(1);
        vm.assertEq(mintCap, 600e18);
    }

    function test_HeldRevenueBelowTheBoundIsReleasedWhole() public {
        pay(400e18);
        distributor.startEpoch();
        (, uint256 revenueCap) = distributor.caps(0);
        vm.assertEq(revenueCap, 300e18);
        vm.assertEq(credits.held(), 0);
    }

    function test_WhenTheTokensCapIsReachedEpochsStillPayRevenue() public {
        bytes32 role = token.MINTER_ROLE();
        vm.prank(admin);
        token.grantRole(role, admin);
        vm.prank(admin);
        token.mint(admin, 1e27 - 10);
        pay(4_000e18);
        distributor.startEpoch();
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(0);
        vm.assertEq(mintCap, 10);
        vm.assertEq(revenueCap, REVENUE);
    }

    function test_WithoutTheMinterRoleEpochsStillPayRevenue() public {
        bytes32 role = token.MINTER_ROLE();
        vm.prank(admin);
        token.revokeRole(role, address(distributor));
        pay(4_000e18);
        distributor.startEpoch();
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(0);
        vm.assertEq(mintCap, 0);
        vm.assertEq(revenueCap, REVENUE);
    }

    // ---- What comes back

    function test_UnspentRevenueIsHeldAgainAndUnspentEmissionIsCarried() public {
        pay(4_000e18);
        runEpoch();
        settleEpoch(0, good());
        vm.assertEq(credits.held(), 2_500e18 + 300e18);
        vm.assertEq(distributor.carry(), 400e18);
        vm.assertEq(distributor.mintedNet(), 400e18);
        vm.assertEq(token.balanceOf(address(distributor)), 600e18 + BOND + 400e18);
    }

    function test_TheCarryIsUsedBeforeAnythingIsMinted() public {
        pay(4_000e18);
        runEpoch();
        settleEpoch(0, good());
        uint256 minted = token.totalMinted();
        distributor.startEpoch();
        (uint256 mintCap,) = distributor.caps(1);
        vm.assertEq(mintCap, 400e18);
        vm.assertEq(token.totalMinted(), minted);
        vm.assertEq(distributor.carry(), 0);
        pay(400e18);
        distributor.startEpoch();
        vm.assertEq(token.totalMinted(), minted + 80e18);
    }

    function test_TheCarryIsSpentByARetiredMinterToo() public {
        pay(4_000e18);
        runEpoch();
        settleEpoch(0, payout(provider, 0, 0));
        vm.assertEq(distributor.carry(), 800e18);
        bytes32 role = token.MINTER_ROLE();
        vm.prank(admin);
        token.revokeRole(role, address(distributor));
        distributor.startEpoch();
        (uint256 mintCap,) = distributor.caps(1);
        vm.assertEq(mintCap, 800e18);
    }

    function test_AnEpochThatPaysNothingGivesEverythingBack() public {
        pay(4_000e18);
        runEpoch();
        RewardDistributor.Candidate memory nothing;
        settleEpoch(0, nothing);
        vm.assertEq(credits.held(), 3_000e18);
        vm.assertEq(distributor.carry(), 800e18);
        vm.assertEq(distributor.mintedNet(), 0);
    }

    function test_AnEpochBecomesFinalEvenAfterTheDistributorLostItsRoles() public {
        pay(4_000e18);
        runEpoch();
        bytes32 role = credits.DISTRIBUTOR_ROLE();
        vm.prank(admin);
        credits.revokeRole(role, address(distributor));
        settleEpoch(0, good());
        claimOne(0, provider, 600e18);
        vm.assertEq(token.balanceOf(provider), 600e18);
    }

    function testFuzz_EmissionNeverPassesScheduleNorBurn(uint256[6] memory payments, uint256[6] memory spent) public {
        for (uint256 i = 0; i < payments.length; ++i) {
            uint256 amount = bound(payments[i], 0, 9_000e18);
            if (amount > 0) pay(amount);
            uint256 epoch = runEpoch();
            (uint256 mintCap, uint256 revenueCap) = distributor.caps(epoch);
            vm.assertLe(mintCap, distributor.schedule(epoch));
            vm.assertLe(revenueCap, REVENUE);
            uint256 allowed = Math.mulDiv(credits.totalBurned(), 8_000, 10_000);
            vm.assertLe(distributor.mintedNet(), allowed);
            // What was ever minted is in an epoch's escrow or carried, so it is bounded by burn as well.
            vm.assertEq(token.totalMinted(), distributor.mintedNet() + distributor.carry());
            vm.assertLe(token.totalMinted(), allowed);
            uint256 minted = bound(spent[i], 0, mintCap);
            settleEpoch(epoch, payout(provider, minted + revenueCap / 2, revenueCap / 2));
        }
    }

    function testFuzz_PayingOneselfLoses(uint256 amount) public {
        amount = bound(amount, 1, 600e18);
        uint256 before = token.balanceOf(customer);
        pay(amount);
        runEpoch();
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(0);
        settleEpoch(0, payout(customer, mintCap + revenueCap, revenueCap));
        claimOne(0, customer, mintCap + revenueCap);
        vm.assertLt(token.balanceOf(customer), before);
    }

    function refused(RewardDistributor.Config memory c, string memory what, uint256 low, uint256 high, uint256 found)
        private
    {
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.OutOfRange.selector, what, low, high, found));
        new RewardDistributor(c);
    }
}
