// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../src/RewardDistributor.sol";
import {DistributorBase} from "./DistributorBase.sol";
import {StandardTree} from "./StandardTree.sol";

/// @notice Claims against final roots.
contract ClaimsTest is DistributorBase {
    function setUp() public {
        deploy();
        pay(4_000e18);
        runEpoch();
    }

    /// @notice The pair of OpenZeppelin's README, made by its JavaScript library.
    function test_TheTreeOfOpenZeppelinsReadmePays() public {
        StandardTree.Leaf[] memory leaves = new StandardTree.Leaf[](2);
        leaves[0] = StandardTree.Leaf(0x1111111111111111111111111111111111111111, 5e18);
        leaves[1] = StandardTree.Leaf(0x2222222222222222222222222222222222222222, 25e17);
        RewardDistributor.Candidate memory c;
        c.root = 0xd4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77;
        c.total = 75e17;
        settleEpoch(0, c);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = 0xb92c48e9d7abe27fd8dfd6b5dfdbfb1c9a463f80c712b66f3a5180a090cccafc;
        vm.expectEmit(address(distributor));
        emit RewardDistributor.Claimed(0, leaves[0].account, leaves[0].amount);
        distributor.claim(claimFor(0, leaves[0].account, leaves[0].amount, proof));
        vm.assertEq(token.balanceOf(leaves[0].account), 5e18);

        bytes32[] memory tree = StandardTree.build(leaves);
        vm.assertEq(tree[0], c.root);
        distributor.claim(claimFor(0, leaves[1].account, leaves[1].amount, StandardTree.prove(tree, leaves[1])));
        vm.assertEq(distributor.claimedTotal(0), 75e17);
    }

    function test_TheTestTreeIsOpenZeppelins() public pure {
        vm.assertEq(
            StandardTree.build(generated(3))[0], 0x9c8c86944e80cd1bb54a950a2df09bf769bac1c05de05a91706af0d8849404c9
        );
        vm.assertEq(
            StandardTree.build(generated(1_000))[0], 0x21abe9df2e9d77f578f3931de80246bf71378a64b0a22f084f2eed1f2af0178a
        );
    }

    function test_OneCallTakesSeveralEpochsAndAccounts() public {
        settleEpoch(0, good());
        runEpoch();
        StandardTree.Leaf[] memory leaves = new StandardTree.Leaf[](2);
        leaves[0] = StandardTree.Leaf(provider, 30e18);
        leaves[1] = StandardTree.Leaf(other, 70e18);
        bytes32[] memory tree = StandardTree.build(leaves);
        RewardDistributor.Candidate memory c;
        c.root = tree[0];
        c.total = 100e18;
        settleEpoch(1, c);
        RewardDistributor.Claim[] memory claims = new RewardDistributor.Claim[](3);
        claims[0] = RewardDistributor.Claim(0, provider, 600e18, new bytes32[](0));
        claims[1] = RewardDistributor.Claim(1, provider, 30e18, StandardTree.prove(tree, leaves[0]));
        claims[2] = RewardDistributor.Claim(1, other, 70e18, StandardTree.prove(tree, leaves[1]));
        vm.prank(griefer);
        distributor.claim(claims);
        vm.assertEq(token.balanceOf(provider), 630e18);
        vm.assertEq(token.balanceOf(other), 70e18);
        vm.assertTrue(distributor.isClaimed(0, provider));
        vm.assertTrue(distributor.isClaimed(1, other));
        vm.assertFalse(distributor.isClaimed(0, other));
    }

    function test_NothingIsClaimedTwice() public {
        settleEpoch(0, good());
        claimOne(0, provider, 600e18);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AlreadyClaimed.selector, 0, provider));
        claimOne(0, provider, 600e18);
    }

    function test_NothingIsClaimedTwiceInOneCall() public {
        settleEpoch(0, good());
        RewardDistributor.Claim[] memory claims = new RewardDistributor.Claim[](2);
        claims[0] = RewardDistributor.Claim(0, provider, 600e18, new bytes32[](0));
        claims[1] = claims[0];
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.AlreadyClaimed.selector, 0, provider));
        distributor.claim(claims);
    }

    function test_AnEpochThatIsNotFinalPaysNothing() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                RewardDistributor.WrongStatus.selector,
                0,
                RewardDistributor.Status.Final,
                RewardDistributor.Status.Awaiting
            )
        );
        claimOne(0, provider, 600e18);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.EpochNotStarted.selector, 1, 1));
        claimOne(1, provider, 600e18);
    }

    function test_AnotherAmountOrAccountIsRefused() public {
        RewardDistributor.Candidate memory c = good();
        settleEpoch(0, c);
        bytes32 wrong = StandardTree.hash(StandardTree.Leaf(provider, 601e18));
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.BadProof.selector, 0, provider, c.root, wrong));
        claimOne(0, provider, 601e18);
        wrong = StandardTree.hash(StandardTree.Leaf(other, 600e18));
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.BadProof.selector, 0, other, c.root, wrong));
        claimOne(0, other, 600e18);
    }

    function test_AProofOfOneEpochServesNoOther() public {
        settleEpoch(0, good());
        runEpoch();
        settleEpoch(1, payout(other, 1e18, 0));
        vm.expectPartialRevert(RewardDistributor.BadProof.selector);
        claimOne(1, provider, 600e18);
    }

    function test_AnInnerNodePassesForNoLeaf() public {
        bytes32 left = bytes32(uint256(uint160(provider)));
        RewardDistributor.Candidate memory c;
        // A leaf hashed once, as an inner node would be: its preimage reads as (account, amount).
        c.root = keccak256(abi.encode(left, uint256(1e18)));
        c.total = 1e18;
        settleEpoch(0, c);
        vm.expectPartialRevert(RewardDistributor.BadProof.selector);
        claimOne(0, provider, 1e18);
    }

    function test_LeavesThatSumToMoreThanTheTotalDrainNoOtherEpoch() public {
        StandardTree.Leaf[] memory leaves = new StandardTree.Leaf[](2);
        leaves[0] = StandardTree.Leaf(griefer, 800e18);
        leaves[1] = StandardTree.Leaf(other, 1);
        bytes32[] memory tree = StandardTree.build(leaves);
        RewardDistributor.Candidate memory c;
        c.root = tree[0];
        c.total = 800e18;
        settleEpoch(0, c);
        uint256 left = token.balanceOf(address(distributor)) - 800e18;
        distributor.claim(claimFor(0, griefer, 800e18, StandardTree.prove(tree, leaves[0])));
        bytes32[] memory proof = StandardTree.prove(tree, leaves[1]);
        vm.expectRevert(abi.encodeWithSelector(RewardDistributor.TotalExceeded.selector, 0, 800e18, 800e18 + 1));
        distributor.claim(claimFor(0, other, 1, proof));
        vm.assertEq(token.balanceOf(address(distributor)), left);
    }

    function test_AnEmptyTreePaysNobody() public {
        RewardDistributor.Candidate memory nothing;
        settleEpoch(0, nothing);
        vm.expectPartialRevert(RewardDistributor.BadProof.selector);
        claimOne(0, provider, 0);
    }

    function test_ClaimingNothingDoesNothing() public {
        uint256 before = token.balanceOf(address(distributor));
        distributor.claim(new RewardDistributor.Claim[](0));
        vm.assertEq(token.balanceOf(address(distributor)), before);
    }

    function test_ClaimsOnFinalRootsWorkWhilePaused() public {
        settleEpoch(0, good());
        vm.prank(guardian);
        distributor.pause();
        claimOne(0, provider, 600e18);
        vm.assertEq(token.balanceOf(provider), 600e18);
    }

    function testFuzz_EveryLeafOfATreeIsPaidOnceAndTheSumIsTheTotal(uint8 size, uint256 seed) public {
        uint256 n = bound(size, 1, 24);
        StandardTree.Leaf[] memory leaves = new StandardTree.Leaf[](n);
        RewardDistributor.Candidate memory c;
        for (uint256 i = 0; i < n; ++i) {
            uint256 amount = uint256(keccak256(abi.encode(seed, i))) % 30e18;
            leaves[i] = StandardTree.Leaf(address(uint160(uint256(keccak256(abi.encode("leaf", seed, i))))), amount);
            c.total += amount;
        }
        bytes32[] memory tree = StandardTree.build(leaves);
        c.root = tree[0];
        settleEpoch(0, c);
        for (uint256 i = 0; i < n; ++i) {
            bytes32[] memory proof = StandardTree.prove(tree, leaves[i]);
            distributor.claim(claimFor(0, leaves[i].account, leaves[i].amount, proof));
            vm.assertEq(token.balanceOf(leaves[i].account), leaves[i].amount);
        }
        vm.assertEq(distributor.claimedTotal(0), c.total);
    }

    function generated(uint256 n) private pure returns (StandardTree.Leaf[] memory leaves) {
        leaves = new StandardTree.Leaf[](n);
        for (uint256 i = 0; i < n; ++i) {
            bytes memory name = bytes.concat("acct", bytes(decimal(i)));
            leaves[i] = StandardTree.Leaf(address(uint160(uint256(keccak256(name)))), (i + 1) * 1_000_000_007 * 1e9);
        }
    }

    function decimal(uint256 n) private pure returns (string memory text) {
        if (n >= 10) text = decimal(n / 10);
        return string.concat(text, string(abi.encodePacked(bytes1(uint8(48 + n % 10)))));
    }
}
