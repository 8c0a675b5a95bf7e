//! Each phase has a timeout of its own, under the one deadline.
use tokio::net::TcpListener;

use super::*;
use hookwright_settings::Phases;

const BRIEF: Duration = Duration::from_millis(80);

async fn with(phases: Phases, url: &str, resolver: Arc<dyn Resolver>) -> Outcome {
    let mut options = options(url);
    options.transport.phases = phases;
    let client = Egress::new(resolver).client(options).expect("good settings");
    let start = Instant::now();
    let outcome = client.send(request(AMPLE)).await;
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
    assert_eq!(cause(&outcome), Cause::Timeout, "{outcome:?}");
    outcome
}

fn told(outcome: &Outcome, part: &str) {
    assert!(format!("{outcome:?}").contains(part), "{outcome:?}");
}

/// Never answers.
struct Silent;

impl Resolver for Silent {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_name_server_that_hangs_ends_the_phase_of_connecting() {
    let phases = Phases { connect: Some(BRIEF), ..Phases::default() };
    told(&with(phases, "http://a.test/", Arc::new(Silent)).await, "no connection within 80ms");
}

#[tokio::test]
async fn a_handshake_without_an_answer_ends_its_phase() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let address = listener.local_addr().expect("bound");
    let phases = Phases { tls: Some(BRIEF), ..Phases::default() };
    let url = format!("https://{address}/");
    let outcome = with(phases, &url, Arc::new(crate::SystemResolver)).await;
    told(&outcome, "handshake within 80ms");
}

#[tokio::test]
async fn a_destination_that_says_nothing_ends_the_phase_of_the_first_byte() {
    let receiver = Receiver::start(|seen| match seen.number {
        0 => status(200),
        _ => Reply::Hang(vec![]),
    })
    .await;
    let mut options = options(&receiver.url().to_string());
    options.transport.phases.first_byte = Some(BRIEF);
    let client = Egress::default().client(options).expect("good settings");
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
    // Idle for longer than the phase, which only counts after a request.
    tokio::time::sleep(2 * BRIEF).await;
    let outcome = client.send(request(AMPLE)).await;
    assert_eq!(cause(&outcome), Cause::Timeout);
    told(&outcome, "no byte of the answer within 80ms");
    assert_eq!(receiver.connections(), 1, "the idle connection was used again");
}

#[tokio::test]
async fn a_first_byte_in_time_is_enough() {
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    let receiver = Receiver::start(move |_| {
        Reply::Trickle(b"H".to_vec(), text[1..].to_vec(), Duration::from_millis(10))
    })
    .await;
    let mut options = options(&receiver.url().to_string());
    options.transport.phases.first_byte = Some(Duration::from_millis(300));
    let client = Egress::default().client(options).expect("good settings");
    assert_eq!(client.send(request(AMPLE)).await, answered(200, ""));
}
