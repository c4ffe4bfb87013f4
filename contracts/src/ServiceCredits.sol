// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "./NetworkToken.sol";
import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Where customers pay
/// @notice Every payment burns a share for good and holds the rest for the providers. What is burned bounds what may be
/// minted; what is held is the revenue that epochs pay out.
/// @dev Held tokens leave only through `release`. Tokens sent here by a plain transfer are not counted and stay.
contract ServiceCredits is AccessControl {
    using SafeERC20 for NetworkToken;

    /// @notice Whoever holds this role may take held tokens to pay them out: the reward distributor.
    bytes32 public constant DISTRIBUTOR_ROLE = keccak256("DISTRIBUTOR_ROLE");

    uint256 private constant BPS = 10_000;

    /// @notice The token that customers pay with.
    NetworkToken public immutable token;

    /// @notice The share of a payment that is burned, in basis points, from 1 to 10,000.
    uint16 public immutable burnBps;

    /// @notice What customers have paid so far, in base units.
    uint256 public totalPaid;

    /// @notice What payments have burned so far, in base units.
    uint256 public totalBurned;

    /// @notice What is held for providers now, in base units.
    uint256 public held;

    /// @notice `payer` paid `amount` for the services of `customer`; `burned` of it is gone for good.
    event Paid(address indexed customer, address indexed payer, uint256 amount, uint256 burned);
    /// @notice `amount` left for `distributor`, to be paid out.
    event Released(address indexed distributor, uint256 amount);
    /// @notice `from` put `amount` back among the held tokens.
    event Restored(address indexed from, uint256 amount);

    /// @notice A share outside its bounds.
    error BurnShareOutOfRange(uint256 minimum, uint256 maximum, uint256 found);
    /// @notice A payment of nothing.
    error NothingToPay();
    /// @notice A payment for nobody.
    error CustomerMissing();
    /// @notice Only `held` can be released, not `requested`.
    error HeldTooLow(uint256 held, uint256 requested);

    /// @param token_ The token that customers pay with.
    /// @param burnBps_ The share of a payment that is burned, in basis points, from 1 to 10,000.
    /// @param admin Who grants and revokes roles. It can name the distributor, so it should be a timelock.
    constructor(NetworkToken token_, uint16 burnBps_, address admin) {
        if (burnBps_ == 0 || burnBps_ > BPS) revert BurnShareOutOfRange(1, BPS, burnBps_);
        token = token_;
        burnBps = burnBps_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Pays `amount` for one's own services.
    function pay(uint256 amount) external {
        _pay(msg.sender, amount);
    }

    /// @notice Pays `amount` for the services of `customer`.
    function payFor(address customer, uint256 amount) external {
        _pay(customer, amount);
    }

    /// @notice Pays `amount` for the services of `customer`, with the caller's ERC-2612 permit instead of an approval.
    /// @param customer Whose services are paid.
    /// @param amount What is paid and permitted, in base units.
    /// @param deadline Until when the permit is good, in seconds since the Unix epoch.
    function payWithPermit(address customer, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        // Anyone may have submitted the permit already; then the allowance is there, and the payment must not fail.
        try token.permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _pay(customer, amount);
    }

    /// @notice Sends `amount` of the held tokens to the calling distributor.
    function release(uint256 amount) external onlyRole(DISTRIBUTOR_ROLE) {
        if (amount > held) revert HeldTooLow(held, amount);
        held -= amount;
        emit Released(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @notice Takes `amount` from the caller back among the held tokens.
    /// @dev Anyone may give: a distributor that lost its role must still be able to return what it did not pay out,
    /// or the epochs it started could not become final.
    function restore(uint256 amount) external {
        held += amount;
        emit Restored(msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _pay(address customer, uint256 amount) private {
        if (amount == 0) revert NothingToPay();
        if (customer == address(0)) revert CustomerMissing();
        // Rounded up, so that splitting a payment never burns less.
        uint256 burned = Math.mulDiv(amount, burnBps, BPS, Math.Rounding.Ceil);
        totalPaid += amount;
        totalBurned += burned;
        held += amount - burned;
        emit Paid(customer, msg.sender, amount, burned);
        token.safeTransferFrom(msg.sender, address(this), amount);
        token.burn(burned);
    }
}
