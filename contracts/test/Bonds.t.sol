// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../src/RewardDistributor.sol";
import {DistributorBase} from "./DistributorBase.sol";

/// @notice Who gets which bond back.
contract BondsTest is DistributorBase {
    function setUp() public {
        deploy();
        pay(4_000e18);
        runEpoch();
    }

    function test_TheFinalProposerRecoversEverything() public {
        bytes32 id = settleEpoch(0, good());
        vm.assertEq(collect(honest, 0, id), BOND);
        vm.assertEq(distributor.bonded(), 0);
    }

    function test_ALosingBondIsHalfBurnedAndHalfForItsFirstChallenger() public {
        (bytes32 id, bytes32 rival) = rivals();
        challenge(watcher, 0, rival);
        challenge(honest, 0, rival);
        rule(id);
        uint256 supply = token.totalSupply();
        vm.expectEmit(address(distributor));
        emit RewardDistributor.BondSettled(0, rival, griefer, 0, BOND / 2, watcher, BOND / 2);
        distributor.settleBond(0, 0, rival, griefer);
        vm.assertEq(supply - token.totalSupply(), BOND / 2);
        vm.assertEq(collect(watcher, 0, rival), STAKE + BOND / 2);
        vm.assertEq(collect(honest, 0, rival), STAKE);
        vm.assertEq(collect(honest, 0, id), BOND);
        vm.assertEq(distributor.bonded(), 0);
    }

    function test_ALosingBondThatNobodyChallengedIsHalfForTheFinalProposer() public {
        (bytes32 id, bytes32 rival) = rivals();
        rule(id);
        vm.assertEq(collect(griefer, 0, rival), 0);
        vm.assertEq(collect(honest, 0, id), BOND + BOND / 2);
        vm.assertEq(distributor.bonded(), 0);
    }

    function test_AChallengeAgainstTheFinalRootIsHalfBurnedAndHalfForItsProposer() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        rule(id);
        uint256 supply = token.totalSupply();
        vm.assertEq(collect(griefer, 0, id), 0);
        vm.assertEq(supply - token.totalSupply(), STAKE / 2);
        vm.assertEq(collect(honest, 0, id), BOND + STAKE / 2);
    }

    function test_AHostileVoidSlashesNoRootThatFinallyWins() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        resolve(0, 0);
        propose(honest, 0, good());
        skip(W);
        distributor.finalize(0);
        vm.assertEq(collect(griefer, 0, id), 0);
        vm.assertEq(collect(honest, 0, id), BOND + STAKE / 2);
    }

    function test_ACandidateOfAnEarlierRoundLosesLikeAnyOther() public {
        bytes32 rival = propose(griefer, 0, bad(0));
        challenge(watcher, 0, rival);
        letTheResolverSleep(0);
        settleEpoch(0, good());
        vm.assertEq(collect(griefer, 0, rival), 0);
        vm.assertEq(collect(watcher, 0, rival), STAKE + BOND / 2);
    }

    function test_LosingSupportIsHalfBurnedAndWinningSupportComesBack() public {
        reachLastRound(0);
        (bytes32 id, bytes32 rival) = rivals();
        support(watcher, 0, id, 9e18);
        support(griefer, 0, rival, 7e18);
        skip(E);
        distributor.timeout(0);
        vm.assertEq(collect(watcher, 0, id), 9e18);
        vm.assertEq(collect(griefer, 0, rival), 0);
        vm.assertEq(collect(honest, 0, id), BOND + (BOND + 7e18) / 2);
        vm.assertEq(distributor.bonded(), 0);
    }

    // ---- Disputing with oneself

    function test_RivallingOneselfLosesHalfABond() public {
        uint256 before = token.balanceOf(griefer);
        bytes32 id = propose(griefer, 0, good());
        bytes32 rival = propose(griefer, 0, bad(0));
        rule(id);
        collect(griefer, 0, rival);
        collect(griefer, 0, id);
        vm.assertEq(before - token.balanceOf(griefer), BOND / 2);
    }

    function test_ChallengingOnesOwnFinalRootLosesHalfABond() public {
        uint256 before = token.balanceOf(griefer);
        bytes32 id = propose(griefer, 0, good());
        challenge(griefer, 0, id);
        rule(id);
        collect(griefer, 0, id);
        vm.assertEq(before - token.balanceOf(griefer), STAKE / 2);
    }

    function test_ChallengingOnesOwnLosingRootLosesHalfABond() public {
        uint256 before = token.balanceOf(griefer);
        bytes32 rival = propose(griefer, 0, bad(0));
        challenge(griefer, 0, rival);
        bytes32 id = propose(honest, 0, good());
        rule(id);
        collect(griefer, 0, rival);
        vm.assertEq(before - token.balanceOf(griefer), BOND / 2);
    }

    function testFuzz_EveryDisputeBurnsAtLeastHalfOfWhatItsLosersStaked(
        uint8 voids,
        bool rivalled,
        bool challenged,
        bool challengedRival,
        bool reviveRival
    ) public {
        vm.assume(rivalled || challenged);
        voids = uint8(bound(voids, 0, K - 1));
        uint256 supply = token.totalSupply();
        uint256 lost;
        bytes32 id;
        bytes32 rival;
        for (uint256 i = 0; i <= voids; ++i) {
            id = propose(griefer, 0, good());
            if (rivalled && (i == 0 || reviveRival)) {
                if (i == 0) lost += BOND;
                rival = propose(griefer, 0, bad(0));
                if (challengedRival && i == 0) challenge(griefer, 0, rival);
            }
            if (challenged || (rivalled && i > 0 && !reviveRival)) {
                challenge(griefer, 0, id);
                lost += STAKE;
            }
            skip(E);
            resolve(0, i == voids ? id : bytes32(0));
        }
        uint256 before = token.balanceOf(griefer);
        uint256 bonded = distributor.bonded();
        collect(griefer, 0, id);
        if (rivalled) collect(griefer, 0, rival);
        // A first challenger of one's own candidate is paid by oneself.
        if (distributor.owed(griefer) > 0) distributor.withdraw(griefer);
        vm.assertEq(bonded - (token.balanceOf(griefer) - before), lost / 2);
        vm.assertEq(supply - token.totalSupply(), lost / 2);
        vm.assertEq(distributor.bonded(), 0);
    }

    // ---- Each bond once, and in its time

    function test_NoBondIsSettledBeforeTheEpochIsDecided() public {
        (, bytes32 rival) = rivals();
        vm.expectRevert(
            abi.encodeWithSelector(
                RewardDistributor.WrongStatus.selector,
                0,
                RewardDistributor.Status.Final,
                RewardDistributor.Status.Contested
            )
        );
        distributor.settleBond(0, 0, rival, griefer);
        letTheResolverSleep(0);
        vm.expectPartialRevert(RewardDistributor.WrongStatus.selector);
        distributor.settleBond(0, 0, rival, griefer);
    }

    function test_EachBondIsSettledOnceAndWithdrawnOnce() public {
        (bytes32 id, bytes32 rival) = rivals();
        rule(id);
        collect(griefer, 0, rival);
        collect(honest, 0, id);
        vm.expectRevert(nothingToSettle(id, honest));
        distributor.settleBond(0, 0, id, honest);
        vm.expectRevert(nothingToSettle(rival, griefer));
        distributor.settleBond(0, 0, rival, griefer);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.NothingOwed.selector, honest));
        distributor.withdraw(honest);
    }

    function test_EachChallengeIsSettledOnce() public {
        (bytes32 id, bytes32 rival) = rivals();
        challenge(watcher, 0, rival);
        challenge(griefer, 0, id);
        rule(id);
        collect(watcher, 0, rival);
        collect(griefer, 0, id);
        vm.expectRevert(nothingToSettle(rival, watcher));
        distributor.settleBond(0, 0, rival, watcher);
        vm.expectRevert(nothingToSettle(id, griefer));
        distributor.settleBond(0, 0, id, griefer);
    }

    function test_ABondOfOneEpochIsNotSettledUnderAnother() public {
        settleEpoch(0, good());
        pay(4_000e18);
        runEpoch();
        bytes32 id = propose(griefer, 1, payout(other, 1, 0));
        vm.expectRevert(nothingToSettle(id, griefer));
        distributor.settleBond(0, 0, id, griefer);
    }

    function test_AGenerationThatDoesNotExistHasNothingToSettle() public {
        bytes32 id = settleEpoch(0, good());
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.NothingToSettle.selector, 0, 1, id, honest));
        distributor.settleBond(0, 1, id, honest);
    }

    function test_AnyoneSettlesForAnyoneAndOnlyTheOwnerIsPaid() public {
        bytes32 id = settleEpoch(0, good());
        uint256 before = token.balanceOf(honest);
        vm.startPrank(griefer);
        distributor.settleBond(0, 0, id, honest);
        distributor.withdraw(honest);
        vm.stopPrank();
        vm.assertEq(token.balanceOf(honest) - before, BOND);
    }

    function rivals() private returns (bytes32 id, bytes32 rival) {
        id = propose(honest, 0, good());
        rival = propose(griefer, 0, bad(0));
    }

    function rule(bytes32 id) private {
        skip(E);
        resolve(0, id);
    }

    function nothingToSettle(bytes32 id, address account) private pure returns (bytes memory) {
        return abi.encodeWithSelector(RewardDistributor.NothingToSettle.selector, 0, 0, id, account);
    }
}
