//! A generator: a coroutine driven by hand, without a runtime. It walks a tree by plain recursion
//! and gives out one value at a time, from however deep it is.
//!
//! ```text
//! cargo run --example generator
//! ```

use kcoro::coroutine::{Coroutine, CoroutineState, Yielder};

struct Node {
    name: &'static str,
    children: Vec<Node>,
}

fn node(name: &'static str, children: Vec<Node>) -> Node {
    Node { name, children }
}

fn walk(node: &Node, depth: usize, out: &Yielder<(), (usize, &'static str)>) {
    out.suspend((depth, node.name));
    for child in &node.children {
        walk(child, depth + 1, out);
    }
}

fn lines() -> Vec<String> {
    let tree = node("root", vec![node("left", vec![node("leaf", vec![])]), node("right", vec![])]);
    let mut walker = Coroutine::new(move |out, ()| walk(&tree, 0, out));
    let mut lines = Vec::new();
    while let CoroutineState::Yielded((depth, name)) = walker.resume(()) {
        lines.push(format!("{:indent$}{name}", "", indent = 2 * depth));
    }
    lines
}

fn main() {
    lines().iter().for_each(|line| println!("{line}"));
}

#[test]
fn the_tree_comes_out_in_order() {
    assert_eq!(lines(), ["root", "  left", "    leaf", "  right"]);
}
