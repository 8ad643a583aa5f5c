//! A port from C: two coroutines hand a number back and forth over rendezvous channels.
//!
//! The C program, in the style of the C library, stands in the comments beside what replaces it. The
//! whole port is shorter because ownership and errors are in the types; what it does is the same.
//!
//! ```text
//! cargo run --example port_ping_pong
//! ```

use kcoro::channel::{self, Receiver, Sender};

const ROUNDS: u64 = 10_000;

// C:   struct game { kc_chan_t *ping, *pong; long rounds; };
//
//      static void pinger(void *arg) {
//          struct game *g = arg;
//          for (long i = 0; i < g->rounds; i++) {
//              long n = i, back = 0;
//              if (kc_chan_send(g->ping, &n, -1) != 0) abort();
//              if (kc_chan_recv(g->pong, &back, -1) != 0) abort();
//              if (back != n + 1) abort();
//          }
//          kc_chan_close(g->ping);
//      }
//
// The timeout -1 ("for ever") is the plain `send` and `recv`. Closing is dropping the last sender,
// which the end of the function does. Nothing is cast, and a channel carries one type.
fn pinger(ping: Sender<u64>, pong: Receiver<u64>) -> u64 {
    for n in 0..ROUNDS {
        ping.send(n).expect("the other side receives until this side closes");
        assert_eq!(pong.recv(), Ok(n + 1));
    }
    ROUNDS
}

// C:   static void ponger(void *arg) {
//          struct game *g = arg;
//          long n;
//          int rc;
//          while ((rc = kc_chan_recv(g->ping, &n, -1)) == 0) {
//              n++;
//              kc_chan_send(g->pong, &n, -1);
//          }
//          if (rc != KC_EPIPE) abort();
//      }
//
// Closed and empty ends the loop: a receiver is an iterator.
fn ponger(ping: Receiver<u64>, pong: Sender<u64>) {
    for n in ping {
        if pong.send(n + 1).is_err() {
            return;
        }
    }
}

// C:   int main(void) {
//          struct game g = { .rounds = 10000 };
//          kc_sched_t *s = kc_sched_init(NULL);
//          kcoro_t *a, *b;
//          kc_chan_make(&g.ping, KC_RENDEZVOUS, sizeof(long), 0);
//          kc_chan_make(&g.pong, KC_RENDEZVOUS, sizeof(long), 0);
//          kc_spawn_co(s, ponger, &g, 0, &b);
//          kc_spawn_co(s, pinger, &g, 0, &a);
//          kc_sched_drain(s, -1);          // there is no join: wait until nothing is left
//          kc_sched_shutdown(s);
//          kcoro_release(a); kcoro_release(b);
//          kc_chan_destroy(g.ping); kc_chan_destroy(g.pong);
//          printf("%ld rounds\n", g.rounds);
//      }
//
// In C the wake was lost if it came before the parker had switched away, so this program stalled on
// two workers. `join` waits for one coroutine, returns its value and hands on its panic.
fn play() -> std::thread::Result<u64> {
    let (ping, pinged) = channel::rendezvous();
    let (pong, ponged) = channel::rendezvous();
    kcoro::run(|| {
        let ponger = kcoro::spawn(move || ponger(pinged, pong));
        let rounds = kcoro::spawn(move || pinger(ping, ponged)).join()?;
        ponger.join()?;
        Ok(rounds)
    })
}

fn main() {
    match play() {
        Ok(rounds) => println!("{rounds} rounds"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[test]
fn all_rounds_are_played() {
    assert_eq!(play().ok(), Some(ROUNDS));
}
