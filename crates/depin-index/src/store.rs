//! The store: rows and cursor, written together.

use std::{fmt::Debug, sync::Weak};

use async_trait::async_trait;
use depin_core::{Address, DeviceId, Epoch, Outcome, Text, Timestamp};

use crate::{
    At, Batch, BlockRef, ClaimRow, Cursor, CustomerEpochRow, CustomerRow, DeviceRow, DeviceStatus,
    EarnedRollupRow, EarningRow, EpochDeviceRow, EpochRow, EventKind, EventRow, Limit, Listener, Overview,
    OwnerRow, Page, Period, RefusalRow, ReorgRow, ReportRow, RollupRow, RootRow, Seek, StoreError,
    VerdictRow, View,
};

/// The answer to `$query`, which must be of the variant `$variant`.
macro_rules! ask {
    ($store:ident, $query:expr, $variant:ident) => {
        match $store.read(View::Latest, $query).await?.1 {
            Answer::$variant(answer) => Ok(answer),
            _ => Err(StoreError::Answer { expected: stringify!($variant) }),
        }
    };
}

/// Where rows are kept.
///
/// Rows have natural keys, so storing what is already there changes nothing; the same key with other contents is refused, never overwritten.
/// Third parties implement the four required methods and run the suite behind the feature `conformance`.
#[async_trait]
pub trait Store: Send + Sync + Debug {
    /// Stores `batch`, and that everything up to `cursor` is in: both or neither. Storing a batch again changes nothing.
    ///
    /// Each part of the cursor only moves forward; a smaller one leaves it where it is.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed then.
    async fn apply(&self, batch: Batch, cursor: Cursor) -> Result<(), StoreError>;

    /// How far the store has read.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn cursor(&self) -> Result<Cursor, StoreError>;

    /// Forgets every event and header above the block `to` and all that was derived from them, and moves the cursor back to `to`.
    /// What came from the journal stays. A cursor that is not above `to` stays too, and then nothing is written down.
    ///
    /// Together with that it writes one row of [`Store::reorgs`], with the time `seen` at which the replaced block was noticed.
    ///
    /// # Errors
    /// [`StoreError::Reorganised`] when the store knows another block of that number: rewind further.
    /// [`StoreError::Final`] when `to` lies below the final block.
    async fn rewind(&self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError>;

    /// Answers one question from one consistent state, and says which. The typed methods below ask for the latest and unwrap.
    ///
    /// In the final view the store answers as if it held nothing but what is final: the events up to the final block, and of the journal
    /// the epochs of which such an event says that their root became final, with bundle and root as they are here. Reports and reorganisations
    /// are told in either view.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn read(&self, view: View, query: Query) -> Result<(At, Answer), StoreError>;

    /// Tells `listener` of every change from now on, as long as somebody else holds it. A store that tells nobody need not do anything.
    fn listen(&self, _listener: Weak<dyn Listener>) {}

    /// Closed epochs, newest first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn epochs(&self, page: Seek<Epoch>) -> Result<Page<EpochRow>, StoreError> {
        ask!(self, Query::Epochs(page), Epochs)
    }

    /// One closed epoch.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn epoch(&self, epoch: Epoch) -> Result<Option<EpochRow>, StoreError> {
        ask!(self, Query::Epoch(epoch), Epoch)
    }

    /// Devices by did:key, ascending bytewise.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn devices(
        &self,
        filter: DeviceFilter,
        page: Seek<DeviceId>,
    ) -> Result<Page<DeviceRow>, StoreError> {
        ask!(self, Query::Devices(filter, page), Devices)
    }

    /// One device.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn device(&self, device: DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        ask!(self, Query::Device(device), Device)
    }

    /// What a device earned, newest epoch first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn earnings(&self, device: DeviceId, page: Seek<Epoch>) -> Result<Page<EarningRow>, StoreError> {
        ask!(self, Query::Earnings(device, page), Earnings)
    }

    /// How a device was judged, newest epoch first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn verdicts(&self, device: DeviceId, page: Seek<Epoch>) -> Result<Page<VerdictRow>, StoreError> {
        ask!(self, Query::Verdicts(device, page), Verdicts)
    }

    /// An owner. Unknown owners own nothing.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn owner(&self, owner: Address) -> Result<OwnerRow, StoreError> {
        ask!(self, Query::Owner(owner), Owner)
    }

    /// Owners by address, ascending: those who own something, earned or were paid something.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn owners(&self, page: Seek<Address>) -> Result<Page<OwnerRow>, StoreError> {
        ask!(self, Query::Owners(page), Owners)
    }

    /// What the devices of one epoch did, by the bytes of their id, ascending.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn epoch_devices(
        &self,
        epoch: Epoch,
        page: Seek<DeviceId>,
    ) -> Result<Page<EpochDeviceRow>, StoreError> {
        ask!(self, Query::EpochDevices(epoch, page), EpochDevices)
    }

    /// The reports of a device, newest epoch first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn reports(&self, device: DeviceId, page: Seek<Epoch>) -> Result<Page<ReportRow>, StoreError> {
        ask!(self, Query::Reports(device, page), Reports)
    }

    /// The steps of roots on the chain, newest first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn roots(&self, page: Seek<(u64, u64)>) -> Result<Page<RootRow>, StoreError> {
        ask!(self, Query::Roots(page), Roots)
    }

    /// One customer.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn customer(&self, customer: Address) -> Result<Option<CustomerRow>, StoreError> {
        ask!(self, Query::Customer(customer), Customer)
    }

    /// What a customer spent, newest epoch first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn customer_epochs(
        &self,
        customer: Address,
        page: Seek<Epoch>,
    ) -> Result<Page<CustomerEpochRow>, StoreError> {
        ask!(self, Query::CustomerEpochs(customer, page), CustomerEpochs)
    }

    /// The network in numbers.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn overview(&self) -> Result<Overview, StoreError> {
        ask!(self, Query::Overview, Overview)
    }

    /// The hours or days in which something happened, newest first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn rollups(&self, period: Period, page: Seek<Timestamp>) -> Result<Page<RollupRow>, StoreError> {
        ask!(self, Query::Rollups(period, page), Rollups)
    }

    /// The hours or days in which a device or an owner was judged, newest first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn earned_rollups(
        &self,
        who: Earner,
        period: Period,
        page: Seek<Timestamp>,
    ) -> Result<Page<EarnedRollupRow>, StoreError> {
        ask!(self, Query::EarnedRollups(who, period, page), EarnedRollups)
    }

    /// The payouts of an account, newest epoch first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn claims(&self, account: Address, page: Seek<Epoch>) -> Result<Page<ClaimRow>, StoreError> {
        ask!(self, Query::Claims(account, page), Claims)
    }

    /// Customers by address, ascending.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn customers(&self, page: Seek<Address>) -> Result<Page<CustomerRow>, StoreError> {
        ask!(self, Query::Customers(page), Customers)
    }

    /// Events, all or of one type, newest first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn events(
        &self,
        kind: Option<EventKind>,
        page: Seek<(u64, u64)>,
    ) -> Result<Page<EventRow>, StoreError> {
        ask!(self, Query::Events(kind, page), Events)
    }

    /// Refusals, all or of one device, newest epoch first; within an epoch by device and reason, descending.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn refusals(
        &self,
        device: Option<DeviceId>,
        page: Seek<(Epoch, Option<DeviceId>, Text)>,
    ) -> Result<Page<RefusalRow>, StoreError> {
        ask!(self, Query::Refusals(device, page), Refusals)
    }

    /// The newest blocks whose hashes are known, newest first: what a follower compares with its chain.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn window(&self, limit: Limit) -> Result<Vec<BlockRef>, StoreError> {
        ask!(self, Query::Window(limit), Window)
    }

    /// Reorganisations that were undone, newest first.
    ///
    /// # Errors
    /// As [`Store::read`].
    async fn reorgs(&self, page: Seek<u64>) -> Result<Page<ReorgRow>, StoreError> {
        ask!(self, Query::Reorgs(page), Reorgs)
    }
}

/// Which devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Of this status.
    pub status: Option<DeviceStatus>,
    /// Judged like this in the last epoch it was judged in.
    pub outcome: Option<Outcome>,
    /// Owned by this account.
    pub owner: Option<Address>,
    /// Whose did:key begins with this.
    pub prefix: Option<String>,
}

/// Who earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Earner {
    /// A device.
    Device(DeviceId),
    /// An owner, with all its devices.
    Owner(Address),
}

/// A question to a store. The methods of [`Store`] of the same names say what the answers are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented as a method of `Store`")]
pub enum Query {
    Overview,
    Rollups(Period, Seek<Timestamp>),
    EarnedRollups(Earner, Period, Seek<Timestamp>),
    Epochs(Seek<Epoch>),
    Epoch(Epoch),
    EpochDevices(Epoch, Seek<DeviceId>),
    Roots(Seek<(u64, u64)>),
    Devices(DeviceFilter, Seek<DeviceId>),
    Device(DeviceId),
    Earnings(DeviceId, Seek<Epoch>),
    Verdicts(DeviceId, Seek<Epoch>),
    Reports(DeviceId, Seek<Epoch>),
    Refusals(Option<DeviceId>, Seek<(Epoch, Option<DeviceId>, Text)>),
    Owners(Seek<Address>),
    Owner(Address),
    Claims(Address, Seek<Epoch>),
    Customers(Seek<Address>),
    Customer(Address),
    CustomerEpochs(Address, Seek<Epoch>),
    Events(Option<EventKind>, Seek<(u64, u64)>),
    Window(Limit),
    Reorgs(Seek<u64>),
}

/// The answer to the [`Query`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented as a method of `Store`")]
pub enum Answer {
    Overview(Overview),
    Rollups(Page<RollupRow>),
    EarnedRollups(Page<EarnedRollupRow>),
    Epochs(Page<EpochRow>),
    Epoch(Option<EpochRow>),
    EpochDevices(Page<EpochDeviceRow>),
    Roots(Page<RootRow>),
    Devices(Page<DeviceRow>),
    Device(Option<DeviceRow>),
    Earnings(Page<EarningRow>),
    Verdicts(Page<VerdictRow>),
    Reports(Page<ReportRow>),
    Refusals(Page<RefusalRow>),
    Owners(Page<OwnerRow>),
    Owner(OwnerRow),
    Claims(Page<ClaimRow>),
    Customers(Page<CustomerRow>),
    Customer(Option<CustomerRow>),
    CustomerEpochs(Page<CustomerEpochRow>),
    Events(Page<EventRow>),
    Window(Vec<BlockRef>),
    Reorgs(Page<ReorgRow>),
}
