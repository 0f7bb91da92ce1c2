//! Clients that do not behave: they go in the middle, say nonsense, or take their time.
use super::client::{connect, request};
use super::stage::Stage;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How they end.
pub(super) const WAYS: [&str; 6] =
    ["in the header", "in the body", "before the answer", "in the answer", "with nonsense", "slowly"];
/// Pause between two.
const PAUSE: Duration = Duration::from_millis(20);
/// Slow ones at the same time, and the bytes that each sends, one after each pause.
const SLOW: usize = 16;
const SLOW_BYTES: usize = 100;

/// Connects and goes, in one way after the other, until all is over: how many of each way.
pub(super) fn crash(stage: &Stage, at: SocketAddr, over: &AtomicBool) -> [u64; WAYS.len()] {
    let mut counts = [0; WAYS.len()];
    let whole = whole(stage);
    let mut slow: Vec<(TcpStream, usize)> = Vec::new();
    let mut turn = 0;
    while !over.load(Ordering::Relaxed) {
        let way = turn % (WAYS.len() - 1);
        // A server that refuses nonsense may be gone before all of it is sent.
        if once(at, way, &whole, turn).is_ok() {
            counts[way] += 1;
        }
        if slow.len() < SLOW {
            slow.extend(connect(at).ok().map(|stream| (stream, 0)));
        }
        slow.retain_mut(|(stream, sent)| {
            *sent += 1;
            let goes_on = *sent < SLOW_BYTES && stream.write_all(&whole[*sent - 1..*sent]).is_ok();
            counts[WAYS.len() - 1] += u64::from(!goes_on);
            goes_on
        });
        turn += 1;
        thread::sleep(PAUSE);
    }
    counts
}

/// A request with a large answer.
fn whole(stage: &Stage) -> Vec<u8> {
    let rows: Vec<&Value> = (0..1000).map(|_| &stage.row).collect();
    request("POST", "/v1/predict", &json!({ "rows": rows }).to_string())
}

fn once(at: SocketAddr, way: usize, whole: &[u8], turn: usize) -> io::Result<()> {
    let mut stream = connect(at)?;
    let header = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(0);
    match way {
        0 => stream.write_all(&whole[..turn % header.max(1)]),
        1 => stream.write_all(&whole[..header + 4 + turn * 997 % (whole.len() - header - 4)]),
        2 => stream.write_all(whole),
        3 => {
            stream.write_all(whole)?;
            stream.read_exact(&mut [0; 100])
        }
        _ => stream.write_all(&[0xff, 0, b'\r', b'\n'].repeat(1 + turn % 50)),
    }
}
