// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bond} from "../src/Bond.sol";
import {NetworkToken} from "../src/NetworkToken.sol";
import {Base} from "./Base.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A token that keeps a share of what it moves, calls back whoever it moves to or from, and refuses to pay some.
contract MaliciousToken is ERC20 {
    uint256 public fee;
    mapping(address account => bool) public refused;
    address private _target;
    bytes private _call;
    bool public entered;
    bytes public answer;

    error Refused(address account);

    constructor(address holder) ERC20("Malicious", "MAL") {
        _mint(holder, 1e24);
    }

    function take(uint256 fee_) external {
        fee = fee_;
    }

    function refuse(address account) external {
        refused[account] = true;
    }

    /// @notice Calls `target` with `data` once, within the next transfer from or to it.
    function attack(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    /// @notice Lets a bond pay for itself: what calls back deposits this token in its own name.
    function allow(address spender) external {
        _approve(address(this), spender, type(uint256).max);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (refused[to]) revert Refused(to);
        super._update(from, to, amount);
        if (fee != 0 && from != address(0)) super._update(to, address(0xdead), fee);
        if (_target != address(0) && (from == _target || to == _target)) {
            address target = _target;
            _target = address(0);
            (entered, answer) = target.call(_call);
        }
    }
}

contract BondTest is Base {
    uint64 private constant DELAY = 7 days;
    bytes32 private constant VERDICT = keccak256("a verdict");
    address private admin = actor("admin");
    address private slasher = actor("slasher");
    address private maker = actor("maker");
    address private friend = actor("friend");
    address private treasury = actor("treasury");
    NetworkToken private token;
    Bond private bond;

    function setUp() public {
        vm.warp(1_700_000_000);
        token = new NetworkToken("Test", "TST", admin, maker, 1e24, 0);
        bond = deploy(token);
        vm.startPrank(maker);
        token.transfer(friend, 1e20);
        token.approve(address(bond), type(uint256).max);
        vm.stopPrank();
        vm.prank(friend);
        token.approve(address(bond), type(uint256).max);
    }

    function deploy(IERC20 of_) private returns (Bond fresh) {
        fresh = new Bond(of_, DELAY, admin);
        bytes32 role = fresh.SLASHER_ROLE();
        vm.prank(admin);
        fresh.grantRole(role, slasher);
    }

    // ---- Deposits

    function test_ADepositIsByAnyoneForAnyone() public {
        deposit(1_000);
        vm.expectEmit(address(bond));
        emit Bond.Deposited(maker, friend, 500);
        vm.prank(friend);
        bond.deposit(maker, 500);
        assertBond(maker, 1_500, 0);
        assertBond(friend, 0, 0);
        vm.assertEq(token.balanceOf(address(bond)), 1_500);
    }

    function test_ADepositOfNothingOrForNobodyIsRefused() public {
        vm.startPrank(maker);
        vm.expectPartialRevert(Bond.NoAmount.selector);
        bond.deposit(maker, 0);
        vm.expectRevert(abi.encodeWithSelector(Bond.BadAccount.selector, address(0)));
        bond.deposit(address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(Bond.BadAccount.selector, address(bond)));
        bond.deposit(address(bond), 1);
    }

    function test_ADelayOutsideItsBoundsIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(Bond.DelayOutOfRange.selector, 1, 366 days, 0));
        new Bond(token, 0, admin);
        vm.expectRevert(abi.encodeWithSelector(Bond.DelayOutOfRange.selector, 1, 366 days, 366 days + 1));
        new Bond(token, 366 days + 1, admin);
        new Bond(token, 366 days, admin);
    }

    // ---- The way out

    function test_ABondIsWithdrawnAfterItsDelayAndNotASecondEarlier() public {
        deposit(1_000);
        uint64 releasedAt = uint64(block.timestamp) + DELAY;
        vm.expectEmit(address(bond));
        emit Bond.Unbonding(maker, 400, releasedAt);
        vm.prank(maker);
        bond.unbond(400);
        assertBond(maker, 600, 400);
        vm.assertEq(bond.bondOf(maker).releasedAt, releasedAt);
        vm.warp(releasedAt - 1);
        vm.expectRevert(abi.encodeWithSelector(Bond.StillUnbonding.selector, releasedAt, releasedAt - 1));
        bond.withdraw(maker);
        vm.warp(releasedAt);
        uint256 before = token.balanceOf(maker);
        vm.expectEmit(address(bond));
        emit Bond.Withdrawn(maker, 400);
        vm.prank(friend);
        bond.withdraw(maker);
        vm.assertEq(token.balanceOf(maker) - before, 400);
        assertBond(maker, 600, 0);
        vm.expectPartialRevert(Bond.NoAmount.selector);
        bond.withdraw(maker);
    }

    function test_UnbondingMoreMakesAllOfItWaitAnew() public {
        deposit(1_000);
        vm.startPrank(maker);
        bond.unbond(400);
        skip(DELAY - 1);
        bond.unbond(100);
        skip(1);
        vm.expectPartialRevert(Bond.StillUnbonding.selector);
        bond.withdraw(maker);
        skip(DELAY - 1);
        bond.withdraw(maker);
        assertBond(maker, 500, 0);
    }

    function test_NobodyUnbondsMoreThanStandsOrSomebodyElses() public {
        deposit(1_000);
        vm.expectRevert(abi.encodeWithSelector(Bond.BondTooLow.selector, 1_000, 1_001));
        vm.prank(maker);
        bond.unbond(1_001);
        vm.expectRevert(abi.encodeWithSelector(Bond.BondTooLow.selector, 0, 1));
        vm.prank(friend);
        bond.unbond(1);
        vm.expectPartialRevert(Bond.NoAmount.selector);
        vm.prank(maker);
        bond.unbond(0);
    }

    // ---- Slashes

    function test_ASlashNamesItsVerdictAndIsCollectedLater() public {
        deposit(1_000);
        vm.expectEmit(address(bond));
        emit Bond.Slashed(maker, VERDICT, treasury, 300, 0);
        vm.assertEq(slash(300, VERDICT), 300);
        assertBond(maker, 700, 0);
        vm.assertTrue(bond.isCarriedOut(maker, VERDICT));
        vm.assertEq(bond.owed(treasury), 300);
        vm.assertEq(token.balanceOf(treasury), 0);
        vm.expectEmit(address(bond));
        emit Bond.Collected(treasury, 300);
        bond.collect(treasury);
        vm.assertEq(token.balanceOf(treasury), 300);
        vm.expectPartialRevert(Bond.NoAmount.selector);
        bond.collect(treasury);
    }

    function test_WhatIsOnItsWayOutIsStillSlashed() public {
        deposit(1_000);
        vm.prank(maker);
        bond.unbond(900);
        skip(DELAY - 1);
        vm.assertEq(slash(500, VERDICT), 500);
        assertBond(maker, 0, 500);
        // Even after the delay, until it is withdrawn.
        skip(DELAY);
        vm.assertEq(slash(100, keccak256("another")), 100);
        assertBond(maker, 0, 400);
        bond.withdraw(maker);
        vm.assertEq(slash(100, keccak256("a third")), 0);
    }

    function test_ASlashTakesWhatThereIsAndReportsTheRest() public {
        deposit(1_000);
        vm.prank(maker);
        bond.unbond(300);
        vm.expectEmit(address(bond));
        emit Bond.Slashed(maker, VERDICT, treasury, 1_000, type(uint256).max - 1_000);
        vm.assertEq(slash(type(uint256).max, VERDICT), 1_000);
        assertBond(maker, 0, 0);
        vm.assertEq(bond.owed(treasury), 1_000);
    }

    function test_AVerdictIsCarriedOutOnceForEachAccount() public {
        deposit(1_000);
        vm.prank(friend);
        bond.deposit(friend, 1_000);
        slash(300, VERDICT);
        vm.expectRevert(abi.encodeWithSelector(Bond.CarriedOut.selector, maker, VERDICT));
        vm.prank(slasher);
        bond.slash(maker, 300, VERDICT, treasury);
        vm.prank(slasher);
        bond.slash(friend, 300, VERDICT, treasury);
        assertBond(friend, 700, 0);
    }

    function test_ASlashNeedsVerdictAmountAndDestination() public {
        deposit(1_000);
        vm.startPrank(slasher);
        vm.expectPartialRevert(Bond.VerdictMissing.selector);
        bond.slash(maker, 1, 0, treasury);
        vm.expectPartialRevert(Bond.NoAmount.selector);
        bond.slash(maker, 0, VERDICT, treasury);
        vm.expectRevert(abi.encodeWithSelector(Bond.BadAccount.selector, address(0)));
        bond.slash(maker, 1, VERDICT, address(0));
        vm.expectRevert(abi.encodeWithSelector(Bond.BadAccount.selector, address(bond)));
        bond.slash(maker, 1, VERDICT, address(bond));
    }

    function test_OnlyASlasherSlashesAndTheAdministratorTouchesNothing() public {
        deposit(1_000);
        bytes32 role = bond.SLASHER_ROLE();
        address[3] memory others = [admin, maker, friend];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, others[i], role)
            );
            vm.prank(others[i]);
            bond.slash(maker, 1, VERDICT, treasury);
        }
        assertBond(maker, 1_000, 0);
    }

    function testFuzz_ASlashTakesNeitherMoreThanItSaysNorMoreThanThereIs(uint256 stake, uint256 out, uint256 amount)
        public
    {
        stake = bound(stake, 1, 1e20);
        out = bound(out, 0, stake);
        amount = bound(amount, 1, type(uint256).max);
        deposit(stake);
        if (out != 0) {
            vm.prank(maker);
            bond.unbond(out);
        }
        uint256 taken = slash(amount, VERDICT);
        vm.assertEq(taken, amount < stake ? amount : stake);
        Bond.Deposit memory left = bond.bondOf(maker);
        vm.assertEq(left.bonded + left.unbonding + taken, stake);
        // What stands goes first.
        vm.assertTrue(left.bonded == 0 || left.unbonding == out);
    }

    // ---- Tokens that misbehave

    function test_ATokenThatTakesAFeeIsRefused() public {
        MaliciousToken bad = malicious();
        bad.take(3);
        vm.expectRevert(abi.encodeWithSelector(Bond.WrongAmountReceived.selector, 100, 97));
        vm.prank(maker);
        bond.deposit(maker, 100);
    }

    function test_NothingIsEnteredTwice() public {
        MaliciousToken bad = malicious();
        bad.allow(address(bond));
        vm.prank(maker);
        bond.deposit(maker, 1_000);
        bytes[3] memory calls = [
            abi.encodeCall(bond.deposit, (friend, 1)),
            abi.encodeCall(bond.withdraw, (maker)),
            abi.encodeCall(bond.collect, (treasury))
        ];
        vm.prank(slasher);
        bond.slash(maker, 200, VERDICT, treasury);
        vm.prank(maker);
        bond.unbond(300);
        skip(DELAY);
        for (uint256 i = 0; i < calls.length; ++i) {
            bad.attack(address(bond), calls[i]);
            vm.prank(maker);
            bond.deposit(maker, 10);
            vm.assertFalse(bad.entered());
            vm.assertEq(bytes32(bad.answer()), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))));
        }
        bad.attack(address(bond), calls[1]);
        bond.withdraw(maker);
        vm.assertFalse(bad.entered());
        bad.attack(address(bond), calls[2]);
        bond.collect(treasury);
        vm.assertFalse(bad.entered());
        Bond.Deposit memory left = bond.bondOf(maker);
        vm.assertEq(bad.balanceOf(address(bond)), left.bonded + left.unbonding);
        vm.assertEq(left.bonded, 530);
    }

    function test_WhoCannotBePaidHoldsUpNobodyElse() public {
        MaliciousToken bad = malicious();
        vm.prank(maker);
        bond.deposit(maker, 1_000);
        bad.refuse(treasury);
        vm.prank(slasher);
        bond.slash(maker, 200, VERDICT, treasury);
        vm.expectRevert(abi.encodeWithSelector(MaliciousToken.Refused.selector, treasury));
        bond.collect(treasury);
        vm.assertEq(bond.owed(treasury), 200);
        vm.prank(maker);
        bond.unbond(800);
        skip(DELAY);
        bond.withdraw(maker);
    }

    function test_TokensSentByAPlainTransferBelongToNobody() public {
        deposit(1_000);
        vm.prank(friend);
        token.transfer(address(bond), 77);
        assertBond(friend, 0, 0);
        vm.prank(friend);
        bond.deposit(friend, 5);
        assertBond(friend, 5, 0);
    }

    // ---- Helpers

    function malicious() private returns (MaliciousToken bad) {
        bad = new MaliciousToken(maker);
        bond = deploy(bad);
        vm.prank(maker);
        bad.approve(address(bond), type(uint256).max);
    }

    function deposit(uint256 amount) private {
        vm.prank(maker);
        bond.deposit(maker, amount);
    }

    function slash(uint256 amount, bytes32 verdict) private returns (uint256) {
        vm.prank(slasher);
        return bond.slash(maker, amount, verdict, treasury);
    }

    function assertBond(address account, uint256 bonded, uint256 unbonding) private view {
        Bond.Deposit memory found = bond.bondOf(account);
        vm.assertEq(found.bonded, bonded);
        vm.assertEq(found.unbonding, unbonding);
    }
}
