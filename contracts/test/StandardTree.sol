// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Arrays} from "@openzeppelin/contracts/utils/Arrays.sol";

/// @notice OpenZeppelin's `standard-v1` tree over (address, uint256), as its JavaScript library builds it: the leaves,
/// sorted, at the end of a heap in reverse order.
library StandardTree {
    struct Leaf {
        address account;
        uint256 amount;
    }

    function hash(Leaf memory leaf) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(leaf.account, leaf.amount))));
    }

    function build(Leaf[] memory leaves) internal pure returns (bytes32[] memory tree) {
        uint256 n = leaves.length;
        bytes32[] memory hashes = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            hashes[i] = hash(leaves[i]);
        }
        Arrays.sort(hashes);
        tree = new bytes32[](2 * n - 1);
        for (uint256 i = 0; i < n; ++i) {
            tree[tree.length - 1 - i] = hashes[i];
        }
        for (uint256 i = n - 1; i > 0; --i) {
            (bytes32 a, bytes32 b) = (tree[2 * i - 1], tree[2 * i]);
            tree[i - 1] = a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
        }
    }

    function prove(bytes32[] memory tree, Leaf memory leaf) internal pure returns (bytes32[] memory proof) {
        bytes32 wanted = hash(leaf);
        uint256 position = tree.length;
        while (tree[--position] != wanted) {}
        uint256 depth;
        for (uint256 i = position; i > 0; i = (i - 1) / 2) {
            ++depth;
        }
        proof = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            proof[i] = tree[position % 2 == 0 ? position - 1 : position + 1];
            position = (position - 1) / 2;
        }
    }
}
