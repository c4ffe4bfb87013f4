//! Independent work, on all cores where there are threads. The result is the same.

/// What `work` makes of each item, in their order.
#[cfg(feature = "parallel")]
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    use rayon::prelude::*;
    items.par_iter().map(work).collect()
}

/// What `work` makes of each item, in their order.
#[cfg(not(feature = "parallel"))]
pub(crate) fn each<T, R>(items: &[T], work: impl Fn(&T) -> R) -> Vec<R> {
    items.iter().map(work).collect()
}
