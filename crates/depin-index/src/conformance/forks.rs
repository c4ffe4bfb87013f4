//! Laws about a chain that changes its mind, and about what it cannot change any more.

use depin_core::{ChainEvent, Digest, Epoch, Timestamp};

use super::{Broken, broken, dump, dump_view, feed, holds, same, sample};
use crate::{Batch, Cursor, Store, StoreError, View};

pub(super) async fn another_hash_is_refused(store: &dyn Store) -> Result<(), Broken> {
    let law = "another hash of a known block is refused as a reorganisation";
    feed(store, law, sample::batch(8, 0, 0)).await?;
    let (fork, _) = sample::batch(8, 0, 1);
    let applied = store
        .apply(Batch { blocks: fork.blocks, events: fork.events, ..Batch::default() }, Cursor::default())
        .await;
    holds(law, matches!(applied, Err(StoreError::Reorganised { block: 1, .. })), applied)?;
    let rewound = store.rewind(sample::block(8, 1), Timestamp(7)).await;
    holds(law, matches!(rewound, Err(StoreError::Reorganised { block: 8, .. })), rewound)
}

pub(super) async fn a_rewind_leaves_what_was_never_above(
    rewound: &dyn Store,
    fresh: &dyn Store,
    to: u64,
) -> Result<(), Broken> {
    let law = "a rewind leaves what an index holds that never saw the blocks above";
    let (full, cursor) = sample::batch(32, 5, 0);
    let (low, _) = sample::batch(to.min(32), 0, 0);
    feed(rewound, law, (full.clone(), cursor)).await?;
    rewound.rewind(sample::block(to, 0), Timestamp(7)).await.map_err(|error| broken(law, error))?;
    let block = if to < 32 { Some(sample::block(to, 0)) } else { cursor.block };
    feed(fresh, law, (Batch { blocks: low.blocks, events: low.events, ..full }, Cursor { block, ..cursor }))
        .await?;
    same(law, &dump(rewound, law).await?, &dump(fresh, law).await?)?;
    same(law, &format!("{:?}", rewound.cursor().await), &format!("{:?}", fresh.cursor().await))
}

/// The final view of an index is the latest view of one that was told nothing but what is final.
pub(super) async fn what_is_final_is_what_was_there_then(
    store: &dyn Store,
    fresh: &dyn Store,
    to: u64,
) -> Result<(), Broken> {
    let law = "the final view is what an index holds that saw nothing else";
    let (full, cursor) = sample::batch(32, 5, 0);
    feed(store, law, (full.clone(), cursor)).await?;
    feed(store, law, (Batch::default(), Cursor { final_block: Some(to), ..cursor })).await?;
    let (low, _) = sample::batch(to.min(32), 0, 0);
    let released = |epoch: Epoch, root: Digest| {
        low.events.iter().any(|located| {
            matches!(&located.event, ChainEvent::RootFinal { epoch: found, root: known, .. }
                if *found == epoch && *known == root)
        })
    };
    let epochs: Vec<_> = full.epochs.into_iter().filter(|facts| released(facts.epoch, facts.root)).collect();
    let known: Vec<Epoch> = epochs.iter().map(|facts| facts.epoch).collect();
    let claims = full.claims.into_iter().filter(|claim| known.contains(&claim.epoch)).collect();
    let batch =
        Batch { blocks: full.blocks, events: low.events.clone(), epochs, claims, reports: full.reports };
    feed(fresh, law, (batch, Cursor { final_block: Some(to), ..cursor })).await?;
    let expected = dump_view(fresh, law, View::Latest).await?;
    same(law, &dump_view(store, law, View::Final).await?, &expected)?;
    let below = store.rewind(sample::block(to.saturating_sub(1), 0), Timestamp(7)).await;
    let refused = matches!(below, Err(StoreError::Final { .. }));
    holds("what is final is never rewound", refused, below)
}

pub(super) async fn the_other_fork_can_follow(rewound: &dyn Store, fresh: &dyn Store) -> Result<(), Broken> {
    let law = "after a rewind the other fork can follow";
    feed(rewound, law, sample::batch(32, 5, 0)).await?;
    rewound.rewind(sample::block(0, 0), Timestamp(7)).await.map_err(|error| broken(law, error))?;
    feed(rewound, law, sample::batch(40, 5, 1)).await?;
    feed(fresh, law, sample::batch(40, 5, 1)).await?;
    same(law, &dump(rewound, law).await?, &dump(fresh, law).await?)
}
