//! The accounts of the chain, and how to step back to what they were some blocks ago.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
};

use alloy::primitives::{Address, B256, KECCAK256_EMPTY, Keccak256, U256};
use revm::{
    Database,
    bytecode::Bytecode,
    state::{AccountInfo, EvmState},
};

use super::chain::Blocks;

/// What an account is, apart from its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) balance: U256,
    pub(super) nonce: u64,
    pub(super) code_hash: B256,
}

/// Everything the chain knows now.
#[derive(Debug, Default)]
pub(super) struct World {
    accounts: HashMap<Address, Account>,
    slots: HashMap<Address, HashMap<U256, U256>>,
    codes: HashMap<B256, Bytecode>,
}

/// What changed, with the values from before (to step back) or after (to commit to).
///
/// Ordered, because a commitment is made from it.
#[derive(Debug, Default, Clone)]
pub(super) struct Changes {
    accounts: BTreeMap<Address, Option<Account>>,
    slots: BTreeMap<(Address, U256), U256>,
}

impl Changes {
    /// Puts `later` on top: its values win.
    fn overlay(&mut self, later: &Self) {
        self.accounts.extend(later.accounts.iter().map(|(address, account)| (*address, *account)));
        self.slots.extend(later.slots.iter().map(|(at, value)| (*at, *value)));
    }

    /// The commitment after `parent` and these changes: Keccak-256 over both, each change in full, in order.
    fn commit(&self, parent: B256) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(parent);
        for (address, account) in &self.accounts {
            hasher.update(address);
            match account {
                None => hasher.update([0]),
                Some(account) => {
                    hasher.update([1]);
                    hasher.update(account.balance.to_be_bytes::<32>());
                    hasher.update(account.nonce.to_be_bytes());
                    hasher.update(account.code_hash);
                }
            }
        }
        for ((address, slot), value) in &self.slots {
            hasher.update([2]);
            hasher.update(address);
            hasher.update(slot.to_be_bytes::<32>());
            hasher.update(value.to_be_bytes::<32>());
        }
        hasher.finalize()
    }
}

/// What one block, or what precedes it, changed: the way back and the way there.
#[derive(Debug, Default)]
pub(super) struct Step {
    before: Changes,
    after: Changes,
}

impl Step {
    /// What to keep once the block is sealed: the way back.
    pub(super) fn into_undo(self) -> Changes {
        self.before
    }

    /// This step and the one after it, as one.
    pub(super) fn then(mut self, mut later: Self) -> Self {
        later.before.overlay(&self.before);
        self.after.overlay(&later.after);
        Self { before: later.before, after: self.after }
    }

    pub(super) fn undo(&self) -> &Changes {
        &self.before
    }

    /// The commitment to the state after this step, given the one before it.
    pub(super) fn commitment(&self, parent: B256) -> B256 {
        self.after.commit(parent)
    }
}

impl World {
    pub(super) fn account(&self, address: &Address) -> Option<Account> {
        self.accounts.get(address).copied()
    }

    pub(super) fn code(&self, hash: &B256) -> Option<&Bytecode> {
        self.codes.get(hash)
    }

    /// Sets a balance, as genesis and the test method `anvil_setBalance` do.
    pub(super) fn set_balance(&mut self, address: Address, balance: U256, step: &mut Step) {
        let found = self.account(&address);
        let account =
            Account { balance, ..found.unwrap_or(Account { balance, nonce: 0, code_hash: KECCAK256_EMPTY }) };
        self.record(address, Some(account), step);
    }

    /// Applies what a transaction changed and notes it in `step`.
    pub(super) fn apply(&mut self, changes: EvmState, step: &mut Step) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            // Since Cancun an account can only destroy itself in the transaction that created it (EIP-6780), so it
            // leaves no storage behind.
            if account.is_selfdestructed() || account.info.is_empty() {
                self.record(address, None, step);
                continue;
            }
            if let Some(code) = account.info.code.as_ref().filter(|code| !code.is_empty()) {
                self.codes.entry(account.info.code_hash).or_insert_with(|| code.clone());
            }
            let AccountInfo { balance, nonce, code_hash, .. } = account.info;
            self.record(address, Some(Account { balance, nonce, code_hash }), step);
            for (slot, value) in account.changed_storage_slots() {
                self.record_slot(address, *slot, value.present_value(), step);
            }
        }
    }

    /// Steps back over one block.
    pub(super) fn undo(&mut self, undo: Changes) {
        for (address, account) in undo.accounts {
            self.put(address, account);
        }
        for ((address, slot), value) in undo.slots {
            self.put_slot(address, slot, value);
        }
    }

    fn record(&mut self, address: Address, account: Option<Account>, step: &mut Step) {
        let before = self.account(&address);
        if before == account {
            return;
        }
        step.before.accounts.entry(address).or_insert(before);
        step.after.accounts.insert(address, account);
        self.put(address, account);
    }

    fn record_slot(&mut self, address: Address, slot: U256, value: U256, step: &mut Step) {
        let before = self.slot(&address, &slot);
        step.before.slots.entry((address, slot)).or_insert(before);
        step.after.slots.insert((address, slot), value);
        self.put_slot(address, slot, value);
    }

    fn put(&mut self, address: Address, account: Option<Account>) {
        match account {
            Some(account) => self.accounts.insert(address, account),
            None => self.accounts.remove(&address),
        };
    }

    fn put_slot(&mut self, address: Address, slot: U256, value: U256) {
        let slots = self.slots.entry(address).or_default();
        if value.is_zero() {
            slots.remove(&slot)
        } else {
            slots.insert(slot, value)
        };
    }

    fn slot(&self, address: &Address, slot: &U256) -> U256 {
        self.slots.get(address).and_then(|slots| slots.get(slot)).copied().unwrap_or_default()
    }
}

/// The state at one block: the state now, under what the blocks since then changed.
#[derive(Debug)]
pub(super) struct View<'a> {
    world: &'a World,
    was: Changes,
    blocks: &'a Blocks,
}

impl<'a> View<'a> {
    /// The state before the blocks whose ways back are `undos`, newest first.
    pub(super) fn new<'u>(
        world: &'a World,
        undos: impl Iterator<Item = &'u Changes>,
        blocks: &'a Blocks,
    ) -> Self {
        let mut was = Changes::default();
        for undo in undos {
            was.overlay(undo);
        }
        Self { world, was, blocks }
    }

    pub(super) fn account(&self, address: &Address) -> Option<Account> {
        match self.was.accounts.get(address) {
            Some(account) => *account,
            None => self.world.account(address),
        }
    }

    pub(super) fn slot(&self, address: Address, slot: U256) -> U256 {
        self.was.slots.get(&(address, slot)).copied().unwrap_or_else(|| self.world.slot(&address, &slot))
    }

    pub(super) fn code_of(&self, address: &Address) -> Option<&Bytecode> {
        self.account(address).and_then(|account| self.world.code(&account.code_hash))
    }
}

impl Database for View<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.account(&address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: Some(self.world.code(&account.code_hash).cloned().unwrap_or_default()),
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.world.code(&code_hash).cloned().unwrap_or_default())
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(self.slot(address, index))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(self.blocks.get(number).map(|block| block.hash).unwrap_or_default())
    }
}
