//! What a completed ticket carries: nothing, a descriptor, static bytes, or a value of any type.
//!
//! A 32-byte enum, put into the ticket's slot (`cargo.rs`) by the one party that won the ticket. A losing
//! party never writes it: its payload comes back in the error.
//!
//! # Invariants
//!
//! 1. A payload is 32 bytes, so that a slot stays one cache line.
//! 2. Addresses are numbers here; nothing in this module follows one.
//!
//! # Who calls this, and what it may call
//!
//! Anyone. Only [`Payload::value`] allocates.

#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;

const _: () = assert!(size_of::<Payload>() == 32);

/// What a ticket is completed with.
///
/// ```
/// use kcoro::token::Payload;
///
/// let reply = Payload::descriptor(0x1000, 2, 0, 7);
/// assert_eq!((reply.addr(), reply.len(), reply.status(), reply.descriptor_id()), (0x1000, 2, 0, 7));
/// assert_eq!(Payload::bytes(b"OK").as_bytes(), Some(&b"OK"[..]));
/// assert_eq!(Payload::value(5_u32).downcast::<u32>().unwrap(), 5);
/// ```
#[derive(Default)]
pub struct Payload(pub(super) Form);

/// What a payload can be.
#[derive(Default)]
pub(super) enum Form {
    #[default]
    Empty,
    Descriptor {
        status: i32,
        addr: usize,
        len: usize,
        id: u64,
    },
    Static {
        status: i32,
        bytes: &'static [u8],
    },
    Value(Box<dyn Any + Send>),
}

impl Payload {
    /// No payload: the event itself is the news. Status 0.
    pub const fn empty() -> Payload {
        Payload(Form::Empty)
    }

    /// A region of memory by address (a number) and length (bytes), a status (0, or a negative
    /// error number) and the id of the descriptor that owns the region.
    pub const fn descriptor(addr: usize, len: usize, status: i32, id: u64) -> Payload {
        Payload(Form::Descriptor { status, addr, len, id })
    }

    /// Bytes that live as long as the program. Status 0.
    pub const fn bytes(bytes: &'static [u8]) -> Payload {
        Payload(Form::Static { status: 0, bytes })
    }

    /// Nothing but a status: 0, or a negative error number.
    pub const fn status_only(status: i32) -> Payload {
        Payload(Form::Static { status, bytes: &[] })
    }

    /// A value of any type; it is boxed.
    pub fn value<T: Send + 'static>(value: T) -> Payload {
        Payload(Form::Value(Box::new(value)))
    }

    /// The address of the region or of the static bytes; 0 if there are none.
    pub fn addr(&self) -> usize {
        match &self.0 {
            Form::Descriptor { addr, .. } => *addr,
            Form::Static { bytes, .. } => bytes.as_ptr().addr(),
            Form::Empty | Form::Value(_) => 0,
        }
    }

    /// The length in bytes of the region or of the static bytes; 0 if there are none.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Descriptor { len, .. } => *len,
            Form::Static { bytes, .. } => bytes.len(),
            Form::Empty | Form::Value(_) => 0,
        }
    }

    /// Whether [`len`](Self::len) is 0 and there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !matches!(self.0, Form::Value(_))
    }

    /// 0, or the negative error number that the completer gave.
    pub fn status(&self) -> i32 {
        match self.0 {
            Form::Descriptor { status, .. } | Form::Static { status, .. } => status,
            Form::Empty | Form::Value(_) => 0,
        }
    }

    /// The id of the descriptor; 0 if there is none.
    pub fn descriptor_id(&self) -> u64 {
        match self.0 {
            Form::Descriptor { id, .. } => id,
            _ => 0,
        }
    }

    /// The static bytes, if that is the form.
    pub fn as_bytes(&self) -> Option<&'static [u8]> {
        match self.0 {
            Form::Static { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The value, if it is a `T`.
    ///
    /// # Errors
    ///
    /// The payload itself, if it has another form or holds another type.
    pub fn downcast<T: 'static>(self) -> Result<T, Payload> {
        match self.0 {
            Form::Value(value) => match value.downcast::<T>() {
                Ok(value) => Ok(*value),
                Err(value) => Err(Payload(Form::Value(value))),
            },
            other => Err(Payload(other)),
        }
    }

    /// Whether dropping it does nothing, which a signal handler needs.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.0, Form::Value(_))
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Payload {
        Payload::bytes(bytes)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Empty => f.write_str("Payload::Empty"),
            Form::Descriptor { status, addr, len, id } => f
                .debug_struct("Payload::Descriptor")
                .field("addr", &format_args!("{addr:#x}"))
                .field("len", len)
                .field("status", status)
                .field("id", id)
                .finish(),
            Form::Static { status, bytes } => f
                .debug_struct("Payload::Static")
                .field("len", &bytes.len())
                .field("status", status)
                .finish(),
            Form::Value(_) => f.write_str("Payload::Value(..)"),
        }
    }
}
