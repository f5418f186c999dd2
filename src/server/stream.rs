//! A body that is made while it is sent, at the pace of who takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

/// A piece of the body; an error breaks the body off, so that the client can tell that it is not whole.
pub type Piece = Result<Bytes, io::Error>;

/// The reader's end of a channel as a body.
#[derive(Debug)]
struct Pieces {
    receiver: mpsc::Receiver<Piece>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.receiver.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A body, and where its pieces go. One piece waits at most; who sends waits until it is taken.
pub fn body() -> (mpsc::Sender<Piece>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::new(Pieces { receiver }))
}
