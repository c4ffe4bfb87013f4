//! How many blocks to ask for at once.

/// The width of the next request for logs. It grows while answers are small, halves when a node refuses, and after a refusal grows only
/// slowly back to what was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    blocks: u64,
    max: u64,
    /// What a node refused: growth stops below it.
    refused: Option<u64>,
    /// Answers since the last refusal or the last try above it.
    answers: u32,
}

/// Logs in one answer that are enough: more make memory the limit, fewer make round trips the limit.
const ENOUGH: usize = 20_000;
/// Answers after which what was refused is tried again.
const PATIENCE: u32 = 32;

impl Span {
    /// Begins with `first` blocks and never asks for more than `max`; both count as 1 when 0.
    pub fn new(first: u64, max: u64) -> Self {
        let max = max.max(1);
        Self { blocks: first.clamp(1, max), max, refused: None, answers: 0 }
    }

    /// Blocks to ask for now, at least 1.
    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// A node answered `asked` blocks with `logs` logs.
    pub fn answered(&mut self, asked: u64, logs: usize) {
        self.answers = self.answers.saturating_add(1);
        if self.answers >= PATIENCE {
            (self.refused, self.answers) = (None, 0);
        }
        let wider = match logs {
            _ if logs > ENOUGH => asked / 2,
            _ if logs > ENOUGH / 2 => asked,
            _ if logs > ENOUGH / 8 => asked.saturating_mul(2),
            _ => asked.saturating_mul(4),
        };
        // An answer to less than the span, because the range ended, says nothing against the span.
        let wider = if asked < self.blocks && wider < self.blocks { self.blocks } else { wider };
        let limit = self.refused.map_or(self.max, |refused| refused.saturating_sub(1).min(self.max));
        self.blocks = wider.min(limit).max(1);
    }

    /// A node refused `asked` blocks. Returns whether fewer can be asked for.
    pub fn refused(&mut self, asked: u64) -> bool {
        self.refused = Some(asked);
        self.answers = 0;
        self.blocks = (asked / 2).max(1);
        asked > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_chain_is_read_in_ever_wider_spans() {
        let mut span = Span::new(16, 5_000);
        let mut asked = Vec::new();
        for _ in 0..7 {
            asked.push(span.blocks());
            span.answered(span.blocks(), 0);
        }
        assert_eq!(asked, [16, 64, 256, 1_024, 4_096, 5_000, 5_000]);
    }

    #[test]
    fn a_refused_span_is_not_asked_for_again_until_many_answers_later() {
        let mut span = Span::new(1_000, 100_000);
        assert!(span.refused(1_000));
        let mut widest = 0;
        for _ in 0..PATIENCE - 1 {
            span.answered(span.blocks(), 0);
            widest = widest.max(span.blocks());
        }
        assert_eq!(widest, 999);
        span.answered(span.blocks(), 0);
        assert_eq!(span.blocks(), 3_996);
    }

    #[test]
    fn one_block_cannot_be_halved() {
        let mut span = Span::new(2, 10);
        assert!(span.refused(2));
        assert_eq!(span.blocks(), 1);
        assert!(!span.refused(1));
        assert_eq!(span.blocks(), 1);
    }

    #[test]
    fn full_answers_make_the_span_narrower() {
        let mut span = Span::new(64, 1_000);
        span.answered(64, ENOUGH + 1);
        assert_eq!(span.blocks(), 32);
        span.answered(32, ENOUGH);
        assert_eq!(span.blocks(), 32);
    }
}
