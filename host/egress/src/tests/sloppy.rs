//! Answers over HTTP/1.1 whose status is plain and whose rest is not.
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\n";

fn status_of(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered { status, .. } => Some(*status),
        _ => None,
    }
}

/// A receiver answered `200` with `X-Frame : a` or a folded header line, and the
/// delivery counted as failed, was sent three times, and was dead.
#[tokio::test]
async fn regression_a_200_with_a_sloppy_header_line_is_a_success() {
    let many: String = (0..150).map(|number| format!("x-{number}: a\r\n")).collect();
    for lines in [
        "X-Frame : a\r\n",
        "X-Frame: a\r\n folded\r\n\tagain\r\n",
        "no colon in it\r\n",
        ": no name\r\n",
        "na me: a\r\n",
        "x-control: a\u{1}b\r\n",
        "x-nul: a\0b\r\n",
        "x-latin: \u{e9}\r\n",
        "content-length: some\r\n",
        "content-length: -5\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 99999999999999999999999999\r\n",
        "content-length : 2\r\n",
        "transfer-encoding: sideways\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        "content-encoding: none-of-any\r\n",
        "content-type\r\n",
        many.as_str(),
    ] {
        let bytes = format!("{OK}{lines}\r\nok").into_bytes();
        let outcome = outcome(AMPLE, move |_| Reply::Close(bytes.clone())).await;
        assert_eq!(status_of(&outcome), Some(200), "{lines:?}: {outcome:?}");
    }
    let outcome = outcome(AMPLE, |_| Reply::Close("HTTP/1.1 204 OK\na: b\n\n".into())).await;
    assert_eq!(status_of(&outcome), Some(204));
}

/// The same where no end of the head is ever seen.
#[tokio::test]
async fn regression_a_200_whose_head_never_ends_is_a_success() {
    let head = format!("{OK}x-frame: a");
    let huge = format!("{OK}x-huge: {}\r\n\r\n", "a".repeat(2 * 64 * 1024));
    for reply in [
        Reply::Close(head.clone().into()),
        Reply::Close(huge.into()),
        Reply::Repeat(OK.into(), b"x-more: a\r\n".repeat(100)),
    ] {
        let reply = parking_lot::Mutex::new(Some(reply));
        let once = move |_: &Seen| reply.lock().take().unwrap_or(Reply::Close(Vec::new()));
        let outcome = outcome(AMPLE, once).await;
        assert_eq!(status_of(&outcome), Some(200), "{outcome:?}");
    }
    let silent = head.into_bytes();
    let outcome = outcome(Duration::from_secs(2), move |_| Reply::Hang(silent.clone())).await;
    assert_eq!(status_of(&outcome), Some(200), "at the deadline: {outcome:?}");
}

#[tokio::test]
async fn a_sloppy_failure_is_the_failure_that_its_status_says() {
    for code in [410, 429, 500] {
        let bytes = format!("HTTP/1.1 {code} No\r\ncontent-length: some\r\n\r\n").into_bytes();
        let outcome = outcome(AMPLE, move |_| Reply::Close(bytes.clone())).await;
        assert_eq!(status_of(&outcome), Some(code), "{outcome:?}");
    }
    // A line that can be read is read, whatever stands beside it.
    let bytes = b"HTTP/1.1 503 No\r\nx bad : a\r\nretry-after : 7\r\n\r\n";
    let outcome = outcome(AMPLE, |_| Reply::Close(bytes.to_vec())).await;
    assert!(
        matches!(outcome, Outcome::Answered { status: 503, retry_after_s: Some(7), .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn without_a_whole_status_line_nothing_was_said() {
    for text in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK", "HTTP/1.1 2000 x\r\n\r\n", "200 OK\r\n\r\n"]
    {
        let outcome = outcome(AMPLE, move |_| Reply::Close(text.into())).await;
        assert_eq!(cause(&outcome), Cause::Protocol, "{text:?}");
    }
    let interim = "HTTP/1.1 100 Go on\r\nx-status: HTTP/1.1 200 OK\r\n\r\n";
    let outcome = outcome(AMPLE, move |_| Reply::Close(interim.into())).await;
    assert_eq!(cause(&outcome), Cause::Protocol, "an interim answer is none");
}

/// The answer to one request says nothing about the next on the same connection.
#[tokio::test]
async fn the_status_of_the_answer_before_counts_for_nothing() {
    let receiver = Receiver::start(|seen| match seen.number % 2 {
        0 => status(200),
        _ => Reply::Close(Vec::new()),
    })
    .await;
    let client = client(&receiver.url().to_string());
    for _ in 0..20 {
        assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
        let next = client.send(request(AMPLE)).await;
        assert_eq!(cause(&next), Cause::Protocol);
    }
    assert!(receiver.connections() <= 21, "connections were used again");
}
