//! The arena: regression, not marketing. One operation per iteration unless the name says more.

#![allow(missing_docs, reason = "criterion's macro writes an undocumented function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kcoro::arena::Arena;
use std::hint::black_box;

fn arena(c: &mut Criterion) {
    let arena = Arena::new();
    let limited = Arena::builder().limit(1 << 30).build();
    let mut group = c.benchmark_group("arena");
    for length in [64, 1 << 10, 4 << 10, 64 << 10, 1 << 20] {
        group.bench_function(format!("alloc_drop_{length}"), |b| {
            b.iter(|| drop(arena.alloc(black_box(length))))
        });
    }
    group.bench_function("alloc_drop_limited_4096", |b| {
        b.iter(|| drop(limited.alloc(black_box(4096))))
    });
    group.bench_function("boxed_slice_4096", |b| {
        b.iter(|| drop(black_box(Vec::<u8>::with_capacity(black_box(4096)))));
    });
    group.bench_function("alloc_32_drop_32_4096", |b| {
        b.iter(|| [(); 32].map(|()| arena.alloc(4096)));
    });
    let payload = arena.copy(&[7; 4096]).expect("no limit");
    group.bench_function("clone_drop", |b| b.iter(|| black_box(payload.clone())));
    group.bench_function("slice_drop", |b| b.iter(|| black_box(payload.slice(8..16))));
    let name = payload.descriptor();
    group.bench_function("resolve_drop", |b| b.iter(|| arena.resolve(black_box(name))));
    group.bench_function("alias_drop_vec", |b| b.iter(|| drop(arena.alias(Vec::new()))));
    let bytes = vec![1; 64 << 10];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("copy_drop_65536", |b| b.iter(|| arena.copy(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, arena);
criterion_main!(benches);
