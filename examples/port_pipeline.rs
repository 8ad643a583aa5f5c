//! A port from C: a producer, a filter and a consumer over buffered channels, ended by closing.
//!
//! The C program, in the style of the C library, stands in the comments beside what replaces it.
//!
//! ```text
//! cargo run --example port_pipeline
//! ```

use std::time::Duration;

use kcoro::Runtime;
use kcoro::channel::{self, Receiver, Sender};
use kcoro::error::BuildError;

const ITEMS: u64 = 1_000;

// C:   struct item { long id; char *text; };
//      struct stages { kc_chan_t *raw, *kept; long wrote, read, passed, processed; };
//
// The counts that C kept in a shared struct are what each stage returns.
#[derive(Debug)]
struct Item {
    id: u64,
    text: String,
}

// C:   static void producer(void *arg) {
//          struct stages *s = arg;
//          for (long i = 0; i < 1000; i++) {
//              struct item it = { i, make_text(i) };       // malloc
//              int rc = kc_chan_send(s->raw, &it, 500);
//              if (rc != 0) {                               // ETIME, EPIPE: still ours
//                  free(it.text);
//                  continue;
//              }
//              s->wrote++;
//          }
//          kc_chan_close(s->raw);
//      }
//
// A positive timeout is `send_timeout`. What could not be sent is inside the error and is freed with
// it. The channel closes when the producer's sender is dropped, here at its end.
fn producer(raw: Sender<Item>) -> u64 {
    let mut wrote = 0;
    for id in 0..ITEMS {
        let item = Item { id, text: format!("item {id}") };
        match raw.send_timeout(item, Duration::from_millis(500)) {
            Ok(()) => wrote += 1,
            Err(error) => drop(error.into_inner()),
        }
    }
    wrote
}

// C:   static void filter(void *arg) {
//          struct stages *s = arg;
//          struct item it;
//          while (kc_chan_recv(s->raw, &it, -1) == 0) {     // drains what is buffered, then EPIPE
//              s->read++;
//              if (it.id % 5 == 0) { free(it.text); continue; }
//              if (kc_chan_send(s->kept, &it, -1) != 0) { free(it.text); break; }
//              s->passed++;
//          }
//          kc_chan_close(s->kept);
//      }
//
// Close drains in both. An item that is not passed on is freed because nobody owns it any more.
fn filter(raw: Receiver<Item>, kept: Sender<Item>) -> (u64, u64) {
    let (mut read, mut passed) = (0, 0);
    for item in raw {
        read += 1;
        if item.id % 5 == 0 {
            continue;
        }
        if kept.send(item).is_err() {
            break;
        }
        passed += 1;
    }
    (read, passed)
}

// C:   static void consumer(void *arg) {
//          struct stages *s = arg;
//          struct item it;
//          while (kc_chan_recv(s->kept, &it, -1) == 0) {
//              s->processed++;
//              free(it.text);
//          }
//      }
fn consumer(kept: Receiver<Item>) -> u64 {
    kept.iter().filter(|item| item.text.ends_with(&item.id.to_string())).count() as u64
}

// C:   int main(void) {
//          struct stages s = {0};
//          kc_sched_opts_t opts = { .workers = 2 };
//          kc_sched_t *sched = kc_sched_init(&opts);
//          kc_chan_make(&s.raw, KC_BUFFERED, sizeof(struct item), 64);
//          kc_chan_make(&s.kept, KC_BUFFERED, sizeof(struct item), 64);
//          kc_spawn_co(sched, producer, &s, 0, NULL);
//          kc_spawn_co(sched, filter, &s, 0, NULL);
//          kc_spawn_co(sched, consumer, &s, 0, NULL);
//          kc_sched_drain(sched, -1);
//          kc_sched_shutdown(sched);
//          kc_chan_destroy(s.raw); kc_chan_destroy(s.kept);
//          printf("Producer: Wrote %ld\n...", s.wrote, ...);
//      }
//
// The runtime ends when it is dropped.
fn run() -> Result<[u64; 4], BuildError> {
    let rt = Runtime::builder().workers(2).build()?;
    let (raw, raw_out) = channel::bounded(64);
    let (kept, kept_out) = channel::bounded(64);
    let producer = rt.spawn(move || producer(raw));
    let filter = rt.spawn(move || filter(raw_out, kept));
    let consumer = rt.spawn(move || consumer(kept_out));
    let wrote = producer.join().expect("the producer does not panic");
    let (read, passed) = filter.join().expect("the filter does not panic");
    let processed = consumer.join().expect("the consumer does not panic");
    Ok([wrote, read, passed, processed])
}

fn main() -> Result<(), BuildError> {
    let [wrote, read, passed, processed] = run()?;
    println!("Producer: Wrote {wrote}");
    println!("Filter: Read {read}, passed {passed}");
    println!("Consumer: Processed {processed}");
    Ok(())
}

#[test]
fn the_counts_add_up() {
    let [wrote, read, passed, processed] = run().expect("two workers start");
    assert_eq!((wrote, read, passed, processed), (ITEMS, ITEMS, ITEMS * 4 / 5, ITEMS * 4 / 5));
}
