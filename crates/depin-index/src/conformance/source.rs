//! What every source must do.

use super::{Broken, broken, holds, same};
use crate::{Cursor, EventSource, Step};

/// Checks a source that has something to say after `Cursor::default()`, and soon nothing more: at most 10,000 steps.
///
/// # Errors
/// [`Broken`] with the first law that does not hold.
pub async fn source(source: &dyn EventSource) -> Result<(), Broken> {
    let (mut cursor, mut applied) = (Cursor::default(), 0_u32);
    for _ in 0..10_000 {
        let law = "a source answers";
        let step = source.next(cursor).await.map_err(|error| broken(law, error))?;
        let again = source.next(cursor).await.map_err(|error| broken(law, error))?;
        same("asked twice from one cursor, a source says the same", &step, &again)?;
        match step {
            Step::Idle => return holds("a source has something to say", applied > 0, "nothing"),
            Step::Rewind(to, _) => {
                let below = cursor.block.is_some_and(|block| to.number < block.number);
                holds("a source rewinds to below its cursor only", below, to)?;
                cursor.block = Some(to);
            }
            Step::Apply(batch, next) => {
                batch.check(&next).map_err(|error| broken("a source gives what can be stored", error))?;
                let number = |cursor: Cursor| cursor.block.map(|block| block.number);
                let forward =
                    next.journal >= cursor.journal && number(next) >= number(cursor) && next != cursor;
                holds("each step of a source goes forward", forward, next)?;
                let inside = batch
                    .events
                    .iter()
                    .all(|event| Some(event.block) > number(cursor) && Some(event.block) <= number(next));
                holds("events lie after the cursor before and not after the one behind", inside, next)?;
                (cursor, applied) = (next, applied.saturating_add(1));
            }
        }
    }
    Err(broken("a source comes to an end", "10,000 steps"))
}
