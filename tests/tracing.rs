//! Spans follow a coroutine across its suspensions, and stay with it.

use kcoro::runtime::Runtime;
use tracing::Span;
use tracing::subscriber::set_global_default;

/// The name of the innermost span that is entered here.
fn innermost() -> Option<&'static str> {
    Span::current().metadata().map(|m| m.name())
}

#[test]
fn spans_follow_their_coroutine() {
    set_global_default(tracing_subscriber::registry()).unwrap();
    let rt = Runtime::builder().workers(1).build().unwrap();
    rt.run(|| {
        let first = kcoro::spawn(|| {
            let outer = tracing::info_span!("outer");
            let _outer = outer.enter();
            for _ in 0..100 {
                let inner = tracing::info_span!("inner");
                let _inner = inner.enter();
                assert_eq!(innermost(), Some("inner"));
                kcoro::yield_now();
                assert_eq!(innermost(), Some("inner"));
                drop(_inner);
                assert_eq!(innermost(), Some("outer"));
                kcoro::yield_now();
                assert_eq!(innermost(), Some("outer"));
            }
        });
        let second = kcoro::spawn(|| {
            for _ in 0..100 {
                assert_eq!(innermost(), None);
                kcoro::yield_now();
            }
            let own = tracing::info_span!("own");
            let _own = own.enter();
            for _ in 0..100 {
                kcoro::sleep(std::time::Duration::from_micros(10));
                assert_eq!(innermost(), Some("own"));
            }
        });
        assert_eq!(innermost(), None);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(innermost(), None);
    });
}
