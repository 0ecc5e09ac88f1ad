//! A reply that unpacks to a thousand times its size, in a process of its own: its memory is measured.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};
use sortie_core::agent::Timeouts;
use sortie_core::failure::Class;
use sortie_providers::dialect::{Anthropic, Dialect, Request};
use sortie_providers::http::{Client, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PATIENT: Duration = Duration::from_secs(60);

/// The head of a gzip without a name.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];

/// What memory may grow by.
const MOST_MIB: u64 = 100;

/// A mebibyte of zeros as a piece of a deflate stream, which may be repeated: 1 KiB.
fn mebibyte() -> Vec<u8> {
    let mut packed = Vec::with_capacity(64 << 10);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(&vec![0; 1 << 20], &mut packed, FlushCompress::Full).unwrap();
    assert_eq!(compress.total_in(), 1 << 20);
    packed
}

/// The most memory that this process has had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn ten_gibibytes_in_ten_mebibytes_are_refused_at_once_and_cost_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let piece = mebibyte();
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4 << 10];
        assert_ne!(socket.read(&mut request).await.unwrap(), 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
        socket.write_all(&[head.as_bytes(), &HEAD].concat()).await.unwrap();
        let mut sent = 0_u64;
        for _ in 0..10 << 10 {
            if socket.write_all(&piece).await.is_err() {
                break;
            }
            sent += 1;
        }
        sent
    });
    let client = Client::new(PATIENT).unwrap();
    let endpoint = Endpoint::new(&Anthropic, &base_url, Anthropic.default_variant(), None).unwrap();
    let request = Request { prompt: "hello".to_owned(), max_tokens: 9, stream: true, ..Request::default() };
    let before = peak_mib();
    let timeouts = Timeouts { first_token: PATIENT, ..Timeouts::default() };
    let returned = client.call(&endpoint, &request, timeouts, PATIENT, drop).await;
    let grown = peak_mib() - before;
    let failure = returned.result.unwrap_err();
    assert_eq!(failure.class, Class::Malformed, "{failure}");
    assert_eq!(failure.message, "the compressed reply unpacks to more than 100 times its size");
    assert!(grown <= MOST_MIB, "memory grew by {grown} MiB");
    let sent = serving.await.unwrap();
    assert!(sent < 10 << 10, "the client took all of it");
}
