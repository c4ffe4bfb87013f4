// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "../src/NetworkToken.sol";
import {RewardDistributor} from "../src/RewardDistributor.sol";
import {ServiceCredits} from "../src/ServiceCredits.sol";
import {Base} from "./Base.sol";
import {StandardTree} from "./StandardTree.sol";

/// @notice A network with the production windows and a customer who paid 4,000 tokens, of which a quarter burned.
abstract contract DistributorBase is Base {
    uint64 internal constant GENESIS = 1_700_000_000;
    uint64 internal constant DAY = 1 days;
    uint64 internal constant W = 48 hours;
    uint64 internal constant E = 24 hours;
    uint64 internal constant R = 72 hours;
    uint8 internal constant K = 2;
    uint256 internal constant EMISSION = 1_000e18;
    uint256 internal constant REVENUE = 500e18;
    uint256 internal constant BOND = 100e18;
    uint256 internal constant STAKE = 50e18;

    address internal admin = actor("admin");
    address internal bank = actor("bank");
    address internal customer = actor("customer");
    address internal resolver = actor("resolver");
    address internal guardian = actor("guardian");
    address internal honest = actor("honest");
    address internal watcher = actor("watcher");
    address internal griefer = actor("griefer");
    address internal provider = actor("provider");
    address internal other = actor("other");

    NetworkToken internal token;
    ServiceCredits internal credits;
    RewardDistributor internal distributor;

    function deploy() internal {
        vm.warp(GENESIS);
        token = new NetworkToken("Test", "TST", admin, bank, 1e27, 1e27);
        credits = new ServiceCredits(token, 2_500, admin);
        distributor = new RewardDistributor(config());
        wire();
        address[4] memory actors = [customer, honest, watcher, griefer];
        for (uint256 i = 0; i < actors.length; ++i) {
            fund(actors[i], 1e24);
        }
    }

    function config() internal view returns (RewardDistributor.Config memory) {
        return RewardDistributor.Config({
            token: token,
            credits: credits,
            genesis: GENESIS,
            epochLength: DAY,
            initialEmission: EMISSION,
            halvingInterval: 4,
            mintPerBurnBps: 8_000,
            maxRevenuePerEpoch: REVENUE,
            challengeWindow: W,
            evidencePeriod: E,
            resolutionPeriod: R,
            proposalBond: BOND,
            challengeBond: STAKE,
            maxVoids: K,
            resolver: resolver,
            guardian: guardian,
            admin: admin
        });
    }

    function wire() internal {
        vm.startPrank(admin);
        token.grantRole(token.MINTER_ROLE(), address(distributor));
        credits.grantRole(credits.DISTRIBUTOR_ROLE(), address(distributor));
        vm.stopPrank();
    }

    function fund(address who, uint256 amount) internal {
        vm.prank(bank);
        token.transfer(who, amount);
        vm.startPrank(who);
        token.approve(address(distributor), type(uint256).max);
        token.approve(address(credits), type(uint256).max);
        vm.stopPrank();
    }

    function pay(uint256 amount) internal {
        vm.prank(customer);
        credits.pay(amount);
    }

    /// @notice Starts the next epoch and goes to its end.
    function runEpoch() internal returns (uint256 epoch) {
        uint256 start = GENESIS + distributor.nextEpoch() * DAY;
        if (block.timestamp < start) vm.warp(start);
        epoch = distributor.startEpoch();
        if (block.timestamp < start + DAY) vm.warp(start + DAY);
    }

    /// @notice A candidate that pays `amount` to one account, whose leaf is the root.
    function payout(address account, uint256 amount, uint256 revenue)
        internal
        pure
        returns (RewardDistributor.Candidate memory c)
    {
        c.root = StandardTree.hash(StandardTree.Leaf(account, amount));
        c.total = amount;
        c.revenue = revenue;
        c.bundleDigest = sha256(abi.encode(account, amount));
        c.bundleLength = 4_096;
        c.journalRoot = sha256("journal");
        c.journalSize = 77;
        c.previousDigest = sha256("previous");
    }

    /// @notice What the epoch should pay.
    function good() internal view returns (RewardDistributor.Candidate memory) {
        return payout(provider, 600e18, 200e18);
    }

    /// @notice What a thief wants it to pay: all there is.
    function bad(uint256 epoch) internal view returns (RewardDistributor.Candidate memory) {
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(epoch);
        return payout(griefer, mintCap + revenueCap, revenueCap);
    }

    function propose(address who, uint256 epoch, RewardDistributor.Candidate memory c) internal returns (bytes32) {
        vm.prank(who);
        return distributor.propose(epoch, c);
    }

    function challenge(address who, uint256 epoch, bytes32 id) internal {
        vm.prank(who);
        distributor.challenge(epoch, id);
    }

    function support(address who, uint256 epoch, bytes32 id, uint256 amount) internal {
        vm.prank(who);
        distributor.support(epoch, id, amount);
    }

    function resolve(uint256 epoch, bytes32 id) internal {
        vm.prank(resolver);
        distributor.resolve(epoch, id);
    }

    function claimOne(uint256 epoch, address account, uint256 amount) internal {
        distributor.claim(claimFor(epoch, account, amount, new bytes32[](0)));
    }

    function claimFor(uint256 epoch, address account, uint256 amount, bytes32[] memory proof)
        internal
        pure
        returns (RewardDistributor.Claim[] memory claims)
    {
        claims = new RewardDistributor.Claim[](1);
        claims[0] = RewardDistributor.Claim(epoch, account, amount, proof);
    }

    /// @notice Proposes, waits and finalizes.
    function settleEpoch(uint256 epoch, RewardDistributor.Candidate memory c) internal returns (bytes32 id) {
        id = propose(honest, epoch, c);
        skip(W);
        distributor.finalize(epoch);
    }

    /// @notice Ends a dispute without a ruling.
    function letTheResolverSleep(uint256 epoch) internal {
        vm.warp(distributor.epochState(epoch).deadline);
        distributor.timeout(epoch);
    }

    /// @notice Brings the epoch to its last round: rivals, and nobody rules.
    function reachLastRound(uint256 epoch) internal {
        for (uint256 i = 0; i < K; ++i) {
            propose(honest, epoch, good());
            propose(griefer, epoch, bad(epoch));
            letTheResolverSleep(epoch);
        }
    }

    /// @notice Settles and withdraws; what the account got.
    function collect(address account, uint256 epoch, bytes32 id) internal returns (uint256) {
        uint256 before = token.balanceOf(account);
        distributor.settleBond(epoch, distributor.epochState(epoch).generation, id, account);
        if (distributor.owed(account) > 0) distributor.withdraw(account);
        return token.balanceOf(account) - before;
    }

    function assertStatus(uint256 epoch, RewardDistributor.Status expected) internal view {
        vm.assertEq(uint256(distributor.epochState(epoch).status), uint256(expected));
    }
}
