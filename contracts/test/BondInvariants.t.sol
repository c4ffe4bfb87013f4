// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bond} from "../src/Bond.sol";
import {NetworkToken} from "../src/NetworkToken.sol";
import {Base} from "./Base.sol";

/// @notice Anything that anyone may do with bonds, in any order and at any time.
contract BondHandler is Base {
    NetworkToken public token;
    Bond public bond;
    address[3] public actors = [actor("one"), actor("two"), actor("three")];
    address private slasher = actor("slasher");
    uint256 private verdicts;
    uint256 public donated;
    uint256 public deposited;
    uint256 public paid;
    bool public slashedTooMuch;
    bool public paidEarly;
    mapping(string action => uint256) public done;

    constructor() {
        vm.warp(1_700_000_000);
        token = new NetworkToken("Test", "TST", address(this), address(this), 1e27, 0);
        bond = new Bond(token, 5 days, address(this));
        bond.grantRole(bond.SLASHER_ROLE(), slasher);
        for (uint256 i = 0; i < actors.length; ++i) {
            token.transfer(actors[i], 1e26);
            vm.prank(actors[i]);
            token.approve(address(bond), type(uint256).max);
        }
    }

    function deposit(uint256 by, uint256 account, uint256 amount) external {
        amount = bound(amount, 1, 1e20);
        vm.prank(actors[by % 3]);
        bond.deposit(actors[account % 3], amount);
        deposited += amount;
        done["deposit"]++;
    }

    function unbond(uint256 account, uint256 amount) external {
        vm.prank(actors[account % 3]);
        try bond.unbond(bound(amount, 1, 1e20)) {
            done["unbond"]++;
        } catch {}
    }

    function withdraw(uint256 account, uint256 time) external {
        skip(bound(time, 0, 3 days));
        address who = actors[account % 3];
        uint256 before = token.balanceOf(who);
        Bond.Deposit memory was = bond.bondOf(who);
        try bond.withdraw(who) {
            if (block.timestamp < was.releasedAt) paidEarly = true;
            paid += token.balanceOf(who) - before;
            done["withdraw"]++;
        } catch {}
    }

    function slash(uint256 account, uint256 amount, uint256 to) external {
        address who = actors[account % 3];
        amount = bound(amount, 1, 1e20);
        Bond.Deposit memory was = bond.bondOf(who);
        vm.prank(slasher);
        uint256 taken = bond.slash(who, amount, bytes32(++verdicts), actors[to % 3]);
        Bond.Deposit memory left = bond.bondOf(who);
        uint256 lost = was.bonded + was.unbonding - left.bonded - left.unbonding;
        if (taken > amount || taken != lost) slashedTooMuch = true;
        done[taken < amount ? "slash more than there is" : "slash"]++;
    }

    function collect(uint256 account) external {
        address who = actors[account % 3];
        uint256 before = token.balanceOf(who);
        try bond.collect(who) {
            paid += token.balanceOf(who) - before;
            done["collect"]++;
        } catch {}
    }

    function donate(uint256 by, uint256 amount) external {
        amount = bound(amount, 0, 1e18);
        vm.prank(actors[by % 3]);
        token.transfer(address(bond), amount);
        donated += amount;
    }

    function booked() external view returns (uint256 sum) {
        for (uint256 i = 0; i < actors.length; ++i) {
            Bond.Deposit memory found = bond.bondOf(actors[i]);
            sum += found.bonded + found.unbonding + bond.owed(actors[i]);
        }
    }
}

contract BondInvariantsTest is Base {
    BondHandler private handler;

    function setUp() public {
        handler = new BondHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_TheBondsAreTheBalance() public view {
        vm.assertEq(handler.token().balanceOf(address(handler.bond())), handler.booked() + handler.donated());
    }

    function invariant_WhatCameInIsThereOrWasPaid() public view {
        vm.assertEq(handler.deposited(), handler.booked() + handler.paid());
    }

    function invariant_ASlashTakesNoMoreThanItSays() public view {
        vm.assertFalse(handler.slashedTooMuch());
    }

    function invariant_NothingIsPaidBeforeItsTime() public view {
        vm.assertFalse(handler.paidEarly());
    }

    function test_ARandomRunReachesEveryAction() public {
        string[6] memory actions = ["deposit", "unbond", "withdraw", "slash", "slash more than there is", "collect"];
        uint256 seed = 1;
        for (uint256 step = 0; step < 300; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            (uint256 a, uint256 b, uint256 c) = (seed >> 8, seed >> 80, seed >> 160);
            uint256 which = seed % 5;
            if (which == 0) handler.deposit(a, b, c);
            else if (which == 1) handler.unbond(a, b);
            else if (which == 2) handler.withdraw(a, b);
            else if (which == 3) handler.slash(a, b, c);
            else handler.collect(a);
        }
        for (uint256 i = 0; i < actions.length; ++i) {
            vm.assertTrue(handler.done(actions[i]) > 0, actions[i]);
        }
    }
}
