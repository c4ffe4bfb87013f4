// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../src/RewardDistributor.sol";
import {DistributorBase} from "./DistributorBase.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice What a pause stops, what it does not, and what it does to the clock.
contract PauseTest is DistributorBase {
    function setUp() public {
        deploy();
        pay(4_000e18);
        runEpoch();
    }

    function test_OnlyTheGuardianPauses() public {
        bytes32 role = distributor.GUARDIAN_ROLE();
        bytes memory refusal =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, admin, role);
        vm.expectRevert(refusal);
        vm.prank(admin);
        distributor.pause();
        pause();
        vm.expectRevert(refusal);
        vm.prank(admin);
        distributor.unpause();
    }

    function test_APauseEndsOnItsOwn() public {
        vm.expectEmit(address(distributor));
        emit RewardDistributor.Paused(guardian, uint64(block.timestamp + 7 days));
        pause();
        vm.assertTrue(distributor.paused());
        skip(7 days - 1);
        vm.assertTrue(distributor.paused());
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.PausedUntil.selector, block.timestamp + 1));
        distributor.startEpoch();
        skip(1);
        vm.assertFalse(distributor.paused());
        distributor.startEpoch();
    }

    function test_AnotherPauseWaitsThirtyDaysAndNotASecondLess() public {
        pause();
        uint256 again = block.timestamp + 7 days + 30 days;
        vm.warp(again - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, again, again - 1));
        vm.prank(guardian);
        distributor.pause();
        vm.warp(again);
        pause();
        vm.assertTrue(distributor.paused());
    }

    function test_APauseCannotBeProlonged() public {
        pause();
        skip(1 days);
        vm.expectPartialRevert(RewardDistributor.TooEarly.selector);
        vm.prank(guardian);
        distributor.pause();
    }

    function test_APauseEndedEarlyGivesTheClockBackTheRest() public {
        propose(honest, 0, good());
        uint64 deadline = distributor.epochState(0).deadline;
        pause();
        vm.assertEq(distributor.epochState(0).deadline, deadline + 7 days);
        skip(1 days);
        vm.prank(guardian);
        distributor.unpause();
        vm.assertEq(distributor.epochState(0).deadline, deadline + 1 days);
        vm.expectPartialRevert(RewardDistributor.NotPaused.selector);
        vm.prank(guardian);
        distributor.unpause();
        vm.expectPartialRevert(RewardDistributor.TooEarly.selector);
        vm.prank(guardian);
        distributor.pause();
    }

    function test_AWindowIsLongerByThePauseAndOpenThroughoutIt() public {
        bytes32 id = propose(honest, 0, good());
        uint256 end = block.timestamp + W + 7 days;
        skip(W - 1);
        pause();
        skip(6 days);
        challenge(watcher, 0, id);
        propose(griefer, 0, bad(0));
        vm.assertEq(distributor.epochState(0).contestedAt, block.timestamp);
        // The dispute began within the pause: only what remains of the pause prolongs it.
        vm.assertEq(distributor.epochState(0).deadline, block.timestamp + E + R + 1 days);
        vm.assertLt(block.timestamp, end);
    }

    function test_APauseThatCoversAWindowShiftsItsEndToTheSecond() public {
        propose(honest, 0, good());
        uint256 end = block.timestamp + W + 7 days;
        skip(1 hours);
        pause();
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, end, end - 1));
        distributor.finalize(0);
        vm.warp(end);
        distributor.finalize(0);
    }

    function test_APauseThatBeginsWhenTheWindowEndedShiftsNothing() public {
        bytes32 id = propose(honest, 0, good());
        uint256 end = block.timestamp + W;
        vm.warp(end);
        pause();
        vm.assertEq(distributor.epochState(0).deadline, end);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, end, end));
        vm.prank(griefer);
        distributor.challenge(0, id);
        vm.expectPartialRevert(RewardDistributor.PausedUntil.selector);
        distributor.finalize(0);
        skip(7 days);
        distributor.finalize(0);
    }

    function test_APauseThatEndedBeforeTheWindowShiftsNothing() public {
        pause();
        skip(7 days);
        propose(honest, 0, good());
        vm.assertEq(distributor.epochState(0).deadline, block.timestamp + W);
    }

    function test_ALaterPauseReopensNoWindow() public {
        bytes32 id = propose(honest, 0, good());
        pause();
        skip(7 days + 30 days);
        pause();
        vm.expectPartialRevert(RewardDistributor.TooLate.selector);
        vm.prank(griefer);
        distributor.challenge(0, id);
        skip(7 days);
        distributor.finalize(0);
    }

    function test_TheResolverVoidsButMakesNothingFinalWhilePaused() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        pause();
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.PausedUntil.selector, block.timestamp + 7 days));
        vm.prank(resolver);
        distributor.resolve(0, id);
        resolve(0, 0);
        assertStatus(0, RewardDistributor.Status.Awaiting);
    }

    function test_APauseTakesNoTimeFromTheResolver() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        uint256 end = block.timestamp + E + R;
        vm.warp(end - 1);
        pause();
        vm.warp(end + 7 days - 1);
        resolve(0, id);
        assertStatus(0, RewardDistributor.Status.Final);
    }

    function test_TheLastRoundIsDecidedAfterThePause() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        pause();
        vm.expectPartialRevert(RewardDistributor.PausedUntil.selector);
        distributor.timeout(0);
        skip(7 days);
        distributor.timeout(0);
        assertStatus(0, RewardDistributor.Status.Final);
    }

    function test_StakePlacedDuringAPauseWeighsOnlyWhatIsLeftOfTheEvidencePeriod() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E - 10);
        pause();
        skip(3 days);
        (,,,, uint256 before) = distributor.entryOf(0, 0, id);
        support(watcher, 0, id, 5);
        (,,,, uint256 afterwards) = distributor.entryOf(0, 0, id);
        vm.assertEq(before, BOND * E);
        vm.assertEq(afterwards - before, 5 * 10);
    }

    function test_BondsAreSettledWhilePaused() public {
        bytes32 id = settleEpoch(0, good());
        pause();
        vm.assertEq(collect(honest, 0, id), BOND);
    }

    function testFuzz_ADeadlineMovesByExactlyTheOverlap(uint256 opened, uint256 length) public {
        // The pause covers [100 days, 100 days + length); the window opens at any time around it.
        uint256 from = GENESIS + 100 days;
        opened = bound(opened, from - 4 days, from + 8 days);
        length = bound(length, 1, 7 days);
        bool before = opened <= from;
        if (before) {
            vm.warp(opened);
            propose(honest, 0, good());
        }
        vm.warp(from);
        pause();
        if (!before && opened < from + length) {
            vm.warp(opened);
            propose(honest, 0, good());
        }
        vm.warp(from + length);
        if (length < 7 days) {
            vm.prank(guardian);
            distributor.unpause();
        }
        if (!before && opened >= from + length) {
            vm.warp(opened);
            propose(honest, 0, good());
        }
        uint256 end = opened + W;
        uint256 overlap;
        if (before) overlap = end > from ? length : 0;
        else if (opened < from + length) overlap = from + length - opened;
        vm.assertEq(distributor.epochState(0).deadline, end + overlap);
    }

    function pause() private {
        vm.prank(guardian);
        distributor.pause();
    }
}
