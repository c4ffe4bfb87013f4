//! Phases: whoever listens hears of each, and reads it.

use depin::api::{Phase, Status};
use futures_util::StreamExt;

use super::*;

#[tokio::test]
async fn who_listens_to_the_status_hears_of_each_phase_and_who_listens_to_something_else_does_not() {
    let (_stage, node, _) = ready().await;
    let listen = async |topic: &str| {
        let request = Request::get(format!("/api/v1/stream?topics={topic}")).body(Body::empty()).unwrap();
        let response = node.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().into_data_stream()
    };
    let (mut status, mut owners) =
        (listen("status").await, listen(&format!("owner:{}", wallet("x").address())).await);
    let next = async |stream: &mut axum::body::BodyDataStream| {
        String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap()
    };
    for stream in [&mut status, &mut owners] {
        assert!(next(stream).await.starts_with("retry: "));
    }
    let mut number = 0;
    for phase in [Phase::Commit, Phase::Answer, Phase::Report, Phase::Pay { turn: 1 }, Phase::Finished] {
        node.announce(phase).await;
        let told = next(&mut status).await;
        assert_eq!(told.matches("event: changed").count(), 1, "{told}");
        assert!(told.contains("{\"topic\":\"status\","), "{told}");
        let (code, body, _) = call(&node, "GET", paths::STATUS, Vec::new()).await;
        let read: Status = serde_json::from_slice(&body).unwrap();
        assert_eq!((code, read.phase, read.epoch), (StatusCode::OK, phase, Epoch(0)));
        assert!(read.number > number, "{} after {number}", read.number);
        number = read.number;
    }
    let silent =
        std::future::poll_fn(|context| std::task::Poll::Ready(owners.poll_next_unpin(context).is_pending()));
    assert!(silent.await, "nothing happened to this owner");
}
