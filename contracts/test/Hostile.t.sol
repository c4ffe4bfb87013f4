// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "../src/NetworkToken.sol";
import {RewardDistributor} from "../src/RewardDistributor.sol";
import {ServiceCredits} from "../src/ServiceCredits.sol";
import {DistributorBase} from "./DistributorBase.sol";

/// @notice A token that calls back whoever it pays, and refuses to pay some.
contract HostileToken is NetworkToken {
    mapping(address account => bool) public refused;
    address private _target;
    bytes private _call;
    bool public entered;
    bytes public answer;

    error Refused(address account);

    constructor(address admin, address holder) NetworkToken("Hostile", "HST", admin, holder, 1e27, 1e27) {}

    function refuse(address account) external {
        refused[account] = true;
    }

    /// @notice Calls `target` with `data` once, within the next transfer that `target` makes.
    function attack(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (refused[to]) revert Refused(to);
        super._update(from, to, amount);
        if (_target != address(0) && (from == _target || to == _target)) {
            address target = _target;
            _target = address(0);
            (entered, answer) = target.call(_call);
        }
    }
}

/// @notice Tokens that misbehave.
contract HostileTest is DistributorBase {
    HostileToken private hostile;

    function setUp() public {
        vm.warp(GENESIS);
        hostile = new HostileToken(admin, bank);
        token = hostile;
        credits = new ServiceCredits(token, 2_500, admin);
        distributor = new RewardDistributor(config());
        wire();
        fund(customer, 1e24);
        fund(honest, 1e24);
        fund(griefer, 1e24);
        pay(4_000e18);
        runEpoch();
    }

    function test_AClaimWithinAClaimIsRefused() public {
        settleEpoch(0, good());
        refusesReentry(abi.encodeCall(distributor.claim, (claimFor(0, provider, 600e18, new bytes32[](0)))));
        claimOne(0, provider, 600e18);
        assertRefused();
        vm.assertEq(token.balanceOf(provider), 600e18);
    }

    function test_AWithdrawalWithinAWithdrawalIsRefused() public {
        bytes32 id = settleEpoch(0, good());
        distributor.settleBond(0, 0, id, honest);
        uint256 before = token.balanceOf(honest);
        refusesReentry(abi.encodeCall(distributor.withdraw, (honest)));
        distributor.withdraw(honest);
        assertRefused();
        vm.assertEq(token.balanceOf(honest) - before, BOND);
    }

    function test_ASettlementWithinASettlementIsRefused() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        resolve(0, id);
        refusesReentry(abi.encodeCall(distributor.settleBond, (0, 0, id, honest)));
        distributor.settleBond(0, 0, id, griefer);
        assertRefused();
    }

    function test_AnEpochWithinAnEpochIsRefused() public {
        pay(4_000e18);
        refusesReentry(abi.encodeCall(distributor.startEpoch, ()));
        distributor.startEpoch();
        assertRefused();
        vm.assertEq(distributor.nextEpoch(), 2);
    }

    function test_AChallengeWithinAProposalIsRefused() public {
        RewardDistributor.Candidate memory c = good();
        refusesReentry(abi.encodeCall(distributor.challenge, (0, distributor.candidateId(0, c))));
        propose(honest, 0, c);
        assertRefused();
    }

    function test_FinalizingWithinAFinalizationIsRefused() public {
        propose(honest, 0, good());
        skip(W);
        refusesReentry(abi.encodeCall(distributor.finalize, (0)));
        distributor.finalize(0);
        assertRefused();
        vm.assertEq(distributor.carry(), 400e18);
    }

    function test_AnAccountThatCannotBePaidBlocksNobodyElse() public {
        bytes32 id = propose(honest, 0, good());
        challenge(griefer, 0, id);
        skip(E);
        resolve(0, id);
        hostile.refuse(honest);
        vm.assertEq(collect(griefer, 0, id), 0);
        distributor.settleBond(0, 0, id, honest);
        vm.expectRevert(abi.encodeWithSelector(HostileToken.Refused.selector, honest));
        distributor.withdraw(honest);
        vm.assertEq(distributor.owed(honest), BOND + STAKE / 2);
        claimOne(0, provider, 600e18);
    }

    function refusesReentry(bytes memory data) private {
        hostile.attack(address(distributor), data);
    }

    function assertRefused() private view {
        vm.assertFalse(hostile.entered());
        vm.assertEq(hostile.answer(), abi.encodeWithSelector(bytes4(keccak256("ReentrancyGuardReentrantCall()"))));
    }
}
