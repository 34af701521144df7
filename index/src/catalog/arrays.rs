//! Columns for DuckDB: Rust's values as Arrow arrays.

use std::sync::Arc;

use duckdb::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int8Array, Int32Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use duckdb::arrow::array::{Int8Builder, Int32Builder, ListBuilder, StringBuilder};
use jiff::civil::{Date, DateTime};

use crate::rows::When;

/// A day, counted from 1970.
pub(super) fn day(date: Date) -> i32 {
    let epoch = jiff::civil::date(1970, 1, 1);
    // Both lie within jiff's years, -9999 to 9999.
    epoch.until(date).ok().map_or(0, |span| span.get_days())
}

/// A local moment in microseconds from 1970.
pub(super) fn micros(moment: DateTime) -> i64 {
    let time = moment.time();
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    i64::from(day(moment.date())) * 86_400_000_000
        + seconds * 1_000_000
        + i64::from(time.subsec_nanosecond()) / 1000
}

pub(super) fn texts<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::<StringArray>::new(builder.finish())
}

pub(super) fn whole(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

pub(super) fn numbers(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Int32Array>())
}

pub(super) fn lines(values: impl Iterator<Item = Option<u32>>) -> ArrayRef {
    numbers(values.map(|line| line.map(|line| i32::try_from(line).unwrap_or(i32::MAX))))
}

pub(super) fn small(values: impl Iterator<Item = Option<u8>>) -> ArrayRef {
    Arc::new(
        values
            .map(|v| v.map(|v| i8::try_from(v).unwrap_or(i8::MAX)))
            .collect::<Int8Array>(),
    )
}

pub(super) fn flags(values: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(values.collect::<BooleanArray>())
}

pub(super) fn days(values: impl Iterator<Item = Option<When>>) -> ArrayRef {
    Arc::new(
        values
            .map(|when| when.map(|when| day(when.date)))
            .collect::<Date32Array>(),
    )
}

pub(super) fn moments(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>())
}

pub(super) fn text_lists<'a>(values: impl Iterator<Item = &'a [String]>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in values {
        list.iter().for_each(|text| builder.values().append_value(text));
        builder.append(true);
    }
    Arc::<ListArray>::new(builder.finish())
}

pub(super) fn small_lists(values: impl Iterator<Item = Vec<u8>>) -> ArrayRef {
    let mut builder = ListBuilder::new(Int8Builder::new());
    for list in values {
        list.iter()
            .for_each(|n| builder.values().append_value(i8::try_from(*n).unwrap_or(i8::MAX)));
        builder.append(true);
    }
    Arc::<ListArray>::new(builder.finish())
}

pub(super) fn number_lists(values: impl Iterator<Item = Vec<u32>>) -> ArrayRef {
    let mut builder = ListBuilder::new(Int32Builder::new());
    for list in values {
        list.iter().for_each(|n| {
            builder
                .values()
                .append_value(i32::try_from(*n).unwrap_or(i32::MAX))
        });
        builder.append(true);
    }
    Arc::<ListArray>::new(builder.finish())
}
