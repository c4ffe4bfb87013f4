// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title What somebody stands to lose
/// @notice Makers and providers deposit tokens here. Whoever unbonds waits, and can lose the deposit until the wait is
/// over and it is withdrawn. A slash names the verdict it carries out.
/// @dev Tokens leave only by `withdraw` and `collect`, to the account they are booked for. Tokens sent here by a plain
/// transfer are not counted and stay. A token that takes a fee is refused; one whose balances change by themselves must
/// not be used.
contract Bond is AccessControl, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice Whoever holds this role may slash bonds.
    bytes32 public constant SLASHER_ROLE = keccak256("SLASHER_ROLE");

    /// @notice The longest unbonding delay, in seconds.
    uint64 public constant MAX_UNBONDING_DELAY = 366 days;

    /// @notice The bond of an account, in base units.
    /// @param bonded What stands.
    /// @param unbonding What is on its way out, and can still be slashed.
    /// @param releasedAt From when on that can be withdrawn, in seconds since the Unix epoch.
    struct Deposit {
        uint256 bonded;
        uint256 unbonding;
        uint64 releasedAt;
    }

    /// @notice The token of the bonds.
    IERC20 public immutable token;

    /// @notice How long unbonding takes, in seconds: longer than it takes to find a fault and to rule on it.
    uint64 public immutable unbondingDelay;

    /// @notice What slashes put aside for an account, which `collect` pays, in base units.
    mapping(address account => uint256) public owed;

    mapping(address account => Deposit) private _deposits;
    mapping(address account => mapping(bytes32 verdict => bool)) private _carriedOut;

    /// @notice `from` added `amount` to the bond of `account`.
    event Deposited(address indexed account, address indexed from, uint256 amount);
    /// @notice `amount` of the bond of `account` is on its way out; all that is can be withdrawn from `releasedAt` on.
    event Unbonding(address indexed account, uint256 amount, uint64 releasedAt);
    /// @notice `account` got `amount` of its bond back.
    event Withdrawn(address indexed account, uint256 amount);
    /// @notice `account` lost `amount` to `destination` by the verdict with this digest. `missing` more was due, and was
    /// not there.
    event Slashed(
        address indexed account, bytes32 indexed verdict, address indexed destination, uint256 amount, uint256 missing
    );
    /// @notice `account` was paid `amount` that slashes had put aside for it.
    event Collected(address indexed account, uint256 amount);

    /// @notice A delay outside its bounds, in seconds.
    error DelayOutOfRange(uint64 minimum, uint64 maximum, uint64 found);
    /// @notice Nothing to deposit, unbond, withdraw, collect or slash.
    error NoAmount();
    /// @notice Neither nobody nor this contract can have a bond, or be paid one.
    error BadAccount(address found);
    /// @notice The token moved another amount than it was told to.
    error WrongAmountReceived(uint256 expected, uint256 found);
    /// @notice Only `bonded` can be unbonded, not `requested`.
    error BondTooLow(uint256 bonded, uint256 requested);
    /// @notice Unbonding ends later, in seconds since the Unix epoch.
    error StillUnbonding(uint256 releasedAt, uint256 found);
    /// @notice A slash names its verdict.
    error VerdictMissing();
    /// @notice This verdict about the account was carried out before.
    error CarriedOut(address account, bytes32 verdict);

    /// @param token_ The token of the bonds.
    /// @param unbondingDelay_ How long unbonding takes, in seconds, from 1 to a year.
    /// @param admin Who names slashers. Whoever slashes takes deposits, so it should be a timelock.
    constructor(IERC20 token_, uint64 unbondingDelay_, address admin) {
        if (unbondingDelay_ == 0 || unbondingDelay_ > MAX_UNBONDING_DELAY) {
            revert DelayOutOfRange(1, MAX_UNBONDING_DELAY, unbondingDelay_);
        }
        token = token_;
        unbondingDelay = unbondingDelay_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Adds `amount` of the caller's tokens to the bond of `account`, which alone can unbond it.
    function deposit(address account, uint256 amount) external nonReentrant {
        if (amount == 0) revert NoAmount();
        if (account == address(0) || account == address(this)) revert BadAccount(account);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert WrongAmountReceived(amount, received);
        _deposits[account].bonded += amount;
        emit Deposited(account, msg.sender, amount);
    }

    /// @notice Lets `amount` of the caller's bond go. What is on its way out already waits anew, together with it.
    function unbond(uint256 amount) external {
        if (amount == 0) revert NoAmount();
        Deposit storage bond = _deposits[msg.sender];
        if (amount > bond.bonded) revert BondTooLow(bond.bonded, amount);
        uint64 releasedAt = uint64(block.timestamp) + unbondingDelay;
        bond.bonded -= amount;
        bond.unbonding += amount;
        bond.releasedAt = releasedAt;
        emit Unbonding(msg.sender, amount, releasedAt);
    }

    /// @notice Pays `account` what it unbonded, once its wait is over. Anyone may ask.
    function withdraw(address account) external nonReentrant {
        Deposit storage bond = _deposits[account];
        uint256 amount = bond.unbonding;
        if (amount == 0) revert NoAmount();
        if (block.timestamp < bond.releasedAt) revert StillUnbonding(bond.releasedAt, block.timestamp);
        bond.unbonding = 0;
        emit Withdrawn(account, amount);
        token.safeTransfer(account, amount);
    }

    /// @notice Takes `amount` of the bond of `account`, or what there is of it, for `destination`: first of what stands,
    /// then of what is on its way out.
    /// @param account Who loses.
    /// @param amount What the verdict takes, in base units.
    /// @param verdict The digest of the verdict. It is carried out once for each account.
    /// @param destination Who can collect it.
    /// @return taken What was taken.
    function slash(address account, uint256 amount, bytes32 verdict, address destination)
        external
        onlyRole(SLASHER_ROLE)
        returns (uint256 taken)
    {
        if (amount == 0) revert NoAmount();
        if (verdict == 0) revert VerdictMissing();
        if (destination == address(0) || destination == address(this)) revert BadAccount(destination);
        if (_carriedOut[account][verdict]) revert CarriedOut(account, verdict);
        _carriedOut[account][verdict] = true;
        Deposit storage bond = _deposits[account];
        uint256 ofBonded = amount < bond.bonded ? amount : bond.bonded;
        uint256 rest = amount - ofBonded;
        uint256 ofUnbonding = rest < bond.unbonding ? rest : bond.unbonding;
        bond.bonded -= ofBonded;
        bond.unbonding -= ofUnbonding;
        taken = ofBonded + ofUnbonding;
        owed[destination] += taken;
        emit Slashed(account, verdict, destination, taken, amount - taken);
    }

    /// @notice Pays `account` what slashes put aside for it. Anyone may ask.
    function collect(address account) external nonReentrant {
        uint256 amount = owed[account];
        if (amount == 0) revert NoAmount();
        owed[account] = 0;
        emit Collected(account, amount);
        token.safeTransfer(account, amount);
    }

    /// @notice The bond of `account`.
    function bondOf(address account) external view returns (Deposit memory) {
        return _deposits[account];
    }

    /// @notice Whether the verdict about `account` was carried out.
    function isCarriedOut(address account, bytes32 verdict) external view returns (bool) {
        return _carriedOut[account][verdict];
    }
}
