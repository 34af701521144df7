//! A row of a file's log: one change over its base.

use super::VERSION;
use super::chunk::{get_place, put_place};
use crate::chunk::Place;
use crate::codec::{Malformed, Reader, Writer};

/// One change over a file's base, in a row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// Bytes at an offset.
    Write(u64, Vec<u8>),
    /// Zeros (a hole): offset, length.
    Zero(u64, u64),
    /// The size was, for a moment, this.
    Truncate(u64),
    /// Bytes that lie sealed in a pack.
    Stored {
        /// Offset in the file.
        offset: u64,
        /// Where they lie.
        place: Place,
        /// The number in their associated data.
        serial: u64,
        /// How many of the opened bytes to skip.
        skip: u32,
        /// How many to take.
        take: u32,
    },
}

impl LogRecord {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        match self {
            LogRecord::Write(offset, data) => w.u8(1).u64(*offset).raw(data),
            LogRecord::Zero(offset, len) => w.u8(2).u64(*offset).u64(*len),
            LogRecord::Truncate(size) => w.u8(3).u64(*size),
            LogRecord::Stored {
                offset,
                place,
                serial,
                skip,
                take,
            } => {
                w.u8(4).u64(*offset).u64(*serial).u32(*skip).u32(*take);
                put_place(&mut w, *place);
                &mut w
            }
        };
        w.0
    }

    /// The inverse.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a record of this version.
    pub fn decode(bytes: &[u8]) -> Result<LogRecord, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u8()? != VERSION {
            return Err(Malformed("a log record of an unknown version"));
        }
        let record = match r.u8()? {
            1 => LogRecord::Write(r.u64()?, r.rest().to_vec()),
            2 => LogRecord::Zero(r.u64()?, r.u64()?),
            3 => LogRecord::Truncate(r.u64()?),
            4 => {
                let (offset, serial, skip, take) = (r.u64()?, r.u64()?, r.u32()?, r.u32()?);
                LogRecord::Stored {
                    offset,
                    place: get_place(&mut r)?,
                    serial,
                    skip,
                    take,
                }
            }
            _ => return Err(Malformed("a log record of an unknown kind")),
        };
        r.end()?;
        let end = match &record {
            LogRecord::Write(o, d) => o.checked_add(d.len() as u64),
            LogRecord::Zero(o, l) => o.checked_add(*l),
            LogRecord::Truncate(s) => Some(*s),
            LogRecord::Stored {
                offset,
                place,
                skip,
                take,
                ..
            } => {
                if u64::from(*skip) + u64::from(*take) > u64::from(place.len) {
                    return Err(Malformed("a log record takes more bytes than were stored"));
                }
                offset.checked_add(u64::from(*take))
            }
        };
        match end {
            Some(end) if end <= i64::MAX as u64 => Ok(record),
            _ => Err(Malformed("a log record beyond the end of any file")),
        }
    }
}
