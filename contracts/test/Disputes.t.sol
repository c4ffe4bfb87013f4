// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../src/RewardDistributor.sol";
import {DistributorBase} from "./DistributorBase.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice Proposals, challenges, rulings, and the times they may come at.
contract DisputesTest is DistributorBase {
    function setUp() public {
        deploy();
        pay(4_000e18);
        runEpoch();
    }

    // ---- Proposals

    function test_AnEpochIsProposedOnceItEndedAndNotASecondBefore() public {
        distributor.startEpoch();
        RewardDistributor.Candidate memory c;
        uint256 end = GENESIS + 2 * DAY;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, end, end - 1));
        vm.prank(honest);
        distributor.propose(1, c);
        vm.warp(end);
        propose(honest, 1, c);
    }

    function test_AnEpochThatDidNotStartIsNeitherProposedNorDisputed() public {
        RewardDistributor.Candidate memory c;
        bytes memory refusal = abi.encodeWithSelector(RewardDistributor.EpochNotStarted.selector, 1, 1);
        vm.expectRevert(refusal);
        distributor.propose(1, c);
        vm.expectRevert(refusal);
        distributor.challenge(1, 0);
        vm.expectRevert(refusal);
        distributor.support(1, 0, 1);
        vm.expectRevert(refusal);
        distributor.finalize(1);
        vm.expectRevert(refusal);
        distributor.timeout(1);
        vm.expectRevert(refusal);
        distributor.settleBond(1, 0, 0, honest);
        vm.expectRevert(refusal);
        vm.prank(resolver);
        distributor.resolve(1, 0);
    }

    function test_AProposalTakesItsBondAndSaysEverything() public {
        RewardDistributor.Candidate memory c = good();
        bytes32 id = keccak256(abi.encode(uint256(0), c));
        vm.expectEmit(address(distributor));
        emit RewardDistributor.RootProposed(0, id, honest, c);
        vm.assertEq(propose(honest, 0, c), id);
        vm.assertEq(distributor.candidateId(0, c), id);
        vm.assertEq(distributor.bonded(), BOND);
        vm.assertEq(abi.encode(distributor.candidate(id)), abi.encode(c));
        (address proposer,, uint32 round, uint256 stake,) = distributor.entryOf(0, 0, id);
        vm.assertEq(proposer, honest);
        vm.assertEq(round, 0);
        vm.assertEq(stake, BOND);
        RewardDistributor.EpochState memory state = distributor.epochState(0);
        vm.assertEq(uint256(state.status), uint256(RewardDistributor.Status.Open));
        vm.assertEq(state.openedAt, block.timestamp);
        vm.assertEq(state.deadline, block.timestamp + W);
        vm.assertEq(state.leading, id);
    }

    function test_ProposingTheSameAgainTakesNoBondAndDisputesNothing() public {
        propose(honest, 0, good());
        uint256 before = token.balanceOf(watcher);
        propose(watcher, 0, good());
        propose(honest, 0, good());
        vm.assertEq(token.balanceOf(watcher), before);
        vm.assertEq(distributor.bonded(), BOND);
        assertStatus(0, RewardDistributor.Status.Open);
    }

    function test_ACandidateStaysWithinTheCaps() public {
        RewardDistributor.Candidate memory c = payout(provider, 10, 11);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.RevenueExceedsTotal.selector, 10, 11));
        distributor.propose(0, c);
        c = payout(provider, REVENUE + 1, REVENUE + 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.RevenueExceedsCap.selector, 0, REVENUE, REVENUE + 1));
        distributor.propose(0, c);
        c = payout(provider, 800e18 + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.MintExceedsCap.selector, 0, 800e18, 800e18 + 1));
        distributor.propose(0, c);
        propose(honest, 0, payout(provider, 800e18 + REVENUE, REVENUE));
    }

    // ---- The window

    function test_AnUndisputedRootIsFinalAfterTheWindowAndNotASecondBefore() public {
        RewardDistributor.Candidate memory c = good();
        propose(honest, 0, c);
        uint256 end = block.timestamp + W;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, end, end - 1));
        distributor.finalize(0);
        vm.assertEq(distributor.finalRoot(0), bytes32(0));
        vm.warp(end);
        vm.expectEmit(address(distributor));
        emit RewardDistributor.RootFinal(0, c.root, c.bundleDigest, c.total, c.revenue);
        distributor.finalize(0);
        vm.assertEq(distributor.finalRoot(0), c.root);
        assertStatus(0, RewardDistributor.Status.Final);
    }

    function test_AChallengeComesBeforeTheWindowEnds() public {
        bytes32 id = propose(honest, 0, good());
        uint256 end = block.timestamp + W;
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, end, end));
        vm.prank(griefer);
        distributor.challenge(0, id);
        vm.warp(end - 1);
        vm.expectEmit(address(distributor));
        emit RewardDistributor.RootChallenged(0, id, griefer);
        challenge(griefer, 0, id);
        assertStatus(0, RewardDistributor.Status.Contested);
    }

    function test_ARivalComesBeforeTheWindowEnds() public {
        propose(honest, 0, good());
        uint256 end = block.timestamp + W;
        RewardDistributor.Candidate memory c = bad(0);
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, end, end));
        vm.prank(griefer);
        distributor.propose(0, c);
        vm.warp(end - 1);
        propose(griefer, 0, c);
        assertStatus(0, RewardDistributor.Status.Contested);
    }

    function test_ADisputeStopsFinalization() public {
        propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        skip(W);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Open, RewardDistributor.Status.Contested));
        distributor.finalize(0);
    }

    function test_ADisputeOfTheLastSecondLeavesTheEvidencePeriodToAnswer() public {
        bytes32 id = propose(griefer, 0, bad(0));
        skip(W - 1);
        challenge(griefer, 0, id);
        uint256 end = block.timestamp + E;
        vm.warp(end - 1);
        propose(honest, 0, good());
        challenge(watcher, 0, id);
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, end, end));
        vm.prank(honest);
        distributor.challenge(0, id);
        RewardDistributor.Candidate memory late = payout(other, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, end, end));
        vm.prank(griefer);
        distributor.propose(0, late);
    }

    function test_NothingProlongsADispute() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        uint64 deadline = distributor.epochState(0).deadline;
        vm.assertEq(deadline, block.timestamp + E + R);
        for (uint256 i = 0; i < 20; ++i) {
            skip(1 hours);
            propose(griefer, 0, payout(griefer, i, 0));
            address sock = vm.addr(100 + i);
            fund(sock, STAKE);
            challenge(sock, 0, id);
        }
        vm.assertEq(distributor.epochState(0).deadline, deadline);
        vm.assertEq(distributor.epochState(0).contestedAt, deadline - E - R);
    }

    // ---- Challenges

    function test_OnlyACandidateOfThisRoundIsChallenged() public {
        vm.expectRevert(notInRound(0, bytes32("unknown")));
        distributor.challenge(0, bytes32("unknown"));
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        letTheResolverSleep(0);
        vm.expectRevert(notInRound(1, id));
        distributor.challenge(0, id);
        propose(watcher, 0, payout(other, 1, 0));
        vm.expectRevert(notInRound(1, id));
        distributor.challenge(0, id);
    }

    function test_AChallengerChallengesACandidateOncePerRoundAndPaysEachTime() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AlreadyChallenged.selector, 0, id, griefer));
        vm.prank(griefer);
        distributor.challenge(0, id);
        letTheResolverSleep(0);
        propose(honest, 0, good());
        challenge(griefer, 0, id);
        (, uint256 opposing) = distributor.stakeOf(0, 0, id, griefer);
        vm.assertEq(opposing, 2 * STAKE);
    }

    // ---- Rulings

    function test_TheResolverRulesAfterTheEvidencePeriodAndBeforeTheDeadline() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        uint256 start = block.timestamp;
        vm.warp(start + E - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, start + E, start + E - 1));
        vm.prank(resolver);
        distributor.resolve(0, id);
        vm.warp(start + E + R);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, start + E + R, start + E + R));
        vm.prank(resolver);
        distributor.resolve(0, id);
        vm.warp(start + E + R - 1);
        resolve(0, id);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_TheFirstSecondAfterTheEvidencePeriodIsTheResolvers() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        resolve(0, id);
        assertStatus(0, RewardDistributor.Status.Final);
    }

    function test_OnlyTheResolverRules() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        bytes32 role = distributor.RESOLVER_ROLE();
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, admin, role));
        vm.prank(admin);
        distributor.resolve(0, id);
    }

    function test_TheResolverRulesOnDisputesOnly() public {
        bytes32 id = propose(honest, 0, good());
        skip(E);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Contested, RewardDistributor.Status.Open));
        vm.prank(resolver);
        distributor.resolve(0, id);
    }

    function test_TheResolverPicksAmongTheCandidatesOfTheRound() public {
        bytes32 old = propose(griefer, 0, bad(0));
        challenge(watcher, 0, old);
        letTheResolverSleep(0);
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        vm.expectRevert(notInRound(1, old));
        vm.prank(resolver);
        distributor.resolve(0, old);
    }

    function test_TimeRunsOutAtTheDeadlineAndNotASecondBefore() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        uint256 end = block.timestamp + E + R;
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, end, end - 1));
        distributor.timeout(0);
        vm.warp(end);
        vm.expectEmit(address(distributor));
        emit RewardDistributor.RootVoided(0, 0, 1);
        distributor.timeout(0);
        RewardDistributor.EpochState memory state = distributor.epochState(0);
        vm.assertEq(uint256(state.status), uint256(RewardDistributor.Status.Awaiting));
        vm.assertEq(state.round, 1);
        vm.assertEq(state.voids, 1);
        vm.assertEq(state.deadline, 0);
        vm.assertEq(state.leading, bytes32(0));
    }

    function test_OnlyADisputeTimesOut() public {
        propose(honest, 0, good());
        skip(E + R);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Contested, RewardDistributor.Status.Open));
        distributor.timeout(0);
    }

    function test_TheResolverVoidsARoundInWhichNobodyIsRight() public {
        bytes32 id = propose(griefer, 0, bad(0));
        challenge(watcher, 0, id);
        skip(E);
        resolve(0, 0);
        settleEpoch(0, good());
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_ACandidateOfAnEarlierRoundKeepsItsBond() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        letTheResolverSleep(0);
        uint256 before = token.balanceOf(honest);
        vm.expectEmit(address(distributor));
        emit RewardDistributor.RootRevived(0, id, honest, 1);
        propose(honest, 0, good());
        vm.assertEq(token.balanceOf(honest), before);
        skip(W);
        distributor.finalize(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_AStrangersCandidateIsNoFreeDispute() public {
        bytes32 lost = propose(watcher, 0, payout(other, 1, 0));
        challenge(honest, 0, lost);
        skip(E);
        resolve(0, 0);
        propose(honest, 0, good());
        uint256 before = token.balanceOf(griefer);
        propose(griefer, 0, payout(other, 1, 0));
        vm.assertEq(token.balanceOf(griefer), before - BOND);
        (address proposer,,, uint256 stake,) = distributor.entryOf(0, 0, lost);
        vm.assertEq(proposer, watcher);
        vm.assertEq(stake, 2 * BOND);
    }

    // ---- The last round

    function test_AfterTheVoidRoundsTheResolverIsOut() public {
        reachLastRound(0);
        vm.assertTrue(distributor.epochState(0).lastRound);
        bytes32 id = propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        skip(E);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.ResolverExcluded.selector, 0, K, K));
        vm.prank(resolver);
        distributor.resolve(0, id);
    }

    function test_StakeCountsOnlyInTheDisputeOfTheLastRound() public {
        bytes32 id = propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.NotLastRound.selector, 0, K, 0));
        vm.prank(watcher);
        distributor.support(0, id, 1);
        letTheResolverSleep(0);
        propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        letTheResolverSleep(0);
        propose(honest, 0, good());
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Contested, RewardDistributor.Status.Open));
        vm.prank(watcher);
        distributor.support(0, id, 1);
    }

    function test_SupportIsForACandidateOfTheRoundInTimeAndMoreThanNothing() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        vm.expectPartialRevert(RewardDistributor.NothingToStake.selector);
        distributor.support(0, id, 0);
        vm.expectRevert(notInRound(2, bytes32("unknown")));
        distributor.support(0, bytes32("unknown"), 1);
        uint256 end = block.timestamp + E;
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooLate.selector, end, end));
        vm.prank(watcher);
        distributor.support(0, id, 1);
        vm.warp(end - 1);
        support(watcher, 0, id, 1);
    }

    function test_TheLastRoundGoesToTheMostStakeAtTheEndOfTheEvidencePeriod() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        uint256 end = block.timestamp + E;
        vm.assertEq(distributor.epochState(0).deadline, end);
        support(watcher, 0, id, 1);
        vm.assertEq(distributor.epochState(0).leading, id);
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TooEarly.selector, end, end - 1));
        distributor.timeout(0);
        vm.warp(end);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_AStakeOfTheLastSecondCountsForOneSecond() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        bytes32 rival = propose(griefer, 0, bad(0));
        support(watcher, 0, id, 10e18);
        skip(E - 1);
        support(griefer, 0, rival, 10e18 * uint256(E) - 1);
        skip(1);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_InTheLastRoundAChallengeAloneReplacesNoCandidate() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_ATieDecidesNothingAndKeepsTheEscrow() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        bytes32 rival = propose(griefer, 0, bad(0));
        skip(E);
        uint256 escrow = token.balanceOf(address(distributor)) - distributor.bonded();
        vm.expectEmit(address(distributor));
        emit RewardDistributor.RootUndecided(0, 2, 0);
        distributor.timeout(0);
        assertStatus(0, RewardDistributor.Status.Awaiting);
        vm.assertEq(distributor.epochState(0).generation, 1);

        vm.assertEq(settle(0, id, honest), BOND);
        vm.assertEq(settle(0, rival, griefer), BOND);
        vm.assertEq(distributor.bonded(), 0);
        vm.assertEq(token.balanceOf(address(distributor)), escrow);

        settleEpoch(0, good());
        vm.assertEq(collect(honest, 0, id), BOND);
        claimOne(0, provider, 600e18);
    }

    function test_AfterATieTheCountStartsAnew() public {
        reachLastRound(0);
        propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        skip(E);
        distributor.timeout(0);
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        vm.assertTrue(distributor.epochState(0).lastRound);
        skip(E);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    function test_ATieCanBeBrokenUntilTheEnd() public {
        reachLastRound(0);
        bytes32 id = propose(honest, 0, good());
        bytes32 rival = propose(griefer, 0, bad(0));
        support(griefer, 0, rival, 5);
        support(honest, 0, id, 5);
        skip(E - 1);
        support(watcher, 0, id, 1);
        skip(1);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    // ---- Final is final

    function test_AFinalRootIsNeverChanged() public {
        bytes32 id = settleEpoch(0, good());
        RewardDistributor.Candidate memory c = bad(0);
        bytes memory refusal = abi.encodeWithSelector(RewardDistributor.AlreadyFinal.selector, 0, id);
        vm.expectRevert(refusal);
        vm.prank(griefer);
        distributor.propose(0, c);
        vm.expectRevert(refusal);
        vm.prank(griefer);
        distributor.challenge(0, id);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Contested, RewardDistributor.Status.Final));
        vm.prank(griefer);
        distributor.support(0, id, 1);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Open, RewardDistributor.Status.Final));
        distributor.finalize(0);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Contested, RewardDistributor.Status.Final));
        distributor.timeout(0);
        vm.expectRevert(wrongStatus(RewardDistributor.Status.Contested, RewardDistributor.Status.Final));
        vm.prank(resolver);
        distributor.resolve(0, 0);
        vm.assertEq(distributor.finalRoot(0), good().root);
    }

    // ---- What an attack costs

    function test_AnUndisputedFalseRootCostsAtMostOneEpochsCap() public {
        settleEpoch(0, good());
        pay(4_000e18);
        runEpoch();
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(1);
        RewardDistributor.Candidate memory c = bad(1);
        propose(griefer, 1, c);
        runEpoch();
        skip(W);
        distributor.finalize(1);
        uint256 before = token.balanceOf(griefer);
        claimOne(1, griefer, c.total);
        vm.assertEq(token.balanceOf(griefer) - before, mintCap + revenueCap);
        claimOne(0, provider, 600e18);
        (mintCap, revenueCap) = distributor.caps(2);
        settleEpoch(2, payout(other, mintCap + revenueCap, revenueCap));
        claimOne(2, other, mintCap + revenueCap);
    }

    // ---- How long an attack delays

    /// @notice With an honest resolver, a griefer who disputes at the last second every time delays by one dispute.
    function test_AnHonestRootIsFinalWithinOneWindowAndOneDispute() public {
        uint256 start = block.timestamp;
        bytes32 id = propose(honest, 0, good());
        skip(W - 1);
        propose(griefer, 0, bad(0));
        challenge(griefer, 0, id);
        skip(E + R - 1);
        resolve(0, id);
        claimOne(0, provider, 600e18);
        vm.assertLe(block.timestamp - start, W + E + R);
    }

    /// @notice With a silent resolver, K rounds are void and the last one is decided by stake:
    /// K(W + E + R) + W + E, which is 15 days.
    function test_AnHonestRootIsFinalWithinTheBoundWhenTheResolverIsSilent() public {
        uint256 start = block.timestamp;
        bytes32 id;
        for (uint256 i = 0; i < K; ++i) {
            id = propose(honest, 0, good());
            skip(W - 1);
            propose(griefer, 0, bad(0));
            letTheResolverSleep(0);
        }
        propose(honest, 0, good());
        skip(W - 1);
        propose(griefer, 0, bad(0));
        support(watcher, 0, id, 1e18);
        skip(E);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
        vm.assertLe(block.timestamp - start, K * (W + E + R) + W + E);
        vm.assertLe(block.timestamp - start, 15 days);
        vm.assertGe(collect(honest, 0, id), BOND);
    }

    /// @notice A resolver who voids every time delays no longer than a silent one.
    function test_AHostileResolverDelaysNoLongerThanASilentOne() public {
        uint256 start = block.timestamp;
        bytes32 id;
        for (uint256 i = 0; i < K; ++i) {
            id = propose(honest, 0, good());
            skip(W - 1);
            challenge(griefer, 0, id);
            skip(E + R - 1);
            resolve(0, 0);
        }
        propose(honest, 0, good());
        skip(W - 1);
        challenge(griefer, 0, id);
        skip(E);
        distributor.timeout(0);
        vm.assertEq(distributor.finalRoot(0), good().root);
        vm.assertLe(block.timestamp - start, K * (W + E + R) + W + E);
        // Three challenges, each of which cost half of its bond to the honest proposer and half to the fire.
        vm.assertEq(collect(griefer, 0, id), 0);
        vm.assertEq(collect(honest, 0, id), BOND + 3 * STAKE / 2);
    }

    function testFuzz_AGrieferAtAnyTimeDelaysNoLongerThanTheBound(uint256 seed, bool silent) public {
        uint256 start = block.timestamp;
        bytes32 id;
        for (uint256 i = 0; distributor.finalRoot(0) == 0; ++i) {
            id = propose(honest, 0, good());
            skip(draw(seed, i, "when to dispute") % W);
            grief(seed, i, id);
            bool lastRound = distributor.epochState(0).lastRound;
            if (lastRound) support(watcher, 0, id, 1_000e18);
            uint256 pause = draw(seed, i, "when to dispute again") % E;
            skip(pause);
            propose(griefer, 0, payout(other, draw(seed, i, "what"), 0));
            if (lastRound) {
                // Less stake, at any time.
                bytes32 rival = propose(griefer, 0, bad(0));
                support(griefer, 0, rival, draw(seed, i, "how much") % 900e18 + 1);
            }
            skip(E - pause);
            if (lastRound) {
                distributor.timeout(0);
            } else if (silent) {
                letTheResolverSleep(0);
            } else {
                skip(draw(seed, i, "when to rule") % R);
                resolve(0, id);
            }
        }
        vm.assertEq(distributor.finalRoot(0), good().root);
        uint256 most = silent ? K * (W + E + R) + W + E : W + E + R;
        vm.assertLe(block.timestamp - start, most);
        vm.assertGe(collect(honest, 0, id), BOND);
    }

    function test_ADisputedEpochDelaysNoOther() public {
        propose(honest, 0, good());
        propose(griefer, 0, bad(0));
        pay(4_000e18);
        runEpoch();
        settleEpoch(1, payout(other, 5e18, 0));
        claimOne(1, other, 5e18);
        assertStatus(0, RewardDistributor.Status.Contested);
    }

    // ---- Helpers

    function grief(uint256 seed, uint256 round, bytes32 id) private {
        if (draw(seed, round, "how") % 2 == 0) challenge(griefer, 0, id);
        else propose(griefer, 0, bad(0));
    }

    function draw(uint256 seed, uint256 round, string memory what) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, round, what))) % 500e18;
    }

    function settle(uint32 generation, bytes32 id, address account) private returns (uint256) {
        uint256 before = token.balanceOf(account);
        distributor.settleBond(0, generation, id, account);
        distributor.withdraw(account);
        return token.balanceOf(account) - before;
    }

    function wrongStatus(RewardDistributor.Status expected, RewardDistributor.Status found)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(RewardDistributor.WrongStatus.selector, 0, expected, found);
    }

    function notInRound(uint32 round, bytes32 id) private pure returns (bytes memory) {
        return abi.encodeWithSelector(RewardDistributor.NotInRound.selector, 0, round, id);
    }
}
