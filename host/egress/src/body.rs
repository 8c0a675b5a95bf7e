//! A request's body, which reports when all of it has been read.
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

/// The size of the pieces of a body that reports its end: at most this much, and what the
/// sockets buffer, is still unsent when the last piece is read.
const PIECE: usize = 64 * 1024;

pub(super) struct Payload {
    left: Bytes,
    /// None if no report is requested.
    taken: Option<oneshot::Sender<()>>,
}

impl Payload {
    pub(super) fn new(body: Bytes) -> Self {
        Self { left: body, taken: None }
    }

    /// The body, and a future that resolves once all of it has been read for sending.
    pub(super) fn watched(body: Bytes) -> (Self, oneshot::Receiver<()>) {
        let (taken, all) = oneshot::channel();
        let mut payload = Self { left: body, taken: Some(taken) };
        // The frames of an empty body are never read.
        payload.tell_if_taken();
        (payload, all)
    }

    fn tell_if_taken(&mut self) {
        if self.left.is_empty()
            && let Some(taken) = self.taken.take()
        {
            // The request may have ended meanwhile.
            let _ = taken.send(());
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &self.taken {
            Some(_) if self.left.len() > PIECE => self.left.split_to(PIECE),
            _ => std::mem::take(&mut self.left),
        };
        self.tell_if_taken();
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn it_is_whole_and_tells_when_the_last_piece_is_taken() {
        let bytes: Bytes = (0..3 * PIECE + 7).map(|number| number as u8).collect::<Vec<_>>().into();
        let (mut body, mut all) = Payload::watched(bytes.clone());
        let mut got = Vec::new();
        while let Some(frame) = body.frame().await {
            assert_eq!(all.try_recv().is_ok(), body.is_end_stream());
            got.extend_from_slice(&frame.unwrap().into_data().unwrap());
            assert_eq!(body.size_hint().exact(), Some((bytes.len() - got.len()) as u64));
        }
        assert_eq!(got, bytes);
        assert_eq!(Payload::watched(Bytes::new()).1.try_recv(), Ok(()));
        let plain = Payload::new(bytes.clone()).frame().await.unwrap().unwrap();
        assert_eq!(plain.into_data().unwrap(), bytes, "at once, where nobody asks");
    }
}
