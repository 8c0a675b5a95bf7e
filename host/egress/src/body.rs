//! A request's body, which can tell when all of it has been taken.
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

/// Where it is to be told, a body is taken in such pieces: what is on its way
/// when the last is taken is no more than that, and what the sockets hold.
const PIECE: usize = 64 * 1024;

pub(super) struct Payload {
    left: Bytes,
    /// None: nobody asks.
    taken: Option<oneshot::Sender<()>>,
}

impl Payload {
    pub(super) fn new(body: Bytes) -> Self {
        Self { left: body, taken: None }
    }

    /// With what resolves once all of it was taken, to be sent.
    pub(super) fn watched(body: Bytes) -> (Self, oneshot::Receiver<()>) {
        let (taken, all) = oneshot::channel();
        let mut payload = Self { left: body, taken: Some(taken) };
        // Nobody asks for the frames of an empty one.
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
