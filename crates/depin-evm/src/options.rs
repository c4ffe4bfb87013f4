use std::time::Duration;

/// How a chain is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many blocks, its own included, make a transaction count: 1 is as soon as it is in a block.
    pub confirmations: u64,
    /// How often the chain is asked about a transaction, and an index asks it for news.
    pub poll: Duration,
    /// After which time without a block a transaction is sent again with higher fees.
    pub bump_after: Duration,
    /// After which time waiting for a transaction ends with an error.
    pub send_timeout: Duration,
    /// After which time a request over HTTP is given up.
    pub request_timeout: Duration,
    /// The most that is offered per gas, in wei. A node says what the fees are, and must not be able to spend the account on them.
    pub max_fee_per_gas: u128,
}

/// One gwei.
const GWEI: u128 = 1_000_000_000;

impl Options {
    /// For a chain on this machine: it answers in milliseconds.
    pub const fn local() -> Self {
        Self {
            confirmations: 1,
            poll: Duration::from_millis(20),
            bump_after: Duration::from_secs(30),
            send_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(20),
            max_fee_per_gas: GWEI.saturating_mul(1_000),
        }
    }

    /// For a public chain.
    pub const fn remote() -> Self {
        Self {
            confirmations: 2,
            poll: Duration::from_secs(1),
            bump_after: Duration::from_secs(60),
            send_timeout: Duration::from_secs(600),
            request_timeout: Duration::from_secs(20),
            max_fee_per_gas: GWEI.saturating_mul(500),
        }
    }

    /// The same with other confirmations.
    #[must_use]
    pub const fn confirmations(mut self, confirmations: u64) -> Self {
        self.confirmations = confirmations;
        self
    }

    /// The same, asked more or less often.
    #[must_use]
    pub const fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// The same with another time after which fees are raised.
    #[must_use]
    pub const fn bump_after(mut self, after: Duration) -> Self {
        self.bump_after = after;
        self
    }

    /// The same with another limit for one request over HTTP.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The same with another limit on fees.
    #[must_use]
    pub const fn max_fee_per_gas(mut self, wei: u128) -> Self {
        self.max_fee_per_gas = wei;
        self
    }

    /// The same with another limit for a transaction.
    #[must_use]
    pub const fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }
}
