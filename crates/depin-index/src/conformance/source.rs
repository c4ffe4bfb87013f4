//! What every source must do.

use super::{Broken, broken, holds};
use crate::{Cursor, EventSource, Known, Step};

/// Checks a source that has something to say after `Cursor::default()`, and soon nothing more: at most 10,000 steps.
///
/// # Errors
/// [`Broken`] with the first law that does not hold.
pub async fn source(source: &dyn EventSource) -> Result<(), Broken> {
    let (mut known, mut applied) = (Known::default(), 0_u32);
    for _ in 0..10_000 {
        let law = "a source answers";
        let step = source.next(&known).await.map_err(|error| broken(law, error))?;
        let again = source.next(&known).await.map_err(|error| broken(law, error))?;
        let law = "asked twice of one state, a source says the same, of more or of fewer blocks";
        holds(law, agree(&step, &again), (&step, &again))?;
        match step {
            Step::Idle => return holds("a source has something to say", applied > 0, "nothing"),
            Step::Rewind(to, _) => {
                let below = known.cursor.block.is_some_and(|block| to.number < block.number);
                holds("a source rewinds to below its cursor only", below, to)?;
                known.cursor.block = Some(to);
                known.window.retain(|block| block.number <= to.number);
            }
            Step::Apply(batch, next) => {
                batch.check(&next).map_err(|error| broken("a source gives what can be stored", error))?;
                let number = |cursor: Cursor| cursor.block.map(|block| block.number);
                let then = known.then(&batch, next);
                let forward = next.journal >= known.cursor.journal
                    && number(next) >= number(known.cursor)
                    && then != known;
                holds("each step of a source goes forward", forward, next)?;
                let from = number(known.cursor);
                let inside = batch
                    .events
                    .iter()
                    .all(|event| Some(event.block) > from && Some(event.block) <= number(next));
                holds("events lie after the cursor before and not after the one behind", inside, next)?;
                (known, applied) = (then, applied.saturating_add(1));
            }
        }
    }
    Err(broken("a source comes to an end", "10,000 steps"))
}

/// Whether two answers to one question are the same as far as both go.
fn agree(one: &Step, other: &Step) -> bool {
    match (one, other) {
        (Step::Apply(one, _), Step::Apply(other, _)) => {
            let both = one.events.len().min(other.events.len());
            one.events.get(..both) == other.events.get(..both)
        }
        _ => one == other,
    }
}
