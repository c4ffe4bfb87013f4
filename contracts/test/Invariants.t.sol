// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {RewardDistributor} from "../src/RewardDistributor.sol";
import {DistributorBase} from "./DistributorBase.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice Does anything that anyone may do, in any order and at any time, and keeps its own books. What the distributor
/// refuses is skipped; the invariants say what must hold after what it accepted.
contract Handler is DistributorBase {
    struct Seen {
        uint256 epoch;
        uint32 generation;
        bytes32 id;
    }

    uint256 public constant VARIANTS = 3;

    address[4] public actors;
    Seen[] public seen;
    mapping(bytes32 key => bool) private _known;
    mapping(uint256 epoch => bytes32) public finalLeading;
    mapping(uint256 epoch => mapping(address account => uint256)) public payouts;
    uint256 public staked;
    uint256 public withdrawn;
    uint256 public bondsBurned;
    bool public paidTwice;
    bool public finalChanged;
    mapping(string action => uint256) public done;

    constructor() {
        deploy();
        actors = [honest, watcher, griefer, provider];
        fund(provider, 1e24);
        fund(honest, 1e26);
    }

    modifier later(uint256 time) {
        skip(bound(time, 0, 8 hours));
        _;
        observe();
    }

    // ---- What anyone may do

    function payForService(uint256 time, uint256 amount) external later(time) {
        pay(bound(amount, 1, 3_000e18));
    }

    function startEpoch(uint256 time) external later(time) {
        // With few epochs undecided at a time, what comes next meets one that something can be done about.
        if (undecided().length == 2) return;
        try distributor.startEpoch() {
            done["startEpoch"]++;
        } catch {}
    }

    function proposeVariant(uint256 time, uint256 who, uint256 epoch, uint256 variant) external later(time) {
        _propose(actors[who % 4], pick(epoch), variant % VARIANTS);
    }

    function challengeVariant(uint256 time, uint256 who, uint256 epoch, uint256 variant) external later(time) {
        epoch = pick(epoch);
        bytes32 id = candidateIn(epoch, variant);
        uint256 before = token.balanceOf(address(distributor));
        vm.prank(actors[who % 4]);
        try distributor.challenge(epoch, id) {
            done["challenge"]++;
        } catch {}
        staked += token.balanceOf(address(distributor)) - before;
    }

    function supportVariant(uint256 time, uint256 who, uint256 epoch, uint256 variant, uint256 amount)
        external
        later(time)
    {
        epoch = pick(epoch);
        bytes32 id = candidateIn(epoch, variant);
        uint256 before = token.balanceOf(address(distributor));
        vm.prank(actors[who % 4]);
        try distributor.support(epoch, id, bound(amount, 1, 1_000e18)) {
            done["support"]++;
        } catch {}
        staked += token.balanceOf(address(distributor)) - before;
    }

    function resolveVariant(uint256 time, uint256 epoch, uint256 variant) external later(time) {
        epoch = pick(epoch);
        bytes32 id = variant % 4 == 0 ? candidateIn(epoch, variant >> 2) : bytes32(0);
        uint256 from = distributor.epochState(epoch).contestedAt + E;
        if (block.timestamp < from && from < block.timestamp + E) vm.warp(from);
        vm.prank(resolver);
        try distributor.resolve(epoch, id) {
            done[id == 0 ? "resolve to void" : "resolve to final"]++;
        } catch {}
    }

    /// @notice Often at the very deadline, where the rules meet.
    function finish(uint256 time, uint256 epoch, uint256 onTime) external later(time) {
        epoch = pick(epoch);
        uint64 deadline = distributor.epochState(epoch).deadline;
        if (onTime % 4 == 0 && deadline > block.timestamp) vm.warp(deadline);
        try distributor.finalize(epoch) {
            done["finalize"]++;
        } catch {}
        try distributor.timeout(epoch) {
            done["timeout"]++;
        } catch {}
    }

    /// @notice Rivals, and nobody rules: the way to the last round, and from there to a tie.
    function disputeUnruled(uint256 time, uint256 epoch, bool wait) external later(time) {
        epoch = pick(epoch);
        _propose(honest, epoch, 0);
        _propose(griefer, epoch, 1);
        RewardDistributor.EpochState memory state = distributor.epochState(epoch);
        if (state.status != RewardDistributor.Status.Contested || (state.lastRound && !wait)) return;
        if (state.deadline > block.timestamp) vm.warp(state.deadline);
        try distributor.timeout(epoch) {
            done["timeout"]++;
            if (distributor.epochState(epoch).generation > state.generation) done["tie"]++;
        } catch {}
    }

    function claimVariant(uint256 time, uint256 epoch, uint256 variant) external later(time) {
        uint256 n = distributor.nextEpoch();
        if (n > 0) claimIt(epoch % n, variant % VARIANTS);
    }

    function settleAny(uint256 time, uint256 which, uint256 who) external later(time) {
        if (seen.length == 0) return;
        settleIt(which % seen.length, actors[who % 4]);
    }

    function withdrawAny(uint256 time, uint256 who) external later(time) {
        withdrawIt(actors[who % 4]);
    }

    function pauseOrNot(uint256 time, bool on) external later(time) {
        vm.prank(guardian);
        if (on) {
            try distributor.pause() {
                done["pause"]++;
            } catch {}
        } else {
            try distributor.unpause() {} catch {}
        }
    }

    // ---- Steps that the end of a run uses too

    function claimIt(uint256 epoch, uint256 variant) public {
        (address account, uint256 amount) = leafOf(epoch, variant);
        uint256 before = token.balanceOf(account);
        try distributor.claim(claimFor(epoch, account, amount, new bytes32[](0))) {
            done["claim"]++;
            if (payouts[epoch][account] > 0) paidTwice = true;
            payouts[epoch][account] += token.balanceOf(account) - before;
        } catch {}
    }

    function settleIt(uint256 which, address account) public {
        Seen memory s = seen[which];
        uint256 supply = token.totalSupply();
        try distributor.settleBond(s.epoch, s.generation, s.id, account) {
            done["settle"]++;
        } catch {}
        bondsBurned += supply - token.totalSupply();
    }

    function withdrawIt(address account) public {
        uint256 before = token.balanceOf(account);
        try distributor.withdraw(account) {
            done["withdraw"]++;
        } catch {}
        withdrawn += token.balanceOf(account) - before;
    }

    /// @notice One honest actor, alone and without a resolver, brings the epoch to its end.
    /// @return took How long that took.
    function driveToFinal(uint256 epoch) external returns (uint256 took) {
        uint256 start = block.timestamp;
        bytes32 id = idOf(epoch, 0);
        for (uint256 step = 0; step < 20; ++step) {
            RewardDistributor.EpochState memory state = distributor.epochState(epoch);
            if (state.status == RewardDistributor.Status.Final) break;
            // A pause that began after the deadline postpones only the last call.
            if (state.deadline <= block.timestamp && distributor.paused()) vm.warp(distributor.pausedUntil());
            _propose(honest, epoch, 0);
            state = distributor.epochState(epoch);
            if (state.lastRound && state.status == RewardDistributor.Status.Contested) {
                uint256 before = token.balanceOf(address(distributor));
                vm.prank(honest);
                try distributor.support(epoch, id, 1e25) {} catch {}
                staked += token.balanceOf(address(distributor)) - before;
                state = distributor.epochState(epoch);
            }
            if (state.deadline > block.timestamp) vm.warp(state.deadline);
            try distributor.finalize(epoch) {} catch {}
            try distributor.timeout(epoch) {} catch {}
        }
        assertStatus(epoch, RewardDistributor.Status.Final);
        observe();
        return block.timestamp - start;
    }

    function _propose(address who, uint256 epoch, uint256 variant) private {
        uint256 end = GENESIS + (epoch + 1) * DAY;
        if (block.timestamp < end || epoch >= distributor.nextEpoch()) return;
        uint32 generation = distributor.epochState(epoch).generation;
        RewardDistributor.Candidate memory c = candidateOf(epoch, variant);
        uint256 before = token.balanceOf(address(distributor));
        vm.prank(who);
        try distributor.propose(epoch, c) returns (bytes32 id) {
            done["propose"]++;
            bytes32 key = keccak256(abi.encode(generation, id));
            if (!_known[key]) {
                _known[key] = true;
                seen.push(Seen(epoch, generation, id));
            }
        } catch {}
        staked += token.balanceOf(address(distributor)) - before;
    }

    // ---- Books

    function observe() private {
        for (uint256 epoch = 0; epoch < distributor.nextEpoch(); ++epoch) {
            RewardDistributor.EpochState memory state = distributor.epochState(epoch);
            if (finalLeading[epoch] == 0) {
                if (state.status == RewardDistributor.Status.Final) finalLeading[epoch] = state.leading;
            } else if (
                state.status != RewardDistributor.Status.Final || state.leading != finalLeading[epoch]
                    || distributor.finalRoot(epoch) != distributor.candidate(state.leading).root
            ) {
                finalChanged = true;
            }
        }
    }

    function pick(uint256 seed) private view returns (uint256) {
        uint256[] memory open = undecided();
        uint256 n = distributor.nextEpoch();
        if (open.length > 0 && seed % 4 > 0) return open[(seed >> 2) % open.length];
        return n == 0 ? 0 : (seed >> 2) % n;
    }

    /// @notice Mostly the candidate that leads the round, otherwise any.
    function candidateIn(uint256 epoch, uint256 seed) private view returns (bytes32 id) {
        if (seed % 2 == 0) id = distributor.epochState(epoch).leading;
        if (id == 0) id = idOf(epoch, (seed >> 1) % VARIANTS);
    }

    function undecided() private view returns (uint256[] memory open) {
        uint256 count;
        open = new uint256[](2);
        for (uint256 epoch = 0; epoch < distributor.nextEpoch(); ++epoch) {
            if (finalLeading[epoch] == 0) open[count++] = epoch;
        }
        assembly ("memory-safe") {
            mstore(open, count)
        }
    }

    function leafOf(uint256 epoch, uint256 variant) public view returns (address account, uint256 amount) {
        (uint256 mintCap, uint256 revenueCap) = distributor.caps(epoch);
        return (actors[variant], mintCap * (variant + 1) / VARIANTS + revenueCap / (variant + 1));
    }

    function candidateOf(uint256 epoch, uint256 variant) public view returns (RewardDistributor.Candidate memory) {
        (address account, uint256 amount) = leafOf(epoch, variant);
        (, uint256 revenueCap) = distributor.caps(epoch);
        return payout(account, amount, revenueCap / (variant + 1));
    }

    function idOf(uint256 epoch, uint256 variant) public view returns (bytes32) {
        return distributor.candidateId(epoch, candidateOf(epoch, variant));
    }

    function seenCount() external view returns (uint256) {
        return seen.length;
    }

    function contracts() external view returns (RewardDistributor) {
        return distributor;
    }
}

contract InvariantsTest is DistributorBase {
    Handler private handler;

    function setUp() public {
        handler = new Handler();
        distributor = handler.contracts();
        token = distributor.token();
        credits = distributor.credits();
        vm.warp(GENESIS);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](14);
        selectors[0] = Handler.payForService.selector;
        selectors[1] = Handler.startEpoch.selector;
        selectors[2] = Handler.proposeVariant.selector;
        selectors[3] = Handler.challengeVariant.selector;
        selectors[4] = Handler.supportVariant.selector;
        selectors[5] = Handler.resolveVariant.selector;
        selectors[6] = Handler.finish.selector;
        selectors[7] = Handler.claimVariant.selector;
        selectors[8] = Handler.settleAny.selector;
        selectors[9] = Handler.withdrawAny.selector;
        selectors[10] = Handler.pauseOrNot.selector;
        selectors[11] = Handler.disputeUnruled.selector;
        // Without proposals there is nothing to do: they come more often.
        selectors[12] = Handler.proposeVariant.selector;
        selectors[13] = Handler.proposeVariant.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    /// @notice No more is claimed from an epoch than its candidate's total, nor than it escrowed.
    function invariant_ClaimsStayWithinTotalAndCaps() public view {
        for (uint256 epoch = 0; epoch < distributor.nextEpoch(); ++epoch) {
            (uint256 mintCap, uint256 revenueCap) = distributor.caps(epoch);
            uint256 claimed = distributor.claimedTotal(epoch);
            vm.assertLe(claimed, mintCap + revenueCap);
            vm.assertLe(claimed, totalOf(epoch));
            vm.assertLe(mintCap, distributor.schedule(epoch));
            vm.assertLe(revenueCap, REVENUE);
        }
        vm.assertFalse(handler.paidTwice());
    }

    /// @notice What the distributor holds is, to the last unit, what it owes.
    function invariant_TheBalanceIsEscrowAndBondsAndCarry() public view {
        vm.assertEq(
            token.balanceOf(address(distributor)), escrow() + distributor.bonded() + distributor.carry(), "distributor"
        );
        vm.assertEq(token.balanceOf(address(credits)), credits.held(), "credits");
    }

    /// @notice Every bond is somewhere, once: at stake, owed, withdrawn or burned.
    function invariant_EachBondIsPaidOnce() public view {
        vm.assertEq(distributor.bonded(), handler.staked() - handler.withdrawn() - handler.bondsBurned(), "books");
        uint256 sum;
        for (uint256 i = 0; i < 4; ++i) {
            sum += distributor.owed(handler.actors(i));
        }
        for (uint256 k = 0; k < handler.seenCount(); ++k) {
            (uint256 epoch, uint32 generation, bytes32 id) = handler.seen(k);
            for (uint256 i = 0; i < 4; ++i) {
                (uint256 backing, uint256 opposing) = distributor.stakeOf(epoch, generation, id, handler.actors(i));
                sum += backing + opposing;
            }
        }
        vm.assertEq(sum, distributor.bonded(), "stakes");
    }

    /// @notice What was ever minted stays within what burning allows.
    function invariant_EmissionIsBoundedByBurn() public view {
        vm.assertEq(token.totalMinted(), distributor.mintedNet() + distributor.carry());
        vm.assertLe(token.totalMinted(), Math.mulDiv(credits.totalBurned(), 8_000, 10_000));
    }

    function invariant_FinalIsFinal() public view {
        vm.assertFalse(handler.finalChanged());
    }

    /// @notice From wherever a run got to, one honest actor brings every epoch to its end in bounded time without a
    /// resolver; then every bond and every payout leaves, and only the carry stays.
    function afterInvariant() external {
        // The dispute that runs may be past saving; then every round of a generation, and one pause.
        uint256 bound_ = (E + R) + K * (W + E + R) + (W + E) + 7 days;
        uint256 epochs = distributor.nextEpoch();
        uint256 end = GENESIS + epochs * DAY;
        if (block.timestamp < end) vm.warp(end);
        for (uint256 epoch = 0; epoch < epochs; ++epoch) {
            vm.assertLe(handler.driveToFinal(epoch), bound_, "too slow");
            for (uint256 variant = 0; variant < handler.VARIANTS(); ++variant) {
                handler.claimIt(epoch, variant);
            }
        }
        for (uint256 i = 0; i < 4; ++i) {
            for (uint256 k = 0; k < handler.seenCount(); ++k) {
                handler.settleIt(k, handler.actors(i));
                uint256 settled = handler.done("settle");
                handler.settleIt(k, handler.actors(i));
                vm.assertEq(handler.done("settle"), settled, "settled twice");
            }
        }
        for (uint256 i = 0; i < 4; ++i) {
            handler.withdrawIt(handler.actors(i));
        }
        vm.assertEq(distributor.bonded(), 0, "a bond stayed");
        vm.assertEq(escrow(), 0, "a payout stayed");
        vm.assertEq(token.balanceOf(address(distributor)), distributor.carry(), "something else stayed");
        vm.assertFalse(handler.paidTwice());
        vm.assertFalse(handler.finalChanged());
    }

    /// @notice The handler gets everywhere, so that the invariants are not kept by doing nothing.
    function test_ARandomRunReachesEveryAction() public {
        for (uint256 i = 0; i < 1_500; ++i) {
            uint256 a = uint256(keccak256(abi.encode("action", i)));
            uint256 b = uint256(keccak256(abi.encode("argument", i)));
            uint256 kind = a % 14;
            a >>= 8;
            if (kind == 0) handler.payForService(a, b);
            else if (kind == 1) handler.startEpoch(a);
            else if (kind == 2) handler.challengeVariant(a, b, b >> 8, b >> 16);
            else if (kind == 3) handler.supportVariant(a, b, b >> 8, b >> 16, b >> 24);
            else if (kind == 4) handler.resolveVariant(a, b, b >> 8);
            else if (kind == 5) handler.claimVariant(a, b, b >> 8);
            else if (kind == 6) handler.settleAny(a, b, b >> 8);
            else if (kind == 7) handler.withdrawAny(a, b);
            else if (kind == 8) handler.pauseOrNot(a, b % 2 == 0);
            else if (kind == 9) handler.finish(a, b, b >> 8);
            else if (kind == 10) handler.disputeUnruled(a, b, b >> 8 & 1 == 0);
            else handler.proposeVariant(a, b, b >> 8, b >> 16);
        }
        string[13] memory actions = [
            "startEpoch",
            "propose",
            "challenge",
            "support",
            "resolve to void",
            "resolve to final",
            "finalize",
            "timeout",
            "tie",
            "claim",
            "settle",
            "withdraw",
            "pause"
        ];
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertGe(handler.done(actions[i]), 1, actions[i]);
        }
    }

    function totalOf(uint256 epoch) private view returns (uint256) {
        RewardDistributor.EpochState memory state = distributor.epochState(epoch);
        if (state.status != RewardDistributor.Status.Final) return 0;
        return distributor.candidate(state.leading).total;
    }

    function escrow() private view returns (uint256 sum) {
        for (uint256 epoch = 0; epoch < distributor.nextEpoch(); ++epoch) {
            (uint256 mintCap, uint256 revenueCap) = distributor.caps(epoch);
            bool decided = distributor.finalRoot(epoch) != 0;
            sum += decided ? totalOf(epoch) - distributor.claimedTotal(epoch) : mintCap + revenueCap;
        }
    }
}
