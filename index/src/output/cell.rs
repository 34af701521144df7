//! One value of an array, whatever its type: what all formats are written from.
//!
//! Guarantees: numbers are exact. A type is looked at to the depth that [`check`] has allowed; a value that does not
//! keep to its type (text that is no JSON) is taken for what it is.

use super::{Error, moment};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, downcast_dictionary_array};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

/// A type within a type, no deeper than this: whoever writes it does so by recursion.
const DEPTH_MAX: usize = 64;

/// One value.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i128),
    /// Digits, with a point perhaps.
    Number(String),
    Single(f32),
    Double(f64),
    /// A date, a time, a span.
    Moment(String),
    /// Day and time: JSON has a `T` between them.
    Stamp(String),
    Text(&'a str),
    /// Text that stands in no array as such.
    Made(String),
    /// Text that is said to be JSON.
    Json(&'a str),
    Bytes(&'a [u8]),
    List(Vec<Cell<'a>>),
    Struct(Vec<(&'a str, Cell<'a>)>),
    Map(Vec<(Cell<'a>, Cell<'a>)>),
}

/// What a column holds, as far as its looks depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// Never cut.
    Moment,
    Text,
}

/// What stands behind an array's type, as the database says beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    Json,
    Uuid,
    Bool,
    Huge,
    UnsignedHuge,
    TimeWithZone,
    Bits,
}

const NAME: &str = "ARROW:extension:name";
const MORE: &str = "ARROW:extension:metadata";

/// What the field says of itself, where its array is as that wants it.
pub(super) fn meaning(field: &Field) -> Meaning {
    use DataType as T;
    let said = |key| {
        field
            .metadata()
            .get(key)
            .map_or("", |text: &String| text.as_str())
    };
    let kind = match said(NAME) {
        "arrow.opaque" => match serde_json::from_str::<serde_json::Value>(said(MORE)) {
            Ok(more) if more["vendor_name"] == "DuckDB" => {
                more["type_name"].as_str().unwrap_or("").to_owned()
            }
            _ => return Meaning::Plain,
        },
        name => name.to_owned(),
    };
    match (kind.as_str(), field.data_type()) {
        ("arrow.json", T::Utf8 | T::LargeUtf8 | T::Utf8View) => Meaning::Json,
        ("arrow.uuid", T::FixedSizeBinary(16)) => Meaning::Uuid,
        ("arrow.bool8", T::Int8) => Meaning::Bool,
        ("hugeint", T::FixedSizeBinary(16)) => Meaning::Huge,
        ("uhugeint", T::FixedSizeBinary(16)) => Meaning::UnsignedHuge,
        ("time_tz", T::FixedSizeBinary(8)) => Meaning::TimeWithZone,
        ("bit", T::Binary | T::LargeBinary | T::BinaryView) => Meaning::Bits,
        _ => Meaning::Plain,
    }
}

/// The field, said to be JSON.
pub(super) fn json_field(field: Field) -> Field {
    let mut said = field.metadata().clone();
    said.insert(NAME.to_owned(), "arrow.json".to_owned());
    said.insert(MORE.to_owned(), String::new());
    field.with_metadata(said)
}

/// Whether [`cell`] can read it; `column` is for the error.
pub(super) fn check(column: &Field, field: &Field, depth: usize) -> Result<(), Error> {
    use DataType as T;
    if depth > DEPTH_MAX {
        return Err(Error::Deep(column.name().clone()));
    }
    match field.data_type() {
        T::List(item)
        | T::LargeList(item)
        | T::FixedSizeList(item, _)
        | T::ListView(item)
        | T::LargeListView(item)
        | T::Map(item, _) => check(column, item, depth + 1),
        T::Struct(fields) => fields
            .iter()
            .try_for_each(|field| check(column, field, depth + 1)),
        T::Union(fields, _) => fields
            .iter()
            .try_for_each(|(_, field)| check(column, field, depth + 1)),
        T::Dictionary(_, values) => check(column, &Field::new("", values.as_ref().clone(), true), depth + 1),
        T::RunEndEncoded(..) => Err(Error::Type {
            column: column.name().clone(),
            kind: field.data_type().to_string(),
        }),
        _ => Ok(()),
    }
}

/// What a column holds.
pub(super) fn kind(field: &Field) -> Kind {
    use DataType as T;
    match meaning(field) {
        Meaning::Huge | Meaning::UnsignedHuge => return Kind::Number,
        Meaning::Bool | Meaning::TimeWithZone => return Kind::Moment,
        _ => {}
    }
    match field.data_type() {
        T::Boolean
        | T::Date32
        | T::Date64
        | T::Time32(_)
        | T::Time64(_)
        | T::Timestamp(..)
        | T::Interval(_)
        | T::Duration(_) => Kind::Moment,
        other if other.is_numeric() => Kind::Number,
        _ => Kind::Text,
    }
}

/// The value in a row.
pub(super) fn cell<'a>(array: &'a dyn Array, field: &'a Field, row: usize) -> Cell<'a> {
    use DataType as T;
    // A union has no nulls of its own, and an array of nulls does not count them.
    if array.is_null(row) {
        return Cell::Null;
    }
    macro_rules! int {
        ($kind:ty) => {
            Cell::Int(array.as_primitive::<$kind>().value(row).into())
        };
    }
    macro_rules! decimal {
        ($kind:ty, $scale:expr) => {
            decimal(
                array.as_primitive::<$kind>().value(row).to_string(),
                *$scale,
            )
        };
    }
    macro_rules! list {
        ($list:expr, $item:expr) => {{
            let list = $list;
            let (from, size) = (list.value_offsets()[row] as usize, list.value_length_at(row));
            items(list.values().as_ref(), $item, from, size)
        }};
    }
    match array.data_type() {
        T::Null => Cell::Null,
        T::Boolean => Cell::Bool(array.as_boolean().value(row)),
        T::Int8 if meaning(field) == Meaning::Bool => {
            Cell::Bool(array.as_primitive::<Int8Type>().value(row) != 0)
        }
        T::Int8 => int!(Int8Type),
        T::Int16 => int!(Int16Type),
        T::Int32 => int!(Int32Type),
        T::Int64 => int!(Int64Type),
        T::UInt8 => int!(UInt8Type),
        T::UInt16 => int!(UInt16Type),
        T::UInt32 => int!(UInt32Type),
        T::UInt64 => int!(UInt64Type),
        T::Float16 => Cell::Single(array.as_primitive::<Float16Type>().value(row).to_f32()),
        T::Float32 => Cell::Single(array.as_primitive::<Float32Type>().value(row)),
        T::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row)),
        T::Decimal32(_, scale) => decimal!(Decimal32Type, scale),
        T::Decimal64(_, scale) => decimal!(Decimal64Type, scale),
        T::Decimal128(_, scale) => decimal!(Decimal128Type, scale),
        T::Decimal256(_, scale) => decimal!(Decimal256Type, scale),
        T::Date32 => Cell::Moment(moment::date(array.as_primitive::<Date32Type>().value(row).into())),
        T::Date64 => {
            let days = array
                .as_primitive::<Date64Type>()
                .value(row)
                .div_euclid(86_400_000);
            Cell::Moment(moment::date(days))
        }
        T::Time32(unit) => {
            let value = match unit {
                TimeUnit::Second => array.as_primitive::<Time32SecondType>().value(row),
                _ => array.as_primitive::<Time32MillisecondType>().value(row),
            };
            Cell::Moment(moment::time(i128::from(value) * moment::nanos_of(*unit)))
        }
        T::Time64(unit) => {
            let value = match unit {
                TimeUnit::Microsecond => array.as_primitive::<Time64MicrosecondType>().value(row),
                _ => array.as_primitive::<Time64NanosecondType>().value(row),
            };
            Cell::Moment(moment::time(i128::from(value) * moment::nanos_of(*unit)))
        }
        T::Timestamp(unit, zone) => {
            Cell::Stamp(moment::stamp(stamp(array, *unit, row), *unit, zone.as_deref()))
        }
        T::Duration(unit) => {
            let value = match unit {
                TimeUnit::Second => array.as_primitive::<DurationSecondType>().value(row),
                TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().value(row),
                TimeUnit::Microsecond => array.as_primitive::<DurationMicrosecondType>().value(row),
                TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().value(row),
            };
            Cell::Moment(moment::span(0, 0, i128::from(value) * moment::nanos_of(*unit)))
        }
        T::Interval(unit) => Cell::Moment(match unit {
            IntervalUnit::YearMonth => moment::span(
                array.as_primitive::<IntervalYearMonthType>().value(row).into(),
                0,
                0,
            ),
            IntervalUnit::DayTime => {
                let span = array.as_primitive::<IntervalDayTimeType>().value(row);
                moment::span(0, span.days.into(), i128::from(span.milliseconds) * 1_000_000)
            }
            IntervalUnit::MonthDayNano => {
                let span = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                moment::span(span.months.into(), span.days.into(), span.nanoseconds.into())
            }
        }),
        T::Utf8 => text(array.as_string::<i32>().value(row), field),
        T::LargeUtf8 => text(array.as_string::<i64>().value(row), field),
        T::Utf8View => text(array.as_string_view().value(row), field),
        T::Binary => bytes(array.as_binary::<i32>().value(row), field),
        T::LargeBinary => bytes(array.as_binary::<i64>().value(row), field),
        T::BinaryView => bytes(array.as_binary_view().value(row), field),
        T::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(row), field),
        T::List(_) => list!(array.as_list::<i32>(), item(field)),
        T::LargeList(_) => list!(array.as_list::<i64>(), item(field)),
        T::ListView(_) => list!(array.as_list_view::<i32>(), item(field)),
        T::LargeListView(_) => list!(array.as_list_view::<i64>(), item(field)),
        T::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let from = list.value_offset_at(row);
            items(list.values().as_ref(), item(field), from, *size as usize)
        }
        T::Struct(_) => {
            let T::Struct(fields) = field.data_type() else {
                return Cell::Null;
            };
            let columns = array.as_struct().columns();
            let parts = fields.iter().zip(columns);
            Cell::Struct(
                parts
                    .map(|(field, array)| (field.name().as_str(), cell(array.as_ref(), field, row)))
                    .collect(),
            )
        }
        T::Map(..) => {
            let map = array.as_map();
            let T::Struct(fields) = item(field).data_type() else {
                return Cell::Null;
            };
            let [key, value] = &fields[..] else {
                return Cell::Null;
            };
            let (from, to) = (
                map.value_offsets()[row] as usize,
                map.value_offsets()[row + 1] as usize,
            );
            let pair = |at| {
                (
                    cell(map.keys().as_ref(), key, at),
                    cell(map.values().as_ref(), value, at),
                )
            };
            Cell::Map((from..to).map(pair).collect())
        }
        T::Union(..) => {
            let (union, T::Union(fields, _)) = (array.as_union(), field.data_type()) else {
                return Cell::Null;
            };
            let (id, at) = (union.type_id(row), union.value_offset(row));
            match fields.iter().find(|(of, _)| *of == id) {
                Some((_, member)) => cell(union.child(id).as_ref(), member, at),
                None => Cell::Null,
            }
        }
        T::Dictionary(..) => downcast_dictionary_array!(
            array => match array.key(row) {
                // Their field, too: an enum is text, whatever the dictionary says of itself.
                Some(key) => cell(array.values().as_ref(), field, key),
                None => Cell::Null,
            },
            _ => Cell::Null
        ),
        T::RunEndEncoded(..) => Cell::Null,
    }
}

/// The number that a moment is, in its own unit.
pub(super) fn stamp(array: &dyn Array, unit: TimeUnit, row: usize) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
    }
}

/// Of lists and of views of lists: how long the one in a row is.
trait Lengths {
    fn value_length_at(&self, row: usize) -> usize;
}
impl<O: arrow_array::OffsetSizeTrait> Lengths for arrow_array::GenericListArray<O> {
    fn value_length_at(&self, row: usize) -> usize {
        self.value_length(row).as_usize()
    }
}
impl<O: arrow_array::OffsetSizeTrait> Lengths for arrow_array::GenericListViewArray<O> {
    fn value_length_at(&self, row: usize) -> usize {
        self.value_size(row).as_usize()
    }
}

fn items<'a>(values: &'a dyn Array, item: &'a Field, from: usize, size: usize) -> Cell<'a> {
    Cell::List((from..from + size).map(|at| cell(values, item, at)).collect())
}

/// What a list's or map's items are said to be; itself if it is neither, which its array then is not either.
fn item(field: &Field) -> &Field {
    match field.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => item,
        _ => field,
    }
}

fn text<'a>(text: &'a str, field: &Field) -> Cell<'a> {
    match meaning(field) {
        Meaning::Json => Cell::Json(text),
        _ => Cell::Text(text),
    }
}

fn bytes<'a>(bytes: &'a [u8], field: &Field) -> Cell<'a> {
    let made = match (meaning(field), bytes) {
        (Meaning::Uuid, id) => {
            let hex = hex(id);
            let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
            let parts = parts.map(|(from, to)| hex.get(from..to).unwrap_or_default());
            return Cell::Made(parts.join("-"));
        }
        (Meaning::Huge, b) => b.try_into().ok().map(|b| Cell::Int(i128::from_le_bytes(b))),
        (Meaning::UnsignedHuge, b) => {
            (b.try_into().ok()).map(|b| Cell::Number(u128::from_le_bytes(b).to_string()))
        }
        // 40 bits of microseconds, 24 of how far the zone is west of the easternmost one, as DuckDB has them.
        (Meaning::TimeWithZone, b) => b.try_into().ok().map(u64::from_le_bytes).map(|bits| {
            let time = moment::time(i128::from(bits >> 24) * 1000);
            let west = i32::try_from(bits & 0xff_ffff).unwrap_or(0);
            Cell::Moment(format!("{time}{}", moment::offset(16 * 3600 - 1 - west)))
        }),
        // The first byte says how many bits of the second are none, as DuckDB has them.
        (Meaning::Bits, [unused, rest @ ..]) => {
            let bits = rest
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
            Some(Cell::Made(
                bits.skip(usize::from(*unused))
                    .map(|bit| if bit == 1 { '1' } else { '0' })
                    .collect(),
            ))
        }
        _ => None,
    };
    made.unwrap_or(Cell::Bytes(bytes))
}

/// Digits and how many of them stand behind the point.
fn decimal<'a>(digits: String, scale: i8) -> Cell<'a> {
    if scale <= 0 {
        let zeros = if digits == "0" {
            0
        } else {
            usize::from(scale.unsigned_abs())
        };
        return Cell::Number(digits + &"0".repeat(zeros));
    }
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.as_str()),
    };
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    Cell::Number(format!("{sign}{whole}.{part}"))
}

/// Small letters, without a prefix: as checksums are written.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let both = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
    bytes.iter().flat_map(both).collect()
}
