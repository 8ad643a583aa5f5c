//! Values that belong to a coroutine rather than to a thread.
//!
//! # Invariants
//!
//! 1. A key is the address of its static; two keys never share a value.
//! 2. A value is dropped on its coroutine's thread, when the coroutine ends.
//! 3. On a plain thread the values are the thread's own, dropped when it ends.

use core::cell::RefCell;
use core::fmt;
use std::any::Any;
use std::rc::Rc;

use super::control::ControlRef;
use super::core::core;

/// Clones a value for a coroutine that is being spawned.
type Inherit = fn(&dyn Any) -> Box<dyn Any + Send>;
/// Takes such a clone in.
type Adopt = fn(Box<dyn Any + Send>) -> Rc<dyn Any>;

/// The values of one coroutine.
#[derive(Default)]
pub(crate) struct Locals {
    values: Vec<Entry>,
}

struct Entry {
    key: usize,
    value: Rc<dyn Any>,
    inherit: Option<Inherit>,
    adopt: Adopt,
}

/// Values on their way to a coroutine that is being spawned.
pub(crate) struct Inherited(Box<[InheritedEntry]>);

struct InheritedEntry {
    key: usize,
    value: Box<dyn Any + Send>,
    inherit: Option<Inherit>,
    adopt: Adopt,
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inherited({} values)", self.0.len())
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Locals({} values)", self.values.len())
    }
}

thread_local! {
    /// The values of a plain thread.
    static OF_THREAD: RefCell<Locals> = RefCell::new(Locals::default());
}

/// A key of a coroutine-local value, declared with [`coroutine_local!`](crate::coroutine_local).
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
    inherit: Option<Inherit>,
    adopt: Adopt,
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").field("inherited", &self.inherit.is_some()).finish()
    }
}

fn never_adopted(_: Box<dyn Any + Send>) -> Rc<dyn Any> {
    unreachable!("a value that is not inherited is never adopted")
}

impl<T: 'static> LocalKey<T> {
    /// For the macro: a key whose value begins as `init()` in every coroutine.
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> LocalKey<T> {
        LocalKey { init, inherit: None, adopt: never_adopted }
    }

    /// Calls `f` with the running coroutine's value, made by the initialiser on first use. Outside
    /// of a coroutine the value belongs to the thread.
    ///
    /// `f` may suspend: the value is kept alive and belongs to the coroutine, not to the thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// kcoro::coroutine_local! {
    ///     static DEPTH: Cell<u32> = Cell::new(0);
    /// }
    /// DEPTH.with(|depth| depth.set(depth.get() + 1));
    /// assert_eq!(DEPTH.with(Cell::get), 1);
    /// ```
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        let value = match self.find() {
            Some(value) => value,
            None => {
                // The initialiser runs without a hold on the list: it may use other keys.
                let value: Rc<dyn Any> = Rc::new((self.init)());
                self.insert(Rc::clone(&value));
                value
            }
        };
        f(value.downcast_ref::<T>().expect("a key's value has the key's type"))
    }

    fn key(&'static self) -> usize {
        core::ptr::from_ref(self) as usize
    }

    fn find(&'static self) -> Option<Rc<dyn Any>> {
        with_locals(|locals| {
            locals.values.iter().find(|e| e.key == self.key()).map(|e| Rc::clone(&e.value))
        })
    }

    fn insert(&'static self, value: Rc<dyn Any>) {
        let entry = Entry { key: self.key(), value, inherit: self.inherit, adopt: self.adopt };
        with_locals(|locals| locals.values.push(entry));
    }
}

impl<T: Clone + Send + 'static> LocalKey<T> {
    /// For the macro: a key whose value a spawned coroutine begins with a clone of.
    #[doc(hidden)]
    pub const fn new_inherited(init: fn() -> T) -> LocalKey<T> {
        LocalKey {
            init,
            inherit: Some(|value| {
                Box::new(value.downcast_ref::<T>().expect("the key's own type").clone())
            }),
            adopt: |value| Rc::new(*value.downcast::<T>().expect("the key's own type")),
        }
    }
}

/// Runs `f` on the values of the running coroutine or thread; `f` calls no user code.
fn with_locals<R>(f: impl FnOnce(&mut Locals) -> R) -> R {
    match core().and_then(super::core::Core::current) {
        Some(me) => {
            // SAFETY: own thread only, and `f` calls nothing that could come back here.
            let slot = unsafe { &mut *me.locals().get() };
            f(slot.get_or_insert_with(Box::default))
        }
        None => OF_THREAD.with(|locals| f(&mut locals.borrow_mut())),
    }
}

/// Clones of the values that a coroutine spawned now begins with.
#[inline(always)]
pub(crate) fn inherit() -> Option<Inherited> {
    let me = core()?.current()?;
    // SAFETY: own thread only, and the reference ends here.
    if unsafe { (*me.locals().get()).is_none() } {
        return None;
    }
    inherit_from(me)
}

#[cold]
#[inline(never)]
fn inherit_from(me: ControlRef) -> Option<Inherited> {
    // SAFETY: own thread only; the clones below run user code, but on a list of their own.
    let entries: Vec<_> = unsafe { (*me.locals().get()).as_ref() }?
        .values
        .iter()
        .filter_map(|e| Some((e.key, Rc::clone(&e.value), e.inherit?, e.adopt)))
        .collect();
    if entries.is_empty() {
        return None;
    }
    Some(Inherited(
        entries
            .into_iter()
            .map(|(key, value, inherit, adopt)| InheritedEntry {
                key,
                value: inherit(value.as_ref()),
                inherit: Some(inherit),
                adopt,
            })
            .collect(),
    ))
}

/// Gives the running coroutine the values it was spawned with.
pub(crate) fn adopt(inherited: Inherited) {
    with_locals(|locals| {
        locals.values.extend(inherited.0.into_iter().map(|e| Entry {
            key: e.key,
            value: (e.adopt)(e.value),
            inherit: e.inherit,
            adopt: e.adopt,
        }));
    });
}

/// Declares values that belong to a coroutine: each coroutine has its own, made on first use and
/// dropped when it ends. Outside of coroutines they are the thread's.
///
/// With `#[inherit]` in front, a coroutine begins with a clone of its spawner's value; the type is
/// then `Clone + Send`.
///
/// # Examples
///
/// ```
/// use std::cell::RefCell;
///
/// kcoro::coroutine_local! {
///     static LOG: RefCell<Vec<String>> = RefCell::new(Vec::new());
///     #[inherit]
///     static REQUEST: u64 = 0;
/// }
/// LOG.with(|log| log.borrow_mut().push("started".into()));
/// assert_eq!(REQUEST.with(|request| *request), 0);
/// ```
#[macro_export]
macro_rules! coroutine_local {
    () => {};
    (#[inherit] $(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr; $($rest:tt)*) => {
        $(#[$attr])*
        $vis static $name: $crate::coroutine::LocalKey<$type> =
            $crate::coroutine::LocalKey::new_inherited(|| $init);
        $crate::coroutine_local! { $($rest)* }
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr; $($rest:tt)*) => {
        $(#[$attr])*
        $vis static $name: $crate::coroutine::LocalKey<$type> =
            $crate::coroutine::LocalKey::new(|| $init);
        $crate::coroutine_local! { $($rest)* }
    };
}
