//! A body that has to arrive in time: whoever sends a byte a minute keeps a place from somebody else.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The body did not arrive in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not arrive within {0:?}")]
pub(crate) struct Late(Duration);

impl Late {
    /// What `error` says of it, if it is the cause.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(late) = error.downcast_ref() {
                return Some(*late);
            }
            cause = error.source();
        }
        None
    }
}

/// `body`, which fails with [`Late`] after `limit`.
pub(super) fn timed(body: Body, limit: Duration) -> Body {
    if body.is_end_stream() { body } else { Body::new(Timed { body, limit, end: Box::pin(sleep(limit)) }) }
}

struct Timed {
    body: Body,
    limit: Duration,
    end: Pin<Box<Sleep>>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        // What is there counts, whenever it is asked for.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.end.as_mut().poll(context));
        Poll::Ready(Some(Err(Late(self.limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
