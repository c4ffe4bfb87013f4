// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Points of the curve P-256, uncompressed
/// @notice A compressed point (SEC 1, 2.3.3) is x and whether y is odd. What checks signatures wants y itself.
library P256Point {
    /// @dev (p + 1) / 4: since p ≡ 3 (mod 4), a square to this power is one of its roots.
    uint256 private constant ROOT_EXPONENT = (P256.P + 1) / 4;

    /// @notice No point of the curve has this x.
    error NotOnCurve(uint256 x);

    /// @notice The y that belongs to `x` and has the parity `odd`; fails when there is none.
    /// @dev One call of the modexp precompile. No point of P-256 has y = 0: its order is an odd prime.
    function yOf(uint256 x, bool odd) internal view returns (uint256 y) {
        uint256 p = P256.P;
        // A second name for a point, x + p, would be a second device with the same key.
        if (x >= p) revert NotOnCurve(x);
        uint256 square = addmod(mulmod(addmod(mulmod(x, x, p), P256.A, p), x, p), P256.B, p);
        y = Math.modExp(square, ROOT_EXPONENT, p);
        if (mulmod(y, y, p) != square) revert NotOnCurve(x);
        if ((y & 1 == 1) != odd) y = p - y;
    }
}
