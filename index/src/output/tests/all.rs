//! A result that has a column of each type that DuckDB gives, in both of the spellings that it has for some.

use super::super::cell::json_field;
use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{IntervalMonthDayNano, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit, UnionFields};
use rand::{Rng, RngExt};
use std::sync::Arc;

/// A string that has all that formats stumble over.
pub(super) fn words(rng: &mut impl Rng) -> String {
    const PARTS: [&str; 28] = [
        "",
        "a",
        "Größe",
        "日本語",
        "e\u{301}",
        "👩‍👩‍👧",
        ",",
        "\"",
        "\n",
        "\r\n",
        "\t",
        "|",
        "\\",
        "*b*",
        "[[note]]",
        "<br>",
        "&amp;",
        "_x_",
        "a_b",
        " ",
        "NULL",
        "\x1b[2J",
        "\u{202e}",
        "'",
        "`",
        "~~s~~",
        "{\"a\":1}",
        "$x$",
    ];
    let many = rng.random_range(0..5);
    (0..many)
        .map(|_| PARTS[rng.random_range(0..PARTS.len())])
        .collect()
}

fn opaque(field: Field, name: &str) -> Field {
    let more = format!("{{\"type_name\":\"{name}\",\"vendor_name\":\"DuckDB\"}}");
    extension(field, "arrow.opaque", &more)
}

pub(super) fn extension(field: Field, name: &str, more: &str) -> Field {
    let said = [("ARROW:extension:name", name), ("ARROW:extension:metadata", more)];
    field.with_metadata(said.map(|(key, value)| (key.to_owned(), value.to_owned())))
}

/// A batch of so many rows with random values, one in five of them none.
pub(super) fn batch(rng: &mut impl Rng, rows: usize) -> RecordBatch {
    let mut columns: Vec<(Field, ArrayRef)> = Vec::new();
    macro_rules! add {
        ($name:expr, $array:expr) => {{
            let array: ArrayRef = Arc::new($array);
            let field = Field::new($name, array.data_type().clone(), true);
            columns.push((field, array));
        }};
    }
    macro_rules! some {
        ($value:expr) => {
            (0..rows)
                .map(|_| rng.random_bool(0.8).then(|| $value))
                .collect::<Vec<_>>()
        };
    }
    add!("bool", BooleanArray::from(some!(rng.random::<bool>())));
    add!("i8", Int8Array::from(some!(rng.random::<i8>())));
    add!("i16", Int16Array::from(some!(rng.random::<i16>())));
    add!("i32", Int32Array::from(some!(rng.random::<i32>())));
    add!("i64", Int64Array::from(some!(rng.random::<i64>())));
    add!("u8", UInt8Array::from(some!(rng.random::<u8>())));
    add!("u16", UInt16Array::from(some!(rng.random::<u16>())));
    add!("u32", UInt32Array::from(some!(rng.random::<u32>())));
    add!("u64", UInt64Array::from(some!(rng.random::<u64>())));
    add!("f32", Float32Array::from(some!(f32::from_bits(rng.random()))));
    add!("f64", Float64Array::from(some!(f64::from_bits(rng.random()))));
    let huge = || i128::from(i64::MAX) * 1000;
    let decimals = Decimal128Array::from(some!(rng.random_range(-huge()..huge())));
    add!(
        "huge as decimal",
        decimals.with_precision_and_scale(38, 0).expect("fits")
    );
    let decimals = Decimal128Array::from(some!(rng.random_range(-99_999_i128..=99_999)));
    add!("decimal", decimals.with_precision_and_scale(18, 3).expect("fits"));
    let decimals = Decimal64Array::from(some!(rng.random_range(-99_999_i64..=99_999)));
    add!(
        "decimal64",
        decimals.with_precision_and_scale(18, 2).expect("fits")
    );
    add!(
        "date",
        Date32Array::from(some!(rng.random_range(-800_000..3_000_000)))
    );
    add!(
        "time",
        Time64MicrosecondArray::from(some!(rng.random_range(0..86_400_000_000)))
    );
    add!(
        "time ns",
        Time64NanosecondArray::from(some!(rng.random_range(0..86_400_000_000_000)))
    );
    add!(
        "stamp s",
        TimestampSecondArray::from(some!(rng.random_range(-1 << 40..1 << 40)))
    );
    add!(
        "stamp ms",
        TimestampMillisecondArray::from(some!(rng.random_range(-1 << 50..1 << 50)))
    );
    add!(
        "stamp us",
        TimestampMicrosecondArray::from(some!(rng.random::<i64>()))
    );
    add!(
        "stamp ns",
        TimestampNanosecondArray::from(some!(rng.random::<i64>()))
    );
    let zoned = TimestampMicrosecondArray::from(some!(rng.random_range(-1_i64 << 50..1 << 50)));
    add!("stamp zone", zoned.with_timezone("UTC"));
    let spans = some!(IntervalMonthDayNano::new(
        rng.random_range(-99..99),
        rng.random_range(-99..99),
        rng.random_range(-1_000_000_000_000..1_000_000_000_000)
    ));
    add!("interval", IntervalMonthDayNanoArray::from(spans));
    add!("text", StringArray::from(some!(words(rng))));
    add!("large text", LargeStringArray::from(some!(words(rng))));
    let views = some!(words(rng));
    add!("text view", StringViewArray::from_iter(views));
    let blobs = some!(words(rng).into_bytes());
    add!(
        "blob",
        blobs.iter().map(|blob| blob.as_deref()).collect::<BinaryArray>()
    );
    add!(
        "blob view",
        blobs
            .iter()
            .map(|blob| blob.as_deref())
            .collect::<BinaryViewArray>()
    );
    let enums = some!(["open", "done"][rng.random_range(0..2)]);
    add!("enum", enums.into_iter().collect::<DictionaryArray<UInt8Type>>());
    add!("nothing", NullArray::new(rows));

    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut fixed = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    let mut nested = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for _ in 0..rows {
        for at in 0..rng.random_range(0..4) {
            lists
                .values()
                .append_option(rng.random_bool(0.8).then(|| words(rng)));
            nested.values().values().append_value(at);
            nested.values().append(true);
            maps.keys().append_value(format!("{at}{}", words(rng)));
            maps.values().append_option(rng.random_bool(0.8).then_some(at));
        }
        let there = rng.random_bool(0.8);
        lists.append(there);
        nested.append(there);
        maps.append(there).expect("keys and values");
        fixed.values().append_value(rng.random());
        fixed.values().append_null();
        fixed.append(there);
    }
    add!("list", lists.finish());
    add!("array", fixed.finish());
    add!("nested", nested.finish());
    add!("map", maps.finish());

    let parts: Vec<(Arc<Field>, ArrayRef)> = vec![
        (
            Arc::new(Field::new("a", DataType::Utf8, true)),
            Arc::new(StringArray::from(some!(words(rng)))),
        ),
        (
            Arc::new(Field::new(
                "since",
                DataType::Timestamp(TimeUnit::Second, None),
                true,
            )),
            Arc::new(TimestampSecondArray::from(some!(rng.random_range(0..1 << 33)))),
        ),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let nulls = (0..rows)
        .map(|_| rng.random_bool(0.8))
        .collect::<Vec<bool>>()
        .into();
    add!(
        "struct",
        StructArray::new(Fields::from(fields), arrays, Some(nulls))
    );
    // A list of what Parquet has no type for.
    let spans = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3); rows]);
    let item = Arc::new(Field::new("l", spans.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(1, rows));
    add!("spans", ListArray::new(item, offsets, Arc::new(spans), None));
    let numbers: ArrayRef = Arc::new(Int64Array::from(some!(rng.random::<i64>())));
    let texts: ArrayRef = Arc::new(StringArray::from(some!(words(rng))));
    let members = [("number", DataType::Int64), ("text", DataType::Utf8)];
    let members = members.map(|(name, kind)| Field::new(name, kind, true));
    let ids: ScalarBuffer<i8> = (0..rows).map(|_| rng.random_range(0..2)).collect();
    let fields = UnionFields::try_new([0, 1], members).expect("members");
    add!(
        "union",
        UnionArray::try_new(fields, ids, None, vec![numbers, texts]).expect("union")
    );

    let jsons = some!(
        [
            "{\"a\": [1, 2.50, \"x y\\n\\\"\"]}",
            "null",
            "[ ]",
            "no json",
            "\"\u{202e}\""
        ][rng.random_range(0..5)]
    );
    let field = json_field(Field::new("json", DataType::Utf8, true));
    columns.push((field, Arc::new(StringArray::from(jsons))));
    let ids = some!(rng.random::<[u8; 16]>());
    let mut sixteen = |name: &str, of: fn(Field, &str) -> Field, kind: &str| {
        let mut array = FixedSizeBinaryBuilder::with_capacity(rows, 16);
        for id in &ids {
            match id {
                // A HUGEINT of 38 digits: Parquet holds no more.
                Some(id) => array
                    .append_value([&id[..15], &[id[15] >> 4]].concat())
                    .expect("16"),
                None => array.append_null(),
            }
        }
        columns.push((
            of(Field::new(name, DataType::FixedSizeBinary(16), true), kind),
            Arc::new(array.finish()),
        ));
    };
    sixteen("uuid", |field, kind| extension(field, kind, ""), "arrow.uuid");
    sixteen("hugeint", opaque, "hugeint");
    sixteen("uhugeint", opaque, "uhugeint");
    let bits = some!([vec![3, 0b1110_0101], vec![0, 0xff, 0]][rng.random_range(0..2)].clone());
    let bits: BinaryArray = bits.iter().map(|bits| bits.as_deref()).collect();
    columns.push((
        opaque(Field::new("bits", DataType::Binary, true), "bit"),
        Arc::new(bits),
    ));
    let bools = Int8Array::from(some!(i8::from(rng.random::<bool>())));
    columns.push((
        extension(Field::new("bool8", DataType::Int8, true), "arrow.bool8", ""),
        Arc::new(bools),
    ));

    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("a batch")
}
