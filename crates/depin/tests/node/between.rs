//! What lies between a node and its chain, and may answer itself.

use std::task::{Context, Poll};

use alloy::{
    providers::{Provider, ProviderBuilder},
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload},
    },
    transports::{TransportError, TransportFut},
};
use depin_evm::{Client, Options};

use super::*;

/// What becomes of a request; none if the chain answers it.
pub(super) type Answer = Option<Result<ResponsePayload, TransportError>>;

#[derive(Clone)]
struct Between<F> {
    chain: EmbeddedChain,
    answer: F,
}

impl<F: Fn(&RequestPacket) -> Answer> tower::Service<RequestPacket> for Between<F> {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let Some(answer) = (self.answer)(&packet) else { return self.chain.call(packet) };
        Box::pin(async move {
            let id = packet.as_single().unwrap().id().clone();
            Ok(ResponsePacket::Single(Response { id, payload: answer? }))
        })
    }
}

/// The parts of a node that reaches the stage's chain only through `answer`.
pub(super) fn behind(
    stage: &Stage,
    deployment: Deployment,
    answer: impl Fn(&RequestPacket) -> Answer + Clone + Send + Sync + 'static,
) -> NodeParts {
    let between = Between { chain: stage.chain.clone(), answer };
    let provider = ProviderBuilder::new().connect_client(RpcClient::new(between, true)).erased();
    let client = Client::new(provider, CHAIN, Options::local());
    let chain = Chain::new(client.sender(wallet("operator")), deployment, Finality::Depth(0));
    NodeParts { chain, ..stage.parts() }
}
