//! Maps and free-form values that refuse a key that comes twice.
//!
//! `serde_json` lets the last of two equal keys win, silently, wherever no struct is behind the
//! map; in a configuration that is a setting that does nothing. For `#[serde(deserialize_with)]`.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A map whose keys are all different, in the order written; or nothing.
///
/// # Errors
/// Where a key comes twice, or a value is not of its type.
pub fn map<'de, D, V>(from: D) -> Result<Option<Vec<(String, V)>>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    Ok(Option::<Unique<V>>::deserialize(from)?.map(|unique| unique.0))
}

/// Any value, all of whose maps have different keys; `null` is one.
///
/// # Errors
/// Where a key comes twice.
pub fn value<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Ok(Some(Free::deserialize(from)?.0))
}

struct Unique<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut keys = HashSet::new();
        let mut pairs = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, V>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            pairs.push((key, value));
        }
        Ok(Unique(pairs))
    }
}

struct Free(Value);

impl<'de> Deserialize<'de> for Free {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(FreeVisitor)
    }
}

struct FreeVisitor;

impl<'de> Visitor<'de> for FreeVisitor {
    type Value = Free;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Free, E> {
        Ok(Free(v.into()))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Free, E> {
        Ok(Free(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Free, E> {
        Ok(Free(v.into()))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Free, E> {
        let number = serde_json::Number::from_f64(v);
        number.map(|n| Free(n.into())).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, v: &str) -> Result<Free, E> {
        Ok(Free(v.into()))
    }

    fn visit_string<E>(self, v: String) -> Result<Free, E> {
        Ok(Free(v.into()))
    }

    fn visit_unit<E>(self) -> Result<Free, E> {
        Ok(Free(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Free, E> {
        Ok(Free(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Free, D::Error> {
        Free::deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Free, A::Error> {
        let mut list = Vec::new();
        while let Some(Free(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Free(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Free, A::Error> {
        let mut map = Map::new();
        while let Some((key, Free(value))) = entries.next_entry::<String, Free>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            map.insert(key, value);
        }
        Ok(Free(Value::Object(map)))
    }
}
