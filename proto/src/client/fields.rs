//! How an object of a frame is read: every field by name, with the name in the complaint.
//!
//! Unlike serde's derived readers these take no array for an object and no `null` for an absent field.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use confab_chat::Rejection;
use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::frame_error::{bad, complaint};

/// Declares an object by its fields: the name on the wire, the name here, the type. All are optional to the reader;
/// [`need`] asks for the others. Fields not named are skipped.
macro_rules! object {
    ($(#[$doc:meta])* $vis:vis struct $name:ident<$life:lifetime> { $($key:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Default)]
        $vis struct $name<$life> {
            $($field: Option<$type>,)*
            frame: std::marker::PhantomData<&$life str>,
        }

        impl<$life> serde::Deserialize<$life> for $name<$life> {
            fn deserialize<D: serde::Deserializer<$life>>(deserializer: D) -> Result<Self, D::Error> {
                struct Reading<$life>(std::marker::PhantomData<$name<$life>>);

                impl<$life> serde::de::Visitor<$life> for Reading<$life> {
                    type Value = $name<$life>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<$life>>(
                        self,
                        mut map: A,
                    ) -> Result<Self::Value, A::Error> {
                        let mut fields = $name::default();
                        while let Some(key) = map.next_key::<$crate::client::fields::Text<'_>>()? {
                            match &*key.0 {
                                $($key => $crate::client::fields::take(&mut map, $key, &mut fields.$field)?,)*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(fields)
                    }
                }

                deserializer.deserialize_map(Reading(std::marker::PhantomData))
            }
        }
    };
}
pub(super) use object;

/// Reads the value of a field that must not have come before.
pub(super) fn take<'de, A, T>(map: &mut A, key: &str, slot: &mut Option<T>) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if slot.is_some() {
        return Err(A::Error::custom(format_args!("{key} is given twice")));
    }
    let value = map
        .next_value()
        .map_err(|error| A::Error::custom(format_args!("{key}: {error}")))?;
    *slot = Some(value);
    Ok(())
}

/// Reads a part of a frame.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Rejection> {
    serde_json::from_str(json).map_err(|error| complaint(&error))
}

/// Reads the value of one field of a frame.
pub(super) fn read_field<'a, T: Deserialize<'a>>(key: &str, json: &'a str) -> Result<T, Rejection> {
    read(json).map_err(|rejection| bad(format!("{key}: {}", rejection.message)))
}

/// The value of a field that must be there.
pub(super) fn need<T>(value: Option<T>, key: &str) -> Result<T, Rejection> {
    value.ok_or_else(|| bad(format!("{key} is missing")))
}

/// A string, borrowed from the frame where it has no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}

/// The largest number taken where an integer is wanted: what fits the signed 64 bits that a store may hold.
const MAX_WHOLE: u64 = i64::MAX as u64;

/// An integer, not negative.
#[derive(Clone, Copy)]
pub(super) struct Whole(pub(super) u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl Visitor<'_> for Counting {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer that is not negative and below 2^63")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                if number > MAX_WHOLE {
                    return Err(E::invalid_value(Unexpected::Unsigned(number), &self));
                }
                Ok(Whole(number))
            }
        }

        deserializer.deserialize_u64(Counting)
    }
}

/// A list of at most `MAX` values; a longer one is refused while it is read.
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collecting<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Collecting<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array of at most {MAX} values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    if values.len() == MAX {
                        return Err(A::Error::invalid_length(MAX + 1, &self));
                    }
                    values.push(value);
                }
                Ok(List(values))
            }
        }

        deserializer.deserialize_seq(Collecting(PhantomData))
    }
}
