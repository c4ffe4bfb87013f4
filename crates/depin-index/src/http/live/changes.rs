//! What one client has not heard yet, and the stream that tells it.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Instant,
};

use axum::body::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::time::Sleep;

use super::{Live, lock};
use crate::{Cursor, Topic};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) topics: Vec<Topic>,
    pub(super) address: Option<IpAddr>,
    pub(super) pending: Mutex<Pending>,
}

/// What a client has not heard yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// One bit for each topic, in the order of the client's topics.
    pub(super) topics: u32,
    /// It must read everything again.
    pub(super) resync: bool,
    /// The newest change.
    pub(super) id: String,
    pub(super) cursor: Cursor,
    pub(super) since: Option<Instant>,
    pub(super) gone: bool,
    pub(super) waker: Option<Waker>,
}

/// The body of one stream.
#[derive(Debug)]
pub(in crate::http) struct Changes {
    pub(super) live: Live,
    pub(super) id: u64,
    pub(super) client: Arc<Client>,
    pub(super) heartbeat: Pin<Box<Sleep>>,
    pub(super) begun: bool,
}

/// What an event says.
#[derive(Serialize)]
struct Data {
    topic: String,
    at: Place,
}

#[derive(Serialize)]
struct Place {
    block: Option<u64>,
    journal: u64,
}

impl Pending {
    /// Everything there is to tell, as text, and nothing of it afterwards.
    fn take(&mut self, topics: &[Topic]) -> Option<String> {
        self.since = None;
        let changed = std::mem::take(&mut self.topics);
        if std::mem::take(&mut self.resync) {
            return Some(format!("event: resync\nid: {}\ndata: {{}}\n\n", self.id));
        }
        let mut text = String::new();
        for (topic, _) in
            topics.iter().zip(0_u32..32).filter(|(_, bit)| changed & 1_u32.wrapping_shl(*bit) != 0)
        {
            let at =
                Place { block: self.cursor.block.map(|block| block.number), journal: self.cursor.journal };
            let data = serde_json::to_string(&Data { topic: topic.to_string(), at }).unwrap_or_default();
            text.push_str(&format!("event: changed\nid: {}\ndata: {data}\n\n", self.id));
        }
        (!text.is_empty()).then_some(text)
    }
}

impl Stream for Changes {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let heartbeat = this.live.0.limits.heartbeat;
        let text = {
            let mut pending = lock(&this.client.pending);
            if pending.gone {
                return Poll::Ready(None);
            }
            let text = pending.take(&this.client.topics);
            if text.is_none() {
                pending.waker = Some(context.waker().clone());
            }
            text
        };
        let text = match text {
            Some(text) => text,
            // So that the browser knows at once that it is heard, and how soon to come back.
            None if !this.begun => "retry: 2000\n\n".to_owned(),
            None if this.heartbeat.as_mut().poll(context).is_ready() => ": here\n\n".to_owned(),
            None => return Poll::Pending,
        };
        this.begun = true;
        this.heartbeat.as_mut().reset(
            tokio::time::Instant::now().checked_add(heartbeat).unwrap_or_else(tokio::time::Instant::now),
        );
        Poll::Ready(Some(Ok(text.into())))
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        lock(&self.live.0.state).remove(self.id);
    }
}
