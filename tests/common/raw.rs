//! HTTP by hand: bytes to bursar as a test writes them, which no client library would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A connection to bursar.
pub struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Lines behind the last chunk.
    pub trailers: String,
}

impl RawAnswer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["bursar"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
    }
}

impl Raw {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("bursar listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self { stream, read: Vec::new() }
    }

    /// Writes all of it. The other side may have hung up already: what it answered can be read still.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Says that nothing more comes.
    pub fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Bytes that were read, and not taken yet.
    pub fn already_read(&self) -> usize {
        self.read.len()
    }

    /// The underlying socket.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// The next answer to a request with a body (no HEAD); nothing if the connection ends without one.
    pub fn answer(&mut self) -> Option<RawAnswer> {
        let head = self.head()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = RawAnswer { status, head, body: Vec::new(), trailers: String::new() };
        let length = answer.header("content-length").and_then(|l| l.parse().ok());
        match (status, length) {
            (100..=199 | 204 | 304, _) => {}
            (_, Some(length)) => answer.body = self.take(length)?,
            _ if answer.header("transfer-encoding").is_some() => (answer.body, answer.trailers) = self.chunked()?,
            _ => answer.body = self.rest(),
        }
        Some(answer)
    }

    /// The head of the next answer, without its blank line.
    pub fn head(&mut self) -> Option<String> {
        let end = self.until(b"\r\n\r\n")?;
        let head = self.read.drain(..end).collect::<Vec<u8>>();
        Some(String::from_utf8_lossy(&head).trim_end().to_owned())
    }

    /// Everything until the other side hangs up, as it came.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.read)
    }

    /// The chunks, and what follows the last one; nothing if they break off.
    fn chunked(&mut self) -> Option<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let end = self.until(b"\r\n")?;
            let line = String::from_utf8_lossy(&self.read[..end]).trim_end().to_owned();
            self.read.drain(..end);
            let size = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
            if size == 0 {
                return Some((body, self.trailers()?));
            }
            let mut piece = self.take(size + 2)?;
            piece.truncate(size);
            body.extend(piece);
        }
    }

    fn trailers(&mut self) -> Option<String> {
        let mut lines = String::new();
        loop {
            let end = self.until(b"\r\n")?;
            let line = self.read.drain(..end).collect::<Vec<u8>>();
            if end == 2 {
                return Some(lines);
            }
            lines.push_str(&String::from_utf8_lossy(&line));
        }
    }

    fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        while self.read.len() < size {
            self.more().then_some(())?;
        }
        Some(self.read.drain(..size).collect())
    }

    /// Where `mark` ends in what was read.
    fn until(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark) {
                return Some(at + mark.len());
            }
            self.more().then_some(())?;
        }
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(n) => {
                self.read.extend_from_slice(&piece[..n]);
                true
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the connection stays open and silent; read so far: {}", String::from_utf8_lossy(&self.read))
            }
            Err(_) => false,
        }
    }
}
