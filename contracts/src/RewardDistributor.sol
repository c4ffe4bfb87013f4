// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {NetworkToken} from "./NetworkToken.sol";
import {ServiceCredits} from "./ServiceCredits.sol";
import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What pays the providers, epoch by epoch
/// @notice Each epoch escrows what it may pay at most, when it starts. After it ended, anyone with a bond proposes what
/// to pay: the root of a Merkle tree over (account, amount). A root that nobody disputes within the challenge window
/// becomes final and can be claimed. A disputed one goes to the resolver; every wait has an end that anyone can call.
/// @dev Epochs never touch each other's escrow, so a false root costs at most what its epoch escrowed. Nothing loops
/// over candidates, challengers or epochs. Tokens that take a fee on transfer are not supported.
///
/// Terms. A candidate is a proposed root with what it commits to. A round is one window with at most one dispute; a
/// candidate takes part in the rounds it was proposed in. A void round is followed by another. After `maxVoids` of them
/// the resolver is out, and stake decides the last round, each stake weighing its amount times the time for which it was
/// committed. A tie there starts a new generation: every bond of the old one is refunded, and the epoch is proposed anew.
///
/// A pause stops the clock of windows and disputes, so each deadline below means one that a pause has pushed back.
contract RewardDistributor is AccessControl, ReentrancyGuardTransient {
    using SafeERC20 for NetworkToken;

    /// @notice Whoever holds this role rules on disputes.
    bytes32 public constant RESOLVER_ROLE = keccak256("RESOLVER_ROLE");

    /// @notice Whoever holds this role may pause.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    /// @notice The longest pause; it ends on its own.
    uint64 public constant MAX_PAUSE = 7 days;

    /// @notice How long after a pause ended no other can begin.
    uint64 public constant PAUSE_REARM = 30 days;

    /// @notice The longest challenge window, and the longest dispute.
    /// @dev Not above `PAUSE_REARM`: that two pauses never touch the same wait keeps the clock to one addition.
    uint64 public constant MAX_WAIT = 30 days;

    uint256 private constant BPS = 10_000;

    /// @notice Everything that is fixed at deployment.
    /// @param token What is paid. The distributor needs its `MINTER_ROLE`.
    /// @param credits Where customers pay. The distributor needs its `DISTRIBUTOR_ROLE`.
    /// @param genesis When epoch 0 starts, in seconds since the Unix epoch.
    /// @param epochLength How long an epoch is, in seconds.
    /// @param initialEmission The most that one epoch mints before the first halving, in base units.
    /// @param halvingInterval After how many epochs the emission halves; 0 for never.
    /// @param mintPerBurnBps How much may be minted per token burned, in basis points, below 10,000.
    /// @param maxRevenuePerEpoch The most that one epoch pays from service revenue, in base units.
    /// @param challengeWindow How long a proposal can be disputed, in seconds.
    /// @param evidencePeriod How long a dispute is open to rivals, challengers and evidence, in seconds.
    /// @param resolutionPeriod How long the resolver then has, in seconds.
    /// @param proposalBond What a proposal puts at stake, in base units.
    /// @param challengeBond What a challenge puts at stake, in base units.
    /// @param maxVoids After how many void rounds stake decides instead of the resolver.
    /// @param resolver Who rules on disputes.
    /// @param guardian Who may pause.
    /// @param admin Who grants and revokes roles; a timelock, since it can name another resolver.
    struct Config {
        NetworkToken token;
        ServiceCredits credits;
        uint64 genesis;
        uint64 epochLength;
        uint256 initialEmission;
        uint64 halvingInterval;
        uint16 mintPerBurnBps;
        uint256 maxRevenuePerEpoch;
        uint64 challengeWindow;
        uint64 evidencePeriod;
        uint64 resolutionPeriod;
        uint256 proposalBond;
        uint256 challengeBond;
        uint8 maxVoids;
        address resolver;
        address guardian;
        address admin;
    }

    /// @notice What a proposer says an epoch should pay, and what shows it.
    /// @param root The OpenZeppelin `standard-v1` root over (address account, uint256 amount).
    /// @param total The sum of the leaves, in base units.
    /// @param revenue The part of `total` paid from service revenue; the rest is minted.
    /// @param bundleDigest The SHA-256 of the bundle from which anyone can recompute the rest.
    /// @param bundleLength The bundle's length, in bytes.
    /// @param journalRoot The root of the journal's Merkle log at the epoch's end.
    /// @param journalSize The number of entries under `journalRoot`.
    /// @param previousDigest The digest of the bundle that this one continues.
    struct Candidate {
        bytes32 root;
        uint256 total;
        uint256 revenue;
        bytes32 bundleDigest;
        uint64 bundleLength;
        bytes32 journalRoot;
        uint64 journalSize;
        bytes32 previousDigest;
    }

    /// @notice One payout to take.
    /// @param epoch The epoch that pays.
    /// @param account Who is paid.
    /// @param amount How much, in base units.
    /// @param proof The siblings from the leaf to the root.
    struct Claim {
        uint256 epoch;
        address account;
        uint256 amount;
        bytes32[] proof;
    }

    /// @notice Where an epoch is.
    /// @dev Unstarted: escrows nothing yet. Awaiting: no candidate in this round. Open: one, and its window runs.
    /// Contested: in dispute. Final: its root is fixed for good.
    enum Status {
        Unstarted,
        Awaiting,
        Open,
        Contested,
        Final
    }

    /// @notice Where an epoch is, for readers.
    /// @param status Where it is.
    /// @param round Which round it is in, from 0.
    /// @param generation How many last rounds ended in a tie.
    /// @param voids How many rounds of this generation were void.
    /// @param lastRound Whether stake decides this round, not the resolver.
    /// @param openedAt When the round's first candidate came; 0 when none has.
    /// @param contestedAt When the dispute began; 0 when there is none.
    /// @param deadline While Open, from when `finalize` works; while Contested, from when `timeout` works; otherwise 0.
    /// @param leading While Open, the one candidate; while Contested, the round's first or, in a last round, the one
    /// with the most weight; when Final, the final one.
    struct EpochState {
        Status status;
        uint32 round;
        uint32 generation;
        uint8 voids;
        bool lastRound;
        uint64 openedAt;
        uint64 contestedAt;
        uint64 deadline;
        bytes32 leading;
    }

    struct Epoch {
        Status status;
        bool tied;
        uint8 voids;
        uint32 round;
        uint32 generation;
        uint64 openedAt;
        uint64 contestedAt;
        bytes32 leading;
        uint256 leadingWeight;
        uint256 mintCap;
        uint256 revenueCap;
        uint256 claimed;
        mapping(address account => bool) isClaimed;
    }

    /// @dev A candidate's part in one generation of an epoch. It is in the present round when `round` says so. `rounds`
    /// is one more than the latest round in which an account challenged it.
    struct Entry {
        address proposer;
        uint32 round;
        address firstChallenger;
        uint256 stake;
        uint256 weight;
        mapping(address account => uint256) backing;
        mapping(address account => uint256) opposing;
        mapping(address account => uint256) rounds;
    }

    /// @notice What is paid.
    NetworkToken public immutable token;
    /// @notice Where customers pay.
    ServiceCredits public immutable credits;
    /// @notice When epoch 0 starts, in seconds since the Unix epoch.
    uint64 public immutable genesis;
    /// @notice How long an epoch is, in seconds.
    uint64 public immutable epochLength;
    /// @notice The most that one epoch mints before the first halving, in base units.
    uint256 public immutable initialEmission;
    /// @notice After how many epochs the emission halves; 0 for never.
    uint64 public immutable halvingInterval;
    /// @notice How much may be minted per token burned, in basis points.
    uint16 public immutable mintPerBurnBps;
    /// @notice The most that one epoch pays from service revenue, in base units.
    uint256 public immutable maxRevenuePerEpoch;
    /// @notice How long a proposal can be disputed, in seconds.
    uint64 public immutable challengeWindow;
    /// @notice How long a dispute is open to rivals, challengers and evidence, in seconds.
    uint64 public immutable evidencePeriod;
    /// @notice How long the resolver then has, in seconds.
    uint64 public immutable resolutionPeriod;
    /// @notice What a proposal puts at stake, in base units.
    uint256 public immutable proposalBond;
    /// @notice What a challenge puts at stake, in base units.
    uint256 public immutable challengeBond;
    /// @notice After how many void rounds stake decides instead of the resolver.
    uint8 public immutable maxVoids;

    /// @notice The epoch that `startEpoch` starts next.
    uint256 public nextEpoch;

    /// @notice What epochs escrowed of the emission and did not give back, in base units.
    uint256 public mintedNet;

    /// @notice What was minted, not paid out, and is used before anything else is minted, in base units.
    uint256 public carry;

    /// @notice Bonds and stakes held here, settled or not, in base units.
    uint256 public bonded;

    /// @notice What an account can withdraw of settled bonds, in base units.
    mapping(address account => uint256) public owed;

    /// @notice When the latest pause began, in seconds since the Unix epoch; 0 when there was none.
    uint64 public pausedAt;

    /// @notice When the latest pause ends or ended.
    uint64 public pausedUntil;

    mapping(uint256 epoch => Epoch) private _epochs;
    mapping(bytes32 candidateId => Candidate) private _candidates;
    mapping(uint256 epoch => mapping(uint32 generation => mapping(bytes32 candidateId => Entry))) private _entries;

    /// @notice The epoch escrowed what it may pay at most.
    event EpochStarted(uint256 indexed epoch, uint256 mintCap, uint256 revenueCap);
    /// @notice A candidate came for the first time in its generation.
    event RootProposed(
        uint256 indexed epoch, bytes32 indexed candidateId, address indexed proposer, Candidate candidate
    );
    /// @notice A candidate of an earlier round was proposed again.
    event RootRevived(uint256 indexed epoch, bytes32 indexed candidateId, address indexed proposer, uint32 round);
    /// @notice A challenger disputed a candidate.
    event RootChallenged(uint256 indexed epoch, bytes32 indexed candidateId, address indexed challenger);
    /// @notice The round's one dispute began.
    event EpochContested(uint256 indexed epoch, uint32 round);
    /// @notice Somebody staked `amount` on a candidate in the last round, which gave it `weight` in all.
    event RootSupported(
        uint256 indexed epoch, bytes32 indexed candidateId, address indexed supporter, uint256 amount, uint256 weight
    );
    /// @notice The round ended without a root.
    event RootVoided(uint256 indexed epoch, uint32 round, uint8 voids);
    /// @notice The last round ended in a tie: the bonds of this generation are refunded.
    event RootUndecided(uint256 indexed epoch, uint32 round, uint32 generation);
    /// @notice The epoch's root is fixed for good.
    event RootFinal(uint256 indexed epoch, bytes32 indexed root, bytes32 bundleDigest, uint256 total, uint256 revenue);
    /// @notice What the epoch did not pay went back: to the carry and to the held revenue.
    event EscrowReturned(uint256 indexed epoch, uint256 mint, uint256 revenue);
    /// @notice The epoch paid.
    event Claimed(uint256 indexed epoch, address indexed account, uint256 amount);
    /// @notice What an account had staked on or against a candidate was settled.
    event BondSettled(
        uint256 indexed epoch,
        bytes32 indexed candidateId,
        address indexed account,
        uint256 returned,
        uint256 burned,
        address beneficiary,
        uint256 awarded
    );
    /// @notice Settled bonds left.
    event Withdrawn(address indexed account, uint256 amount);
    /// @notice The clock stands until then, at most.
    event Paused(address indexed guardian, uint64 until);
    /// @notice The clock runs again before its time.
    event Unpaused(address indexed guardian);

    /// @notice A parameter outside its bounds.
    error OutOfRange(string parameter, uint256 minimum, uint256 maximum, uint256 found);
    /// @notice An address that must not be zero.
    error AddressMissing(string parameter);
    /// @notice Customers pay with another token than the one that is paid out.
    error TokenMismatch(address expected, address found);
    /// @notice This waits for the end of the pause.
    error PausedUntil(uint64 until);
    /// @notice No pause to end.
    error NotPaused();
    /// @notice Not before then, in seconds since the Unix epoch.
    error TooEarly(uint256 notBefore, uint256 found);
    /// @notice Only before then, in seconds since the Unix epoch.
    error TooLate(uint256 before, uint256 found);
    /// @notice Only epochs before `nextEpoch` have started.
    error EpochNotStarted(uint256 epoch, uint256 nextEpoch);
    /// @notice The epoch is not where the action needs it to be.
    error WrongStatus(uint256 epoch, Status expected, Status found);
    /// @notice A final root stays.
    error AlreadyFinal(uint256 epoch, bytes32 candidateId);
    /// @notice A part cannot exceed the whole.
    error RevenueExceedsTotal(uint256 total, uint256 revenue);
    /// @notice More revenue than the epoch escrowed.
    error RevenueExceedsCap(uint256 epoch, uint256 cap, uint256 found);
    /// @notice More emission than the epoch escrowed.
    error MintExceedsCap(uint256 epoch, uint256 cap, uint256 found);
    /// @notice The candidate was not proposed in the present round.
    error NotInRound(uint256 epoch, uint32 round, bytes32 candidateId);
    /// @notice One challenge per candidate, challenger and round.
    error AlreadyChallenged(uint256 epoch, bytes32 candidateId, address challenger);
    /// @notice After that many void rounds, stake decides.
    error ResolverExcluded(uint256 epoch, uint8 maxVoids, uint8 voids);
    /// @notice Stake decides only after that many void rounds.
    error NotLastRound(uint256 epoch, uint8 maxVoids, uint8 voids);
    /// @notice A stake of nothing.
    error NothingToStake();
    /// @notice The account has no unsettled stake there.
    error NothingToSettle(uint256 epoch, uint32 generation, bytes32 candidateId, address account);
    /// @notice The account has no settled bond to withdraw.
    error NothingOwed(address account);
    /// @notice The proof leads to another root.
    error BadProof(uint256 epoch, address account, bytes32 expected, bytes32 found);
    /// @notice The epoch has paid this account.
    error AlreadyClaimed(uint256 epoch, address account);
    /// @notice The leaves sum to more than the candidate said.
    error TotalExceeded(uint256 epoch, uint256 total, uint256 claimed);

    modifier whenRunning() {
        if (paused()) revert PausedUntil(pausedUntil);
        _;
    }

    /// @param config Everything that is fixed at deployment.
    constructor(Config memory config) {
        if (address(config.token) == address(0)) revert AddressMissing("token");
        if (address(config.credits) == address(0)) revert AddressMissing("credits");
        if (config.resolver == address(0)) revert AddressMissing("resolver");
        if (config.guardian == address(0)) revert AddressMissing("guardian");
        if (config.admin == address(0)) revert AddressMissing("admin");
        address paidWith = address(config.credits.token());
        if (paidWith != address(config.token)) revert TokenMismatch(address(config.token), paidWith);
        _requireRange("epochLength", 1, 366 days, config.epochLength);
        // Above every token that can exist the bound means nothing, and below it no sum can overflow.
        _requireRange("initialEmission", 0, type(uint128).max, config.initialEmission);
        _requireRange("mintPerBurnBps", 0, BPS - 1, config.mintPerBurnBps);
        _requireRange("challengeWindow", 1, MAX_WAIT, config.challengeWindow);
        _requireRange("evidencePeriod", 1, MAX_WAIT - 1, config.evidencePeriod);
        _requireRange("resolutionPeriod", 1, MAX_WAIT - config.evidencePeriod, config.resolutionPeriod);
        _requireRange("proposalBond", 1, type(uint128).max, config.proposalBond);
        _requireRange("challengeBond", 1, type(uint128).max, config.challengeBond);
        _requireRange("maxVoids", 1, 10, config.maxVoids);

        token = config.token;
        credits = config.credits;
        genesis = config.genesis;
        epochLength = config.epochLength;
        initialEmission = config.initialEmission;
        halvingInterval = config.halvingInterval;
        mintPerBurnBps = config.mintPerBurnBps;
        maxRevenuePerEpoch = config.maxRevenuePerEpoch;
        challengeWindow = config.challengeWindow;
        evidencePeriod = config.evidencePeriod;
        resolutionPeriod = config.resolutionPeriod;
        proposalBond = config.proposalBond;
        challengeBond = config.challengeBond;
        maxVoids = config.maxVoids;

        _grantRole(DEFAULT_ADMIN_ROLE, config.admin);
        _grantRole(RESOLVER_ROLE, config.resolver);
        _grantRole(GUARDIAN_ROLE, config.guardian);
    }

    // ---- Epochs ------------------------------------------------------------------------------------------------

    /// @notice Starts the next epoch: escrows what it may pay at most. Anyone may call it, once its time has come.
    /// @return epoch The epoch that started.
    function startEpoch() external nonReentrant whenRunning returns (uint256 epoch) {
        epoch = nextEpoch;
        uint256 start = genesis + epoch * epochLength;
        if (block.timestamp < start) revert TooEarly(start, block.timestamp);

        uint256 allowance = Math.saturatingSub(Math.mulDiv(credits.totalBurned(), mintPerBurnBps, BPS), mintedNet);
        uint256 mintCap = Math.min(Math.min(schedule(epoch), allowance), carry + token.mintable(address(this)));
        uint256 revenueCap = Math.min(credits.held(), maxRevenuePerEpoch);
        uint256 carried = Math.min(carry, mintCap);

        nextEpoch = epoch + 1;
        mintedNet += mintCap;
        carry -= carried;
        Epoch storage e = _epochs[epoch];
        e.status = Status.Awaiting;
        e.mintCap = mintCap;
        e.revenueCap = revenueCap;
        emit EpochStarted(epoch, mintCap, revenueCap);

        if (mintCap > carried) token.mint(address(this), mintCap - carried);
        if (revenueCap > 0) credits.release(revenueCap);
    }

    // ---- Proposals and disputes --------------------------------------------------------------------------------

    /// @notice Proposes what an ended epoch should pay, and puts the caller's bond at stake for it.
    /// @dev A second candidate in a round disputes the first. A candidate that is in the round already is left alone and
    /// takes no bond. One from an earlier round keeps its bond when its proposer proposes it again; anybody else adds
    /// a bond, since otherwise a stranger's lost candidate would be a free dispute.
    /// @param epoch The epoch.
    /// @param candidate_ What it should pay.
    /// @return id The candidate's id.
    function propose(uint256 epoch, Candidate calldata candidate_) external nonReentrant returns (bytes32 id) {
        Epoch storage e = _startedEpoch(epoch);
        if (e.status == Status.Final) revert AlreadyFinal(epoch, e.leading);
        uint256 end = genesis + (epoch + 1) * epochLength;
        if (block.timestamp < end) revert TooEarly(end, block.timestamp);
        _requireWithinCaps(epoch, e, candidate_);

        id = candidateId(epoch, candidate_);
        Entry storage entry = _entries[epoch][e.generation][id];
        if (_inRound(e, entry)) return id;
        if (e.status != Status.Awaiting) _requireJoinable(e);

        uint256 bond;
        if (entry.proposer == address(0)) {
            entry.proposer = msg.sender;
            _candidates[id] = candidate_;
            bond = proposalBond;
            emit RootProposed(epoch, id, msg.sender, candidate_);
        } else {
            if (entry.proposer != msg.sender) bond = proposalBond;
            emit RootRevived(epoch, id, msg.sender, e.round);
        }
        entry.round = e.round;
        if (bond > 0) _back(entry, bond);

        if (e.status == Status.Awaiting) {
            e.status = Status.Open;
            e.openedAt = uint64(block.timestamp);
            e.leading = id;
        } else {
            if (e.status == Status.Open) _contest(epoch, e);
            if (_isLastRound(e)) _weigh(e, id, entry, entry.stake);
        }

        if (bond > 0) token.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// @notice Disputes a candidate of the present round, and puts the caller's bond at stake against it.
    /// @dev Every challenge and every rival of a round shares its one dispute, which none of them prolongs. A challenge
    /// counts in its round only, so that delaying a candidate again costs another bond.
    function challenge(uint256 epoch, bytes32 id) external nonReentrant {
        Epoch storage e = _startedEpoch(epoch);
        Entry storage entry = _roundEntry(epoch, e, id);
        _requireJoinable(e);
        uint256 rounds = uint256(e.round) + 1;
        if (entry.rounds[msg.sender] == rounds) revert AlreadyChallenged(epoch, id, msg.sender);

        entry.rounds[msg.sender] = rounds;
        entry.opposing[msg.sender] += challengeBond;
        if (entry.firstChallenger == address(0)) entry.firstChallenger = msg.sender;
        bonded += challengeBond;
        emit RootChallenged(epoch, id, msg.sender);
        if (e.status == Status.Open) _contest(epoch, e);

        token.safeTransferFrom(msg.sender, address(this), challengeBond);
    }

    /// @notice Stakes `amount` on a candidate in the last round, where weight decides.
    /// @dev A stake weighs its amount times the seconds left for joining, so that one placed in the last block, when
    /// nobody can answer any more, weighs next to nothing.
    function support(uint256 epoch, bytes32 id, uint256 amount) external nonReentrant {
        Epoch storage e = _startedEpoch(epoch);
        if (e.status != Status.Contested) revert WrongStatus(epoch, Status.Contested, e.status);
        if (!_isLastRound(e)) revert NotLastRound(epoch, maxVoids, e.voids);
        Entry storage entry = _roundEntry(epoch, e, id);
        _requireJoinable(e);
        if (amount == 0) revert NothingToStake();

        _back(entry, amount);
        _weigh(e, id, entry, amount);
        emit RootSupported(epoch, id, msg.sender, amount, entry.weight);

        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Makes a candidate final whose window ended without a dispute. Anyone may call it.
    function finalize(uint256 epoch) external nonReentrant whenRunning {
        Epoch storage e = _startedEpoch(epoch);
        if (e.status != Status.Open) revert WrongStatus(epoch, Status.Open, e.status);
        _requireFrom(_deadline(e.openedAt, challengeWindow));
        _finish(epoch, e, e.leading);
    }

    /// @notice Rules on a dispute: the candidate that is right, or 0 for none of them.
    function resolve(uint256 epoch, bytes32 id) external nonReentrant onlyRole(RESOLVER_ROLE) {
        Epoch storage e = _startedEpoch(epoch);
        if (e.status != Status.Contested) revert WrongStatus(epoch, Status.Contested, e.status);
        if (_isLastRound(e)) revert ResolverExcluded(epoch, maxVoids, e.voids);
        _requireFrom(_deadline(e.contestedAt, evidencePeriod));
        _requireBefore(_deadline(e.contestedAt, evidencePeriod + resolutionPeriod));

        if (id == 0) {
            _void(epoch, e);
        } else {
            if (paused()) revert PausedUntil(pausedUntil);
            _roundEntry(epoch, e, id);
            _finish(epoch, e, id);
        }
    }

    /// @notice Ends a dispute whose time is up. Anyone may call it.
    /// @dev Without a ruling the round is void. A last round is won by the candidate with the most weight; on a tie the
    /// escrow stays, the bonds can be settled in full, and the epoch can be proposed anew.
    function timeout(uint256 epoch) external nonReentrant {
        Epoch storage e = _startedEpoch(epoch);
        if (e.status != Status.Contested) revert WrongStatus(epoch, Status.Contested, e.status);
        if (!_isLastRound(e)) {
            _requireFrom(_deadline(e.contestedAt, evidencePeriod + resolutionPeriod));
            _void(epoch, e);
            return;
        }
        _requireFrom(_deadline(e.contestedAt, evidencePeriod));
        if (e.tied) {
            emit RootUndecided(epoch, e.round, e.generation);
            e.generation++;
            _nextRound(e);
        } else {
            if (paused()) revert PausedUntil(pausedUntil);
            _finish(epoch, e, e.leading);
        }
    }

    // ---- Bonds -------------------------------------------------------------------------------------------------

    /// @notice Settles what an account staked on and against a candidate, once the epoch is final, or once the
    /// generation ended in a tie. Anyone may call it; `withdraw` then pays.
    /// @dev Who backed the final candidate, or opposed another one, gets everything back. Who backed another one, or
    /// opposed the final one, loses all of it: half is burned, so that disputing with oneself costs at least that. The
    /// other half goes to the first challenger of the losing candidate, or to the final candidate's proposer.
    function settleBond(uint256 epoch, uint32 generation, bytes32 id, address account) external nonReentrant {
        Epoch storage e = _startedEpoch(epoch);
        bool decided = generation >= e.generation;
        if (decided && e.status != Status.Final) revert WrongStatus(epoch, Status.Final, e.status);

        Entry storage entry = _entries[epoch][generation][id];
        uint256 backing = entry.backing[account];
        uint256 opposing = entry.opposing[account];
        if (backing + opposing == 0) revert NothingToSettle(epoch, generation, id, account);
        entry.backing[account] = 0;
        entry.opposing[account] = 0;

        uint256 lost;
        address beneficiary;
        if (decided) {
            bool won = id == e.leading;
            lost = won ? opposing : backing;
            beneficiary = won || entry.firstChallenger == address(0)
                ? _entries[epoch][generation][e.leading].proposer
                : entry.firstChallenger;
        }
        uint256 returned = backing + opposing - lost;
        uint256 awarded = lost / 2;
        uint256 burned = lost - awarded;
        owed[account] += returned;
        if (awarded > 0) owed[beneficiary] += awarded;
        bonded -= burned;
        emit BondSettled(epoch, id, account, returned, burned, beneficiary, awarded);

        if (burned > 0) token.burn(burned);
    }

    /// @notice Pays an account what it is owed of settled bonds. Anyone may call it.
    function withdraw(address account) external nonReentrant returns (uint256 amount) {
        amount = owed[account];
        if (amount == 0) revert NothingOwed(account);
        owed[account] = 0;
        bonded -= amount;
        emit Withdrawn(account, amount);
        token.safeTransfer(account, amount);
    }

    // ---- Claims ------------------------------------------------------------------------------------------------

    /// @notice Pays payouts of final epochs. Anyone may call it for anyone; one that cannot be paid fails them all.
    function claim(Claim[] calldata claims) external nonReentrant {
        for (uint256 i = 0; i < claims.length; ++i) {
            _claim(claims[i]);
        }
    }

    function _claim(Claim calldata c) private {
        Epoch storage e = _startedEpoch(c.epoch);
        if (e.status != Status.Final) revert WrongStatus(c.epoch, Status.Final, e.status);
        if (e.isClaimed[c.account]) revert AlreadyClaimed(c.epoch, c.account);

        Candidate storage final_ = _candidates[e.leading];
        // Hashed twice, so that an inner node of 64 bytes never passes for a leaf.
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(c.account, c.amount))));
        bytes32 root = MerkleProof.processProofCalldata(c.proof, leaf);
        if (root != final_.root) revert BadProof(c.epoch, c.account, final_.root, root);
        uint256 claimed = e.claimed + c.amount;
        if (claimed > final_.total) revert TotalExceeded(c.epoch, final_.total, claimed);

        e.isClaimed[c.account] = true;
        e.claimed = claimed;
        emit Claimed(c.epoch, c.account, c.amount);
        token.safeTransfer(c.account, c.amount);
    }

    // ---- Pause -------------------------------------------------------------------------------------------------

    /// @notice Stops the clock for at most `MAX_PAUSE`: no epoch starts and no root becomes final meanwhile. Proposals,
    /// challenges, and claims on final roots go on.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        if (pausedAt != 0) _requireFrom(pausedUntil + PAUSE_REARM);
        pausedAt = uint64(block.timestamp);
        pausedUntil = uint64(block.timestamp) + MAX_PAUSE;
        emit Paused(msg.sender, pausedUntil);
    }

    /// @notice Ends a pause before its time. The next one still has to wait `PAUSE_REARM`.
    function unpause() external onlyRole(GUARDIAN_ROLE) {
        if (!paused()) revert NotPaused();
        pausedUntil = uint64(block.timestamp);
        emit Unpaused(msg.sender);
    }

    /// @notice Whether the clock stands.
    function paused() public view returns (bool) {
        return block.timestamp < pausedUntil;
    }

    // ---- Views -------------------------------------------------------------------------------------------------

    /// @notice The most that `epoch` mints, in base units: halved every `halvingInterval` epochs.
    function schedule(uint256 epoch) public view returns (uint256) {
        return halvingInterval == 0 ? initialEmission : initialEmission >> (epoch / halvingInterval);
    }

    /// @notice What `epoch` escrowed of emission and of service revenue, in base units.
    function caps(uint256 epoch) external view returns (uint256 mintCap, uint256 revenueCap) {
        return (_epochs[epoch].mintCap, _epochs[epoch].revenueCap);
    }

    /// @notice Where `epoch` is.
    function epochState(uint256 epoch) external view returns (EpochState memory state) {
        Epoch storage e = _epochs[epoch];
        state = EpochState({
            status: e.status,
            round: e.round,
            generation: e.generation,
            voids: e.voids,
            lastRound: e.status != Status.Unstarted && _isLastRound(e),
            openedAt: e.openedAt,
            contestedAt: e.contestedAt,
            deadline: 0,
            leading: e.leading
        });
        if (e.status == Status.Open) {
            state.deadline = _deadline(e.openedAt, challengeWindow);
        } else if (e.status == Status.Contested) {
            uint64 wait = state.lastRound ? evidencePeriod : evidencePeriod + resolutionPeriod;
            state.deadline = _deadline(e.contestedAt, wait);
        }
    }

    /// @notice The id of a candidate for `epoch`.
    function candidateId(uint256 epoch, Candidate calldata candidate_) public pure returns (bytes32) {
        return keccak256(abi.encode(epoch, candidate_));
    }

    /// @notice The candidate with this id; all zero when it was never proposed.
    function candidate(bytes32 id) external view returns (Candidate memory) {
        return _candidates[id];
    }

    /// @notice A candidate's part in a generation of an epoch.
    /// @return proposer Who proposed it first; zero when nobody did.
    /// @return firstChallenger Who challenged it first; zero when nobody did.
    /// @return round The latest round it was proposed in.
    /// @return stake What is staked on it, in base units.
    /// @return weight What that weighs in the last round, in base units times seconds.
    function entryOf(uint256 epoch, uint32 generation, bytes32 id)
        external
        view
        returns (address proposer, address firstChallenger, uint32 round, uint256 stake, uint256 weight)
    {
        Entry storage entry = _entries[epoch][generation][id];
        return (entry.proposer, entry.firstChallenger, entry.round, entry.stake, entry.weight);
    }

    /// @notice What an account has unsettled on and against a candidate, in base units.
    function stakeOf(uint256 epoch, uint32 generation, bytes32 id, address account)
        external
        view
        returns (uint256 backing, uint256 opposing)
    {
        Entry storage entry = _entries[epoch][generation][id];
        return (entry.backing[account], entry.opposing[account]);
    }

    /// @notice The final root of `epoch`; zero while there is none.
    function finalRoot(uint256 epoch) external view returns (bytes32) {
        Epoch storage e = _epochs[epoch];
        return e.status == Status.Final ? _candidates[e.leading].root : bytes32(0);
    }

    /// @notice Whether `epoch` has paid `account`.
    function isClaimed(uint256 epoch, address account) external view returns (bool) {
        return _epochs[epoch].isClaimed[account];
    }

    /// @notice What `epoch` has paid so far, in base units.
    function claimedTotal(uint256 epoch) external view returns (uint256) {
        return _epochs[epoch].claimed;
    }

    // ---- Helpers -----------------------------------------------------------------------------------------------

    function _finish(uint256 epoch, Epoch storage e, bytes32 id) private {
        Candidate storage final_ = _candidates[id];
        uint256 total = final_.total;
        uint256 revenue = final_.revenue;
        uint256 unspentMint = e.mintCap - (total - revenue);
        uint256 unspentRevenue = e.revenueCap - revenue;

        e.status = Status.Final;
        e.leading = id;
        carry += unspentMint;
        mintedNet -= unspentMint;
        emit RootFinal(epoch, final_.root, final_.bundleDigest, total, revenue);
        emit EscrowReturned(epoch, unspentMint, unspentRevenue);

        if (unspentRevenue > 0) {
            token.forceApprove(address(credits), unspentRevenue);
            credits.restore(unspentRevenue);
        }
    }

    function _void(uint256 epoch, Epoch storage e) private {
        e.voids++;
        emit RootVoided(epoch, e.round, e.voids);
        _nextRound(e);
    }

    function _nextRound(Epoch storage e) private {
        e.status = Status.Awaiting;
        e.round++;
        e.openedAt = 0;
        e.contestedAt = 0;
        e.leading = 0;
        e.leadingWeight = 0;
    }

    function _contest(uint256 epoch, Epoch storage e) private {
        e.status = Status.Contested;
        e.contestedAt = uint64(block.timestamp);
        emit EpochContested(epoch, e.round);
        if (_isLastRound(e)) {
            Entry storage first = _entries[epoch][e.generation][e.leading];
            _weigh(e, e.leading, first, first.stake);
        }
    }

    function _back(Entry storage entry, uint256 amount) private {
        entry.stake += amount;
        entry.backing[msg.sender] += amount;
        bonded += amount;
    }

    /// @dev Keeps the heaviest candidate known, so that ending the round needs no loop. Weights only grow.
    function _weigh(Epoch storage e, bytes32 id, Entry storage entry, uint256 amount) private {
        // While the clock stands, so does the time that is left.
        uint256 from = paused() ? pausedUntil : block.timestamp;
        uint256 weight = entry.weight + amount * (_deadline(e.contestedAt, evidencePeriod) - from);
        entry.weight = weight;
        if (weight > e.leadingWeight) {
            e.leading = id;
            e.leadingWeight = weight;
            e.tied = false;
        } else if (weight == e.leadingWeight) {
            e.tied = true;
        }
    }

    function _isLastRound(Epoch storage e) private view returns (bool) {
        return e.voids >= maxVoids;
    }

    function _inRound(Epoch storage e, Entry storage entry) private view returns (bool) {
        return entry.proposer != address(0) && entry.round == e.round;
    }

    function _startedEpoch(uint256 epoch) private view returns (Epoch storage) {
        if (epoch >= nextEpoch) revert EpochNotStarted(epoch, nextEpoch);
        return _epochs[epoch];
    }

    function _roundEntry(uint256 epoch, Epoch storage e, bytes32 id) private view returns (Entry storage entry) {
        if (e.status == Status.Final) revert AlreadyFinal(epoch, e.leading);
        entry = _entries[epoch][e.generation][id];
        if (!_inRound(e, entry)) revert NotInRound(epoch, e.round, id);
    }

    /// @dev A round takes rivals and challenges until its window ends, and once it is contested until the evidence
    /// period ends: a dispute begun in the window's last second still leaves everyone that long to answer.
    function _requireJoinable(Epoch storage e) private view {
        _requireBefore(
            e.status == Status.Open ? _deadline(e.openedAt, challengeWindow) : _deadline(e.contestedAt, evidencePeriod)
        );
    }

    function _requireWithinCaps(uint256 epoch, Epoch storage e, Candidate calldata c) private view {
        if (c.revenue > c.total) revert RevenueExceedsTotal(c.total, c.revenue);
        if (c.revenue > e.revenueCap) revert RevenueExceedsCap(epoch, e.revenueCap, c.revenue);
        if (c.total - c.revenue > e.mintCap) revert MintExceedsCap(epoch, e.mintCap, c.total - c.revenue);
    }

    function _requireFrom(uint256 notBefore) private view {
        if (block.timestamp < notBefore) revert TooEarly(notBefore, block.timestamp);
    }

    function _requireBefore(uint256 before) private view {
        if (block.timestamp >= before) revert TooLate(before, block.timestamp);
    }

    function _requireRange(string memory parameter, uint256 minimum, uint256 maximum, uint256 found) private pure {
        if (found < minimum || found > maximum) revert OutOfRange(parameter, minimum, maximum, found);
    }

    /// @dev When a wait that began at `from` ends: longer by as much of it as a pause covers. Only the latest pause is
    /// looked at: an earlier one ended at least `PAUSE_REARM` before, so a wait that it covered was over by then.
    function _deadline(uint64 from, uint64 wait) private view returns (uint64 deadline) {
        deadline = from + wait;
        if (pausedAt < deadline && pausedUntil > from) {
            deadline += pausedUntil - (pausedAt > from ? pausedAt : from);
        }
    }
}
