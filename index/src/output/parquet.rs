//! Apache Parquet, compressed with Snappy.
//!
//! Guarantees: a row group is bounded in rows and in memory. What Parquet has no type for is text: spans in words, unions as
//! JSON. A column that is said to be JSON holds nothing else. Arrow's own schema is left out, so that all readers see the same types: Parquet's.

use super::cell::{Meaning, cell, json_field, meaning, stamp};
use super::json::{json, plain};
use super::names::unique;
use super::{Error, Sink};
use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use std::io::{self, Write};
use std::sync::Arc;

/// Of a row group; DuckDB's own size.
const ROWS: usize = 122_880;
const BYTES: usize = 16 << 20;

pub(super) struct Parquet<W: Write + Send> {
    schema: SchemaRef,
    target: SchemaRef,
    /// None once it has ended.
    writer: Option<ArrowWriter<W>>,
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn new(schema: &SchemaRef, out: W) -> Result<Parquet<W>, Error> {
        let fields: Vec<Field> = (schema.fields().iter().zip(unique(schema)))
            .map(|(field, name)| target(field).with_name(name).with_nullable(true))
            .collect();
        let target = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROWS))
            .set_max_row_group_bytes(Some(BYTES))
            .set_created_by("coffer".to_owned())
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        Ok(Parquet {
            schema: schema.clone(),
            target: target.clone(),
            writer: Some(ArrowWriter::try_new_with_options(out, target, options).map_err(failed)?),
        })
    }
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let columns = (self
            .schema
            .fields()
            .iter()
            .zip(self.target.fields())
            .zip(batch.columns()))
        .map(|((field, target), array)| convert(array, field, target))
        .collect::<Result<Vec<ArrayRef>, ArrowError>>();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(self.target.clone(), columns, &options))
            .map_err(|error| Error::Parquet(error.to_string()))?;
        writer.write(&batch).map_err(failed)
    }

    fn finish(&mut self) -> Result<(), Error> {
        if let Some(writer) = self.writer.take() {
            writer.close().map_err(failed)?;
        }
        Ok(())
    }
}

/// That nobody reads any more is told apart from what the library does not like.
fn failed(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => Error::Write(*error),
            Err(inner) => Error::Parquet(inner.to_string()),
        },
        other => Error::Parquet(other.to_string()),
    }
}

/// How the field is written.
fn target(field: &Field) -> Field {
    use DataType as T;
    let with = |kind| Field::new(field.name(), kind, true);
    let same = |item: &Arc<Field>| Arc::new(target(item).with_nullable(item.is_nullable()));
    match (meaning(field), field.data_type()) {
        (Meaning::Uuid, _) => field.clone(),
        (Meaning::Json, _) => json_field(with(T::Utf8)),
        (Meaning::Bool, _) => with(T::Boolean),
        (Meaning::Huge, _) => with(T::Decimal128(38, 0)),
        (Meaning::UnsignedHuge | Meaning::TimeWithZone | Meaning::Bits, _) => with(T::Utf8),
        (_, T::Interval(_) | T::Duration(_)) => with(T::Utf8),
        // Parquet knows neither.
        (_, T::Timestamp(TimeUnit::Second, zone)) => with(T::Timestamp(TimeUnit::Millisecond, zone.clone())),
        (_, T::Time32(TimeUnit::Second)) => with(T::Time32(TimeUnit::Millisecond)),
        (_, T::Date64) => with(T::Date32),
        (_, T::Union(..) | T::ListView(_) | T::LargeListView(_)) => json_field(with(T::Utf8)),
        (_, T::Dictionary(..)) => with(T::Utf8),
        (_, T::Struct(fields)) if fields.is_empty() => json_field(with(T::Utf8)),
        (_, T::Struct(fields)) if fields.iter().any(|field| field.name().is_empty()) => {
            json_field(with(T::Utf8))
        }
        (_, T::Struct(fields)) => with(T::Struct(fields.iter().map(same).collect())),
        (_, T::List(item)) => with(T::List(same(item))),
        (_, T::LargeList(item)) => with(T::LargeList(same(item))),
        (_, T::FixedSizeList(item, size)) => with(T::FixedSizeList(same(item), *size)),
        // Its keys and values keep their names and their order.
        (_, T::Map(item, sorted)) => match target(item).data_type() {
            entries @ T::Struct(_) => with(T::Map(
                Arc::new(Field::new(item.name(), entries.clone(), false)),
                *sorted,
            )),
            _ => json_field(with(T::Utf8)),
        },
        (_, kind) => with(kind.clone()),
    }
}

/// The array as [`target`] has it.
fn convert(array: &ArrayRef, field: &Field, to: &Field) -> Result<ArrayRef, ArrowError> {
    use DataType as T;
    let rows = || 0..array.len();
    let values = |row| cell(array.as_ref(), field, row);
    Ok(match (field.data_type(), to.data_type()) {
        (T::Struct(fields), T::Struct(targets)) => {
            let parts = array.as_struct();
            let columns = (fields.iter().zip(targets).zip(parts.columns()))
                .map(|((field, to), array)| convert(array, field, to))
                .collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new(
                targets.clone(),
                columns,
                parts.nulls().cloned(),
            )?)
        }
        (T::List(item), T::List(to)) => {
            let list = array.as_list::<i32>();
            let values = convert(list.values(), item, to)?;
            Arc::new(ListArray::try_new(
                to.clone(),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            )?)
        }
        (T::LargeList(item), T::LargeList(to)) => {
            let list = array.as_list::<i64>();
            let values = convert(list.values(), item, to)?;
            Arc::new(LargeListArray::try_new(
                to.clone(),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            )?)
        }
        (T::FixedSizeList(item, size), T::FixedSizeList(to, _)) => {
            let list = array.as_fixed_size_list();
            let values = convert(list.values(), item, to)?;
            Arc::new(FixedSizeListArray::try_new(
                to.clone(),
                *size,
                values,
                list.nulls().cloned(),
            )?)
        }
        (T::Map(item, _), T::Map(to, sorted)) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = convert(&entries, item, to)?.as_struct().clone();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(MapArray::try_new(to.clone(), offsets, entries, nulls, *sorted)?)
        }
        (_, T::Boolean) if meaning(field) == Meaning::Bool => {
            let bytes = array.as_primitive::<Int8Type>();
            Arc::new(
                bytes
                    .iter()
                    .map(|byte| byte.map(|byte| byte != 0))
                    .collect::<BooleanArray>(),
            )
        }
        (_, T::Decimal128(..)) if meaning(field) == Meaning::Huge => {
            let numbers = array.as_fixed_size_binary().iter();
            let number = |bytes: &[u8]| bytes.try_into().ok().map(i128::from_le_bytes);
            let numbers: Decimal128Array = numbers.map(|bytes| bytes.and_then(number)).collect();
            Arc::new(numbers.with_precision_and_scale(38, 0)?)
        }
        (T::Timestamp(TimeUnit::Second, zone), T::Timestamp(..)) => {
            // Without end stays so.
            let value = |row| match stamp(array.as_ref(), TimeUnit::Second, row) {
                less if less < 0 => less.checked_mul(1000).unwrap_or(-i64::MAX),
                more => more.checked_mul(1000).unwrap_or(i64::MAX),
            };
            let values = rows().map(|row| array.is_valid(row).then(|| value(row)));
            Arc::new(
                values
                    .collect::<TimestampMillisecondArray>()
                    .with_timezone_opt(zone.clone()),
            )
        }
        (T::Time32(TimeUnit::Second), T::Time32(TimeUnit::Millisecond)) => {
            let times = array.as_primitive::<Time32SecondType>().iter();
            let times = times.map(|time| time.and_then(|time| time.checked_mul(1000)));
            Arc::new(times.collect::<Time32MillisecondArray>())
        }
        (T::Date64, T::Date32) => {
            let dates = array.as_primitive::<Date64Type>().iter();
            let day = |millis: i64| i32::try_from(millis.div_euclid(86_400_000)).ok();
            Arc::new(dates.map(|date| date.and_then(day)).collect::<Date32Array>())
        }
        // One text that is no JSON, and readers refuse a whole column that is said to be some.
        (from, T::Utf8) if *from != T::Utf8 || meaning(to) == Meaning::Json => {
            let text = |row| match values(row) {
                super::cell::Cell::Null => None,
                cell if meaning(to) == Meaning::Json => {
                    let mut text = String::new();
                    json(&cell, &mut text);
                    Some(text)
                }
                cell => Some(plain(&cell).into_owned()),
            };
            Arc::new(rows().map(text).collect::<StringArray>())
        }
        _ => array.clone(),
    })
}
