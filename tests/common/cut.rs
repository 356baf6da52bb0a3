//! A network between a test and a server that can be broken: a TCP proxy on loopback with switches. It breaks connections,
//! refuses new ones, swallows what goes one way or both, or delays it. It reads nothing of what it carries.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Which way a piece goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    ToServer,
    ToClient,
}

/// The proxy. Dropping it breaks what it carries and closes its port.
pub struct Cut {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    refuses: AtomicBool,
    /// What goes to the server, to the client: swallowed, and delayed by so many microseconds.
    swallows: [AtomicBool; 2],
    delays: [AtomicU64; 2],
    accepted: AtomicU64,
    ended: AtomicBool,
    /// Both ends of each connection that lives.
    carried: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl Cut {
    /// Before the server on a port of loopback.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(State::default());
        let (own, to) = (state.clone(), SocketAddr::from(([127, 0, 0, 1], server)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                own.accept(client, to);
            }
        });
        Self { port, state }
    }

    /// Breaks every connection, once. New ones are taken.
    pub fn cut(&self) {
        let carried = std::mem::take(&mut *self.state.carried.lock().expect("nothing panics in between"));
        for end in carried.iter().flat_map(|(a, b)| [a, b]) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Breaks what is there, and every new connection at once.
    pub fn refuse(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// What goes one way is lost without a sign, on connections old and new: a network that drops packets.
    pub fn swallow(&self, way: Way) {
        self.state.swallows[way as usize].store(true, Ordering::SeqCst);
    }

    /// Every piece that goes one way arrives so much later.
    pub fn delay(&self, way: Way, by: Duration) {
        self.state.delays[way as usize].store(by.as_micros() as u64, Ordering::SeqCst);
    }

    /// Carries everything again. What was swallowed stays lost, so connections that lost something are broken.
    pub fn mend(&self) {
        // Both are switched, whatever the first one was.
        let lost = self.state.swallows.each_ref().map(|way| way.swap(false, Ordering::SeqCst)).contains(&true);
        self.state.delays.iter().for_each(|delay| delay.store(0, Ordering::SeqCst));
        self.state.refuses.store(false, Ordering::SeqCst);
        if lost {
            self.cut();
        }
    }

    /// How many connections it has taken, refused ones too.
    pub fn accepted(&self) -> u64 {
        self.state.accepted.load(Ordering::SeqCst)
    }
}

impl State {
    fn accept(self: &Arc<Self>, client: TcpStream, to: SocketAddr) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return; // dropped, hence closed
        }
        let Ok(server) = TcpStream::connect(to) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let copies = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
        let (Some(kept), Some(other)) = (copies(), copies()) else { return };
        self.carried.lock().expect("nothing panics in between").push(kept);
        let (there, back) = (self.clone(), self.clone());
        thread::spawn(move || there.carry(client, server, Way::ToServer));
        thread::spawn(move || back.carry(other.1, other.0, Way::ToClient));
    }

    /// One way of one connection, to its end. Pieces keep their order, and a delay does not add up over pieces.
    fn carry(&self, mut from: TcpStream, to: TcpStream, way: Way) {
        let (queue, pieces) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
        let writer = thread::spawn(move || {
            let mut to = to;
            for (due, piece) in pieces {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if std::io::Write::write_all(&mut to, &piece).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        let mut room = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = std::io::Read::read(&mut from, &mut room) {
            if self.swallows[way as usize].load(Ordering::SeqCst) {
                continue;
            }
            let delay = Duration::from_micros(self.delays[way as usize].load(Ordering::SeqCst));
            if queue.send((Instant::now() + delay, room[..n].to_vec())).is_err() {
                break;
            }
        }
        drop(queue);
        let _ = writer.join();
        let _ = from.shutdown(Shutdown::Both);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the one that accepts, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
