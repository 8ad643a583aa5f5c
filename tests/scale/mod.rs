//! Long loops that shrink where the run is slow: emulation, a sanitizer, memcheck.

/// `count` divided by `KCORO_TEST_SCALE` if that is set, but at least 1.
pub fn scaled(count: usize) -> usize {
    let divisor = std::env::var("KCORO_TEST_SCALE").ok();
    let divisor = divisor.map_or(1, |text| text.parse().expect("KCORO_TEST_SCALE is a number"));
    (count / usize::max(divisor, 1)).max(1)
}
