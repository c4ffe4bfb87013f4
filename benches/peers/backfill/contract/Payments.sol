// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @notice Says of itself what `ServiceCredits` says of payments, many times over: something to index.
contract Payments {
    event Paid(address indexed customer, address indexed payer, uint256 amount, uint256 burned);

    /// @notice `count` payments, numbered from `first`, by a thousand customers in turn.
    function pay(uint256 first, uint256 count) external {
        for (uint256 i = first; i < first + count; ++i) {
            emit Paid(address(uint160(0x10000 + (i % 1000))), msg.sender, 1e18 + i, i / 2);
        }
    }
}
