//! A number in a file of ours that may be infinite, which JSON's numbers cannot.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number; in JSON, a text such as `"inf"` if it is not finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct JsonNumber(pub(crate) f64);

impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => to.serialize_f64(self.0),
            false => to.serialize_str(&self.0.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for JsonNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<JsonNumber, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(number) => Ok(JsonNumber(number)),
            Either::Text(text) => text.parse().map(JsonNumber).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_json() {
        for (number, text) in
            [(0.1, "0.1"), (f64::INFINITY, "\"inf\""), (f64::NEG_INFINITY, "\"-inf\"")]
        {
            assert_eq!(serde_json::to_string(&JsonNumber(number)).unwrap(), text);
            assert_eq!(serde_json::from_str::<JsonNumber>(text).unwrap().0, number);
        }
        assert!(serde_json::from_str::<JsonNumber>("\"a\"").is_err());
    }
}
