//! What each type becomes in JSON and in CSV, word by word, as docs/output.md says it.

use super::all::extension;
use super::{Format, PLAIN, read, text};
use crate::output::with_json;
use arrow_array::types::*;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;

/// The one value of an array, in JSON and in CSV.
fn both(field: Field, array: ArrayRef) -> (String, String) {
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = [RecordBatch::try_new(schema, vec![array]).expect("a batch")];
    let line = text(Format::JsonLines, &PLAIN, &batch);
    let line = line
        .strip_prefix("{\"x\":")
        .and_then(|line| line.strip_suffix("}\n"))
        .expect("an object");
    let csv = read::csv(&text(Format::Csv, &PLAIN, &batch))
        .pop()
        .and_then(|mut row| row.pop());
    (line.to_owned(), csv.flatten().unwrap_or_default())
}

/// Guards the words: programs are written against them.
#[test]
fn each_type_has_its_words() {
    let decimal = |array: Decimal128Array, scale| -> ArrayRef {
        Arc::new(array.with_precision_and_scale(38, scale).expect("fits"))
    };
    let cases: Vec<(ArrayRef, &str, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "true", "true"),
        (
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            "18446744073709551615",
            "18446744073709551615",
        ),
        (
            Arc::new(Float64Array::from(vec![0.1 + 0.2])),
            "0.30000000000000004",
            "0.30000000000000004",
        ),
        (Arc::new(Float32Array::from(vec![0.1_f32])), "0.1", "0.1"),
        (Arc::new(Float64Array::from(vec![1e300])), "1e300", "1e300"),
        (Arc::new(Float64Array::from(vec![3.0])), "3.0", "3.0"),
        (Arc::new(Float64Array::from(vec![f64::NAN])), "null", "NaN"),
        (
            Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])),
            "null",
            "-inf",
        ),
        (
            decimal(vec![i128::MIN].into(), 0),
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
        ),
        (decimal(vec![-5].into(), 2), "-0.05", "-0.05"),
        (decimal(vec![1250].into(), 2), "12.50", "12.50"),
        (
            Arc::new(Date32Array::from(vec![20_513])),
            "\"2026-03-01\"",
            "2026-03-01",
        ),
        (
            Arc::new(Time64MicrosecondArray::from(vec![50_709_500_000])),
            "\"14:05:09.5\"",
            "14:05:09.5",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1_772_373_909_000_000])),
            "\"2026-03-01T14:05:09\"",
            "2026-03-01 14:05:09",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1_772_373_909_000_001]).with_timezone("+01:00")),
            "\"2026-03-01T15:05:09.000001+01:00\"",
            "2026-03-01 15:05:09.000001+01:00",
        ),
        (
            Arc::new(IntervalMonthDayNanoArray::from(vec![
                IntervalMonthDayNanoType::make_value(1, 3, 0),
            ])),
            "\"1 month 3 days\"",
            "1 month 3 days",
        ),
        (
            Arc::new(BinaryArray::from(vec![&[0_u8, 0xab][..]])),
            "\"00ab\"",
            "00ab",
        ),
        (
            Arc::new(StringArray::from(vec!["a\u{9b}\u{202e}\n"])),
            "\"a\\u009b\\u202e\\n\"",
            "a\u{9b}\u{202e}\n",
        ),
        (
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([
                Some(1),
                None,
            ])])),
            "[1,null]",
            "[1,null]",
        ),
    ];
    for (array, json, csv) in cases {
        let field = Field::new("x", array.data_type().clone(), true);
        assert_eq!(both(field, array), (json.to_owned(), csv.to_owned()));
    }
}

/// Guards what DuckDB says beside an array, in its own bytes.
#[test]
fn duckdbs_own_types_are_understood() {
    let opaque = |kind: DataType, name: &str| {
        let more = format!("{{\"type_name\":\"{name}\",\"vendor_name\":\"DuckDB\"}}");
        extension(Field::new("x", kind, true), "arrow.opaque", &more)
    };
    let fixed = |bytes: &[u8]| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_from_iter([bytes.to_vec()].into_iter()).expect("fixed"))
    };
    let sixteen = DataType::FixedSizeBinary(16);
    let id: Vec<u8> = (0..16).collect();
    let uuid = extension(Field::new("x", sixteen.clone(), true), "arrow.uuid", "");
    assert_eq!(both(uuid, fixed(&id)).1, "00010203-0405-0607-0809-0a0b0c0d0e0f");
    let least = i128::MIN.to_le_bytes();
    assert_eq!(
        both(opaque(sixteen.clone(), "hugeint"), fixed(&least)).0,
        i128::MIN.to_string()
    );
    assert_eq!(
        both(opaque(sixteen.clone(), "uhugeint"), fixed(&[0xff; 16])).0,
        u128::MAX.to_string()
    );
    // 12:00:00+02:00.
    let time = (43_200_000_000_u64 << 24) | (57_599 - 7200);
    let time = both(
        opaque(DataType::FixedSizeBinary(8), "time_tz"),
        fixed(&time.to_le_bytes()),
    );
    assert_eq!(time.1, "12:00:00+02:00");
    let bits = BinaryArray::from(vec![&[3_u8, 0b1110_0101][..]]);
    assert_eq!(both(opaque(DataType::Binary, "bit"), Arc::new(bits)).1, "00101");
    // Of somebody else, it is bytes.
    let other = extension(Field::new("x", sixteen, true), "arrow.opaque", "no json");
    assert_eq!(both(other, fixed(&id)).1, "000102030405060708090a0b0c0d0e0f");
}

/// Guards JSON in a column of text: embedded where it is JSON, on one line, with its numbers as written; else a string.
#[test]
fn json_is_embedded() {
    let deep = "[".repeat(100_000);
    for (said, json) in [
        (
            " {\"a\": [1.50, 1e2,\n\"x \\\" y\\\\\"] } ",
            "{\"a\":[1.50,1e2,\"x \\\" y\\\\\"]}",
        ),
        ("12345678901234567890123", "12345678901234567890123"),
        ("no", "\"no\""),
        ("", "\"\""),
        ("\"\\ud800\"", "\"\\\"\\\\ud800\\\"\""),
        ("{}{}", "\"{}{}\""),
        ("\"\u{202e}\"", "\"\\u202e\""),
        (deep.as_str(), format!("\"{deep}\"").as_str()),
    ] {
        let array: ArrayRef = Arc::new(StringArray::from(vec![said]));
        let plain = Schema::new(vec![Field::new("x", DataType::Utf8, true)]);
        assert_eq!(with_json(&plain, &["y"]).as_ref(), &plain);
        let field = with_json(&plain, &["x"]).field(0).clone();
        assert_eq!(both(field, array), (json.to_owned(), said.to_owned()));
    }
}
