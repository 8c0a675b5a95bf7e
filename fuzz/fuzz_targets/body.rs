//! A request's body in any pieces: whole and in order up to the limit, refused over it.
#![no_main]
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookwright_server::{BodyError, Budget, read_body};
use http_body::{Body, Frame, SizeHint};
use libfuzzer_sys::fuzz_target;

struct Pieces {
    left: VecDeque<Bytes>,
    announced: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}

fuzz_target!(|input: (Vec<Vec<u8>>, u16, bool)| {
    let (pieces, max, announces) = input;
    let (whole, max) = (pieces.concat(), usize::from(max));
    let announced = announces.then_some(whole.len() as u64);
    let mut body = Pieces { left: pieces.into_iter().map(Bytes::from).collect(), announced };
    let budget = Budget::new("fuzz", 1 << 30);
    let mut charge = budget.charge([127, 0, 0, 1].into(), None);
    let read = read_body(&mut body, max, Duration::from_secs(60), &mut charge);
    let read = hookwright_fuzz::run(read);
    drop(charge);
    assert_eq!(budget.used(), 0);
    match read {
        Ok(bytes) => assert_eq!((bytes, whole.len() <= max), (Bytes::from(whole), true)),
        Err(error) => assert_eq!((error, whole.len() > max), (BodyError::TooLarge, true)),
    }
});
