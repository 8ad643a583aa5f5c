//! `select!`: from arms as one writes them to values and one call.
//!
//! The arms are gathered one at a time into entries of the form
//! `{ arm out number [moved variable] {statements that make the arm} {pattern} {body} }`; names and
//! numbers come from a pool, which bounds the arms of one macro call to 16. Then all arms are made,
//! one is chosen, the results are taken out, the arms are dropped, and the body runs in the caller's
//! own function, so that `?`, `break` and `return` do what they look like.

/// Waits for the first of several events and runs what belongs to it.
///
/// | arm                               | ready when                     | gives                       |
/// |-----------------------------------|--------------------------------|-----------------------------|
/// | `v = rx.recv() => ..`             | a value is there, or closed    | `Result<T, RecvError>`      |
/// | `r = tx.send(x) => ..`            | there is room, or closed       | `Result<(), SendError<T>>`  |
/// | `_ = after(duration) => ..`       | the time is up                 | `()`                        |
/// | `reason = token.cancelled() => ..`| the token is cancelled         | `CancelReason`              |
/// | `r = handle.join() => ..`         | the coroutine has ended        | what `join` returns         |
/// | `v = future => ..`                | the future is                  | its output                  |
/// | `default => ..`                   | nothing else is                |                             |
///
/// If several arms are ready, one of them is chosen at random; after `biased;` as the first line, the
/// first one. Only the chosen arm does anything. The others leave no trace: a value that a variable
/// brought, as in `tx.send(x)`, is back in that variable in every other arm's body; the value of any
/// other expression is dropped with its arm. A `handle` needs to be mutable, and is not consumed.
///
/// Without arms it waits for ever. Up to 16 arms; channel arms allocate nothing. It works in
/// coroutines and on plain threads.
///
/// # Examples
///
/// ```
/// use kcoro::{channel, select};
/// use std::time::Duration;
///
/// let (tx, rx) = channel::bounded::<String>(1);
/// let (full, _keep) = channel::bounded(1);
/// full.send(String::new()).unwrap();
///
/// let text = String::from("mine");
/// let got = select! {
///     v = rx.recv() => v.unwrap(),
///     r = full.send(text) => { r.unwrap(); String::from("sent") }
///     _ = after(Duration::from_millis(1)) => text,
/// };
/// assert_eq!(got, "mine");
/// # drop(tx);
/// ```
#[macro_export]
macro_rules! select {
    () => {
        loop {
            let _ = $crate::channel::select::choose_wait(&mut [], true);
        }
    };
    (biased; $($rest:tt)*) => {
        $crate::__select!(@arms true [] [
            {a0 o0 0} {a1 o1 1} {a2 o2 2} {a3 o3 3} {a4 o4 4} {a5 o5 5} {a6 o6 6} {a7 o7 7}
            {a8 o8 8} {a9 o9 9} {a10 o10 10} {a11 o11 11} {a12 o12 12} {a13 o13 13} {a14 o14 14}
            {a15 o15 15}
        ] $($rest)*)
    };
    ($($rest:tt)*) => {
        $crate::__select!(@arms false [] [
            {a0 o0 0} {a1 o1 1} {a2 o2 2} {a3 o3 3} {a4 o4 4} {a5 o5 5} {a6 o6 6} {a7 o7 7}
            {a8 o8 8} {a9 o9 9} {a10 o10 10} {a11 o11 11} {a12 o12 12} {a13 o13 13} {a14 o14 14}
            {a15 o15 15}
        ] $($rest)*)
    };
}

/// The inside of [`select!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // All arms are gathered.
    (@arms $biased:tt [$($entries:tt)*] $pool:tt) => {
        $crate::__select!(@build $biased [$($entries)*] [])
    };
    (@arms $biased:tt [$($entries:tt)*] $pool:tt default => $body:block $(,)?) => {
        $crate::__select!(@build $biased [$($entries)*] [{$body}])
    };
    (@arms $biased:tt [$($entries:tt)*] $pool:tt default => $body:expr $(,)?) => {
        $crate::__select!(@build $biased [$($entries)*] [{$body}])
    };
    // The next arm, up to its `=`.
    (@arms $biased:tt $entries:tt [{$arm:ident $out:ident $number:tt} $($pool:tt)*]
     $pattern:pat = $($rest:tt)*) => {
        $crate::__select!(@event $biased $entries [$($pool)*] {$arm $out $number {$pattern}} [] $($rest)*)
    };

    // What the arm waits for: token by token up to its `=>`.
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$($on:tt)+] . recv () => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let channel = &($($on)+);
            let mut $arm = channel.arm();
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$($on:tt)+] . send ($value:ident) => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [$value] {
            let channel = &($($on)+);
            let mut $arm = channel.arm($value);
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$($on:tt)+] . send ($value:expr) => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let channel = &($($on)+);
            let mut $arm = channel.arm($value);
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$($on:tt)+] . cancelled () => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let token = &($($on)+);
            let mut $arm = $crate::channel::select::cancel_arm(&token.cancelled());
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$($on:tt)+] . join () => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let handle = ::core::pin::pin!(&mut $($on)+);
            let mut $arm = $crate::channel::select::future_arm(handle);
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [after] ($($duration:tt)*) => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let mut $arm = $crate::channel::select::after($($duration)*);
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$(kcoro ::)? channel :: after] ($($duration:tt)*) => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let mut $arm = $crate::channel::select::after($($duration)*);
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt {$arm:ident $($this:tt)*} [$($on:tt)+] => $($rest:tt)*) => {
        $crate::__select!(@body $biased $entries $pool {$arm $($this)* [] {
            let future = ::core::pin::pin!($($on)+);
            let mut $arm = $crate::channel::select::future_arm(future);
        }} $($rest)*)
    };
    (@event $biased:tt $entries:tt $pool:tt $this:tt [$($on:tt)*] $next:tt $($rest:tt)*) => {
        $crate::__select!(@event $biased $entries $pool $this [$($on)* $next] $($rest)*)
    };

    // The body.
    (@body $biased:tt [$($entries:tt)*] $pool:tt {$($this:tt)*} $body:block, $($rest:tt)*) => {
        $crate::__select!(@arms $biased [$($entries)* {$($this)* {$body}}] $pool $($rest)*)
    };
    (@body $biased:tt [$($entries:tt)*] $pool:tt {$($this:tt)*} $body:block $($rest:tt)*) => {
        $crate::__select!(@arms $biased [$($entries)* {$($this)* {$body}}] $pool $($rest)*)
    };
    (@body $biased:tt [$($entries:tt)*] $pool:tt {$($this:tt)*} $body:expr, $($rest:tt)*) => {
        $crate::__select!(@arms $biased [$($entries)* {$($this)* {$body}}] $pool $($rest)*)
    };
    (@body $biased:tt [$($entries:tt)*] $pool:tt {$($this:tt)*} $body:expr) => {
        $crate::__select!(@arms $biased [$($entries)* {$($this)* {$body}}] $pool)
    };

    // Everything together.
    (@build $biased:tt [$({$arm:ident $out:ident $number:tt {$pattern:pat} [$($moved:ident)?] {$($make:tt)*} {$body:expr}})*] $default:tt) => {{
        let (chosen, ($($out,)*)) = {
            $($($make)*)*
            let chosen = $crate::__select!(@choose $biased $default [$(&mut $arm),*]);
            (chosen, ($($crate::__select!(@out chosen $arm $number [$($moved)?]),)*))
        };
        $crate::__select!(@match chosen [] [] [$({$out $number {$pattern} [$($moved)?] {$body}})*] $default)
    }};
    (@choose $biased:tt [] $arms:tt) => {
        ::core::option::Option::Some($crate::channel::select::choose_wait(&mut $arms, $biased))
    };
    (@choose $biased:tt [$default:tt] $arms:tt) => {
        $crate::channel::select::choose_now(&mut $arms, $biased)
    };
    // What came of an arm, and what it has not sent.
    (@out $chosen:ident $arm:ident $number:tt []) => {
        ($crate::__select!(@result $chosen $arm $number), ())
    };
    (@out $chosen:ident $arm:ident $number:tt [$moved:ident]) => {
        ($crate::__select!(@result $chosen $arm $number), $arm.unsent())
    };
    (@result $chosen:ident $arm:ident $number:tt) => {
        if $chosen == ::core::option::Option::Some($number) {
            ::core::option::Option::Some($crate::channel::select::Arm::take(&mut $arm))
        } else {
            ::core::option::Option::None
        }
    };
    // One branch for each arm; variables that other arms had moved come back.
    (@match $chosen:ident [$($branches:tt)*] [$({$other:ident $back:ident})*]
     [{$out:ident $number:tt {$pattern:pat} [$($moved:ident)?] {$body:expr}}
      $({$later:ident $n:tt {$p:pat} [$($returned:ident)?] {$b:expr}})*] $default:tt) => {
        $crate::__select!(@match $chosen [$($branches)*
            ::core::option::Option::Some($number) => {
                let $pattern = $crate::channel::select::must($out.0);
                $(#[allow(unused_variables)] let $back = $crate::channel::select::must($other.1);)*
                $($(#[allow(unused_variables)] let $returned = $crate::channel::select::must($later.1);)?)*
                $body
            }
        ] [$({$other $back})* $({$out $moved})?]
        [$({$later $n {$p} [$($returned)?] {$b}})*] $default)
    };
    (@match $chosen:ident [$($branches:tt)*] $others:tt [] []) => {
        match $chosen {
            $($branches)*
            _ => ::core::unreachable!("no such arm"),
        }
    };
    (@match $chosen:ident [$($branches:tt)*] [$({$other:ident $back:ident})*] [] [{$body:expr}]) => {
        match $chosen {
            $($branches)*
            _ => {
                $(#[allow(unused_variables)] let $back = $crate::channel::select::must($other.1);)*
                $body
            }
        }
    };
}

/// What the macro knows to be there.
#[doc(hidden)]
pub fn must<T>(value: Option<T>) -> T {
    value.expect("the chosen arm has a result, and the others their values")
}
