//! Values of Arrow arrays as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, downcast_dictionary_array};
use arrow_schema::DataType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::arrow_limits::{Budget, Exhausted};
use super::raw::PromptError;

/// Why a value cannot be read.
#[derive(Debug)]
pub(super) enum ValueError {
    /// Its type has no meaning in a prompt file, such as a date.
    Type(String),
    Exhausted(Exhausted),
}

impl From<Exhausted> for ValueError {
    fn from(exhausted: Exhausted) -> ValueError {
        ValueError::Exhausted(exhausted)
    }
}

impl ValueError {
    /// The error of a value in a column of a row.
    pub(super) fn in_column(self, place: &str, column: &str) -> PromptError {
        match self {
            ValueError::Exhausted(exhausted) => exhausted.into(),
            ValueError::Type(name) => PromptError::Row {
                place: place.to_owned(),
                reason: format!("the column {column:?} has values of type {name}"),
                hint: Some(
                    "save it as texts, numbers or lists of them, or remove the column".to_owned(),
                ),
            },
        }
    }
}

/// The value of an array at an index below its length. NaN and infinite numbers are null, as in the other formats; bytes
/// that are not UTF-8 are Base64.
pub(super) fn value(
    array: &dyn Array,
    index: usize,
    budget: &mut Budget,
) -> Result<Json, ValueError> {
    budget.take_value(0)?;
    if array.is_null(index) {
        return Ok(Json::Null);
    }
    let text = |text: &str, budget: &mut Budget| -> Result<Json, ValueError> {
        budget.take_value(text.len())?;
        Ok(Json::from(text))
    };
    let bytes = |bytes: &[u8], budget: &mut Budget| match std::str::from_utf8(bytes) {
        Ok(valid) => text(valid, budget),
        Err(_) => {
            budget.take_value(bytes.len().saturating_mul(2))?;
            Ok(Json::from(STANDARD.encode(bytes)))
        }
    };
    match array.data_type() {
        DataType::Null => Ok(Json::Null),
        DataType::Boolean => Ok(array.as_boolean().value(index).into()),
        DataType::Int8 => Ok(array.as_primitive::<Int8Type>().value(index).into()),
        DataType::Int16 => Ok(array.as_primitive::<Int16Type>().value(index).into()),
        DataType::Int32 => Ok(array.as_primitive::<Int32Type>().value(index).into()),
        DataType::Int64 => Ok(array.as_primitive::<Int64Type>().value(index).into()),
        DataType::UInt8 => Ok(array.as_primitive::<UInt8Type>().value(index).into()),
        DataType::UInt16 => Ok(array.as_primitive::<UInt16Type>().value(index).into()),
        DataType::UInt32 => Ok(array.as_primitive::<UInt32Type>().value(index).into()),
        DataType::UInt64 => Ok(array.as_primitive::<UInt64Type>().value(index).into()),
        DataType::Float16 => Ok(array.as_primitive::<Float16Type>().value(index).to_f64().into()),
        DataType::Float32 => Ok(array.as_primitive::<Float32Type>().value(index).into()),
        DataType::Float64 => Ok(array.as_primitive::<Float64Type>().value(index).into()),
        DataType::Utf8 => text(array.as_string::<i32>().value(index), budget),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(index), budget),
        DataType::Utf8View => text(array.as_string_view().value(index), budget),
        DataType::Binary => bytes(array.as_binary::<i32>().value(index), budget),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(index), budget),
        DataType::BinaryView => bytes(array.as_binary_view().value(index), budget),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(index), budget),
        DataType::List(_) => list(array.as_list::<i32>().value(index).as_ref(), budget),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(index).as_ref(), budget),
        DataType::ListView(_) => list(array.as_list_view::<i32>().value(index).as_ref(), budget),
        DataType::LargeListView(_) => {
            list(array.as_list_view::<i64>().value(index).as_ref(), budget)
        }
        DataType::FixedSizeList(..) => {
            list(array.as_fixed_size_list().value(index).as_ref(), budget)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let mut keys = Map::new();
            for (field, column) in fields.iter().zip(columns) {
                budget.take_value(field.name().len())?;
                keys.insert(field.name().to_owned(), value(column.as_ref(), index, budget)?);
            }
            Ok(Json::Object(keys))
        }
        DataType::Dictionary(..) => {
            let (values, key) = downcast_dictionary_array!(
                array => (array.values().clone(), array.key(index)),
                other => return Err(ValueError::Type(other.to_string()))
            );
            key.map_or(Ok(Json::Null), |key| value(values.as_ref(), key, budget))
        }
        other => Err(ValueError::Type(other.to_string())),
    }
}

fn list(array: &dyn Array, budget: &mut Budget) -> Result<Json, ValueError> {
    (0..array.len()).map(|index| value(array, index, budget)).collect()
}
