// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title The token of a network
/// @notice Customers pay services with it, providers earn it. Minters together mint at most `mintCap`, ever.
/// @dev Burning does not make room under `mintCap`: the cap bounds what was ever minted, not what circulates.
contract NetworkToken is ERC20, ERC20Burnable, ERC20Permit, AccessControl {
    /// @notice Whoever holds this role may mint, up to what the cap leaves.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");

    /// @notice The most that minters may ever mint, in base units. The initial supply does not count.
    uint256 public immutable mintCap;

    /// @notice What minters have minted so far, in base units. Never falls.
    uint256 public totalMinted;

    /// @notice Minting `requested` would pass the cap, which leaves only `available`.
    error MintCapExceeded(uint256 available, uint256 requested);

    /// @param name_ The token's name, also of its EIP-712 domain.
    /// @param symbol_ The token's symbol.
    /// @param admin Who grants and revokes roles.
    /// @param initialHolder Who receives the initial supply.
    /// @param initialSupply What exists before any minter mints, in base units.
    /// @param mintCap_ The most that minters may ever mint, in base units.
    constructor(
        string memory name_,
        string memory symbol_,
        address admin,
        address initialHolder,
        uint256 initialSupply,
        uint256 mintCap_
    ) ERC20(name_, symbol_) ERC20Permit(name_) {
        mintCap = mintCap_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        if (initialSupply > 0) _mint(initialHolder, initialSupply);
    }

    /// @notice Mints `amount` to `to`.
    function mint(address to, uint256 amount) external onlyRole(MINTER_ROLE) {
        uint256 available = mintCap - totalMinted;
        if (amount > available) revert MintCapExceeded(available, amount);
        totalMinted += amount;
        _mint(to, amount);
    }

    /// @notice What `minter` could mint now: zero without the role, otherwise what the cap leaves.
    /// @dev Lets a minter ask instead of catching a failure, which a caller could provoke by withholding gas.
    function mintable(address minter) external view returns (uint256) {
        return hasRole(MINTER_ROLE, minter) ? mintCap - totalMinted : 0;
    }
}
