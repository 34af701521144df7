//! Calendars: iCalendar's events and tasks (RFC 5545), and the zones in which their times are said.

use std::str::FromStr;

use calcard::common::PartialDateTime;
use calcard::common::timezone::Tz;
use calcard::icalendar::{
    ICalendarComponent, ICalendarDuration, ICalendarEntry, ICalendarProperty, ICalendarStatus, ICalendarValue,
};
use calcard::{Entry, Parser};
use jiff::civil;
use jiff::tz::TimeZone;

use super::properties::{self, Block};
use super::tag;
use crate::rows::{Event, Extract, Status, Task, When};

pub(super) fn read(text: &str, zone: &TimeZone, out: &mut Extract) {
    let blocks = properties::blocks(text, &["VTIMEZONE", "VEVENT", "VTODO"], out);
    let mut zones = Zones {
        local: zone,
        named: Vec::new(),
        ruled: Vec::new(),
    };
    let component = |block: &Block, out: &mut Extract| match Parser::new(&block.text).entry() {
        Entry::ICalendar(read) => read.components.into_iter().next(),
        _ => {
            out.problem(block.line, format!("This {} could not be read.", block.name));
            None
        }
    };
    for block in blocks.iter().filter(|block| block.name == "VTIMEZONE") {
        if let Some(component) = component(block, out)
            && let Some((name, tz)) = component.timezone()
        {
            zones.named.push((name.to_owned(), tz));
        } else if let Some(name) = block.written("TZID").next()
            && let Some(tz) = ruled(block)
        {
            zones.ruled.push((name.to_owned(), tz));
        }
    }
    for block in blocks.iter().filter(|block| block.name != "VTIMEZONE") {
        let Some(component) = component(block, out) else {
            continue;
        };
        let item = Item {
            component: &component,
            block,
            zones: &zones,
        };
        match &*block.name {
            "VEVENT" => {
                let event = item.event(out);
                out.events.push(event);
            }
            _ => {
                let task = item.task(out);
                out.tasks.push(task);
            }
        }
    }
}

struct Zones<'a> {
    /// In which moments are told.
    local: &'a TimeZone,
    /// Those that the file defines.
    named: Vec<(String, Tz)>,
    /// Those whose names say nothing, by the rules that the file gives.
    ruled: Vec<(String, TimeZone)>,
}

/// A zone by its rules, as POSIX says them: the newest of winter's and of summer's.
fn ruled(block: &Block) -> Option<TimeZone> {
    let parts = properties::blocks(&block.text, &["STANDARD", "DAYLIGHT"], &mut Extract::default());
    let newest = |name: &str| {
        let parts = parts.iter().filter(|part| part.name == name);
        parts.max_by_key(|part| part.written("DTSTART").next().map(str::to_owned))
    };
    // POSIX counts westwards.
    let offset = |part: &Block| {
        let says = part.written("TZOFFSETTO").next()?.trim();
        let (sign, digits) = (
            if says.starts_with('-') { "" } else { "-" },
            says.trim_start_matches(['+', '-']),
        );
        Some(format!("{sign}{}:{}", digits.get(..2)?, digits.get(2..4)?))
    };
    let change = |part: &Block| {
        let rule = part.written("RRULE").next()?.to_ascii_uppercase();
        let of = |key: &str| {
            rule.split(';')
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        };
        let (month, day) = (of("BYMONTH")?, of("BYDAY")?);
        let (week, day) = day.split_at_checked(day.len().checked_sub(2)?)?;
        let day = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"]
            .iter()
            .position(|name| *name == day)?;
        let week = if week == "-1" {
            "5"
        } else {
            week.trim_start_matches('+')
        };
        let time = part.written("DTSTART").next()?.split_once('T')?.1;
        Some(format!(
            ",M{month}.{week}.{day}/{}:{}",
            time.get(..2)?,
            time.get(2..4)?
        ))
    };
    let (winter, summer) = (newest("STANDARD"), newest("DAYLIGHT"));
    let says = match (winter, summer) {
        (Some(winter), Some(summer)) => {
            let changes = change(summer)? + &change(winter)?;
            format!("STD{}DST{}{changes}", offset(winter)?, offset(summer)?)
        }
        (one, other) => format!("STD{}", offset(one.or(other)?)?),
    };
    TimeZone::posix(&says).ok()
}

impl Zones<'_> {
    fn find(&self, name: &str) -> Option<Tz> {
        let defined = self.named.iter().find(|(other, _)| other == name);
        defined.map(|(_, tz)| *tz).or_else(|| Tz::from_str(name).ok())
    }
}

struct Item<'a> {
    component: &'a ICalendarComponent,
    block: &'a Block,
    zones: &'a Zones<'a>,
}

fn text(value: &ICalendarValue) -> String {
    match value {
        ICalendarValue::Uri(uri) => uri.to_unwrapped_string(),
        ICalendarValue::Integer(number) => number.to_string(),
        other => other.as_text().unwrap_or_default().trim().to_owned(),
    }
}

fn values(entry: &ICalendarEntry) -> impl Iterator<Item = String> {
    entry.values.iter().map(text).filter(|text| !text.is_empty())
}

/// An address of mail without its scheme.
fn address(text: &str) -> String {
    match text.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest.to_owned(),
        _ => text.to_owned(),
    }
}

impl Item<'_> {
    fn first(&self, property: ICalendarProperty) -> Option<String> {
        self.component
            .property(&property)
            .and_then(|entry| values(entry).next())
    }

    fn all(&self, property: ICalendarProperty) -> Vec<String> {
        self.component.properties(&property).flat_map(values).collect()
    }

    fn categories(&self) -> Vec<String> {
        let mut tags = Vec::new();
        for category in self.all(ICalendarProperty::Categories) {
            tag::add(&mut tags, &category);
        }
        tags
    }

    fn recurrence(&self) -> Option<String> {
        let entry = self.component.property(&ICalendarProperty::Rrule)?;
        match entry.values.first()? {
            ICalendarValue::RecurrenceRule(rule) => Some(rule.to_string()),
            other => Some(text(other)).filter(|rule| !rule.is_empty()),
        }
    }

    /// A moment as it is told here.
    fn when(&self, property: ICalendarProperty, out: &mut Extract) -> Option<When> {
        let name = property.as_str().to_owned();
        let entry = self.component.property(&property)?;
        let value = entry.values.first()?;
        let read = match value {
            ICalendarValue::PartialDateTime(when) => self.moment(when, entry.tz_id(), out),
            _ => None,
        };
        if read.is_none() {
            out.problem(
                self.block.line,
                format!("{name} of this {} is no date.", self.block.name),
            );
        }
        read
    }

    fn moment(&self, when: &PartialDateTime, zone: Option<&str>, out: &mut Extract) -> Option<When> {
        let date = civil::Date::new(
            i16::try_from(when.year?).ok()?,
            when.month? as i8,
            when.day? as i8,
        )
        .ok()?;
        let Some(hour) = when.hour else {
            return Some(date.into());
        };
        // A leap second is told as the second before it.
        let second = when.second.unwrap_or(0).min(59);
        let time = civil::Time::new(hour as i8, when.minute.unwrap_or(0) as i8, second as i8, 0).ok()?;
        let by_rule = zone.filter(|_| when.tz_hour.is_none());
        let by_rule = by_rule.and_then(|name| self.zones.ruled.iter().find(|(other, _)| other == name));
        if let Some((_, tz)) = by_rule {
            let moment = tz.to_timestamp(date.to_datetime(time)).ok()?;
            let local = self.zones.local.to_datetime(moment);
            return Some(When {
                date: local.date(),
                time: Some(local.time()),
            });
        }
        let zone = match (when.tz_hour, zone) {
            (Some(_), _) => Some(Tz::Floating),
            (None, Some(name)) => {
                let found = self.zones.find(name);
                if found.is_none() {
                    let reason = format!("The zone {name} is unknown: its times are taken for local ones.");
                    out.problem(self.block.line, reason);
                }
                found
            }
            (None, None) => None,
        };
        let Some(zone) = zone else {
            return Some(When {
                date,
                time: Some(time),
            });
        };
        // A time that a clock leaps over has no moment: it is told as it is said.
        let said = When {
            date,
            time: Some(time),
        };
        let counted = PartialDateTime {
            second: Some(second),
            ..when.clone()
        };
        let moment = counted
            .to_date_time_with_tz(zone)
            .and_then(|at| jiff::Timestamp::from_second(at.timestamp()).ok());
        let Some(moment) = moment else {
            return Some(said);
        };
        let local = self.zones.local.to_datetime(moment);
        Some(When {
            date: local.date(),
            time: Some(local.time()),
        })
    }

    fn duration(&self) -> Option<ICalendarDuration> {
        match self
            .component
            .property(&ICalendarProperty::Duration)?
            .values
            .first()?
        {
            ICalendarValue::Duration(duration) => Some(duration.clone()),
            _ => None,
        }
    }

    /// When it ends: as it says, by its duration, or else with the day on which it begins.
    fn end(&self, start: Option<When>, says: Option<When>) -> Option<When> {
        if says.is_some() {
            return says;
        }
        let start = start?;
        let begin = start.date.to_datetime(start.time.unwrap_or_default());
        match (self.duration(), start.time) {
            // Days are days of its zone's calendar, hours are exact (RFC 5545 §3.3.6).
            (Some(duration), Some(_)) => self.after(&duration),
            (Some(duration), time) => {
                let end = begin
                    .checked_add(jiff::SignedDuration::from_secs(duration.as_seconds()))
                    .ok()?;
                let is_day = time.is_none() && end.time() == civil::Time::midnight();
                Some(When {
                    date: end.date(),
                    time: (!is_day).then_some(end.time()),
                })
            }
            (None, None) => Some(start.date.tomorrow().ok()?.into()),
            (None, Some(_)) => Some(start),
        }
    }

    /// The moment that lies behind DTSTART by this.
    fn after(&self, duration: &ICalendarDuration) -> Option<When> {
        let sign = if duration.neg { -1 } else { 1 };
        let entry = self.component.property(&ICalendarProperty::Dtstart)?;
        let ICalendarValue::PartialDateTime(when) = entry.values.first()? else {
            return None;
        };
        let days = i64::from(duration.weeks) * 7 + i64::from(duration.days);
        let seconds = duration.as_seconds() - sign * days * 86_400;
        let date = civil::Date::new(
            i16::try_from(when.year?).ok()?,
            when.month? as i8,
            when.day? as i8,
        )
        .ok()?;
        let date = date
            .checked_add(jiff::SignedDuration::from_hours(sign * days * 24))
            .ok()?;
        let when = PartialDateTime {
            year: Some(date.year() as u16),
            month: Some(date.month() as u8),
            day: Some(date.day() as u8),
            ..(**when).clone()
        };
        let begin = self.moment(&when, entry.tz_id(), &mut Extract::default())?;
        let begin = begin.date.to_datetime(begin.time?);
        let moment = self.zones.local.to_timestamp(begin).ok()?;
        let end = self.zones.local.to_datetime(
            moment
                .checked_add(jiff::SignedDuration::from_secs(seconds))
                .ok()?,
        );
        Some(When {
            date: end.date(),
            time: Some(end.time()),
        })
    }

    fn event(&self, out: &mut Extract) -> Event {
        let start = self.when(ICalendarProperty::Dtstart, out);
        let says = self.when(ICalendarProperty::Dtend, out);
        let zone = self
            .component
            .property(&ICalendarProperty::Dtstart)
            .and_then(|entry| entry.tz_id());
        Event {
            summary: self.first(ICalendarProperty::Summary).unwrap_or_default(),
            description: self.first(ICalendarProperty::Description),
            location: self.first(ICalendarProperty::Location),
            start,
            end: self.end(start, says),
            zone: zone.map(str::to_owned),
            recurrence: self.recurrence(),
            status: self.status().map(|status| format!("{status:?}").to_lowercase()),
            organizer: self.first(ICalendarProperty::Organizer).map(|who| address(&who)),
            attendees: self
                .all(ICalendarProperty::Attendee)
                .iter()
                .map(|who| address(who))
                .collect(),
            categories: self.categories(),
            url: self.first(ICalendarProperty::Url),
            uid: self.first(ICalendarProperty::Uid),
            properties: self.block.json(),
            line: self.block.line,
        }
    }

    fn status(&self) -> Option<&ICalendarStatus> {
        self.component.status()
    }

    fn task(&self, out: &mut Extract) -> Task {
        let done = self.when(ICalendarProperty::Completed, out);
        let start = self.when(ICalendarProperty::Dtstart, out);
        let says = self.when(ICalendarProperty::Due, out);
        let due = match self.duration() {
            Some(_) => self.end(start, says),
            None => says,
        };
        let percent = self.component.property(&ICalendarProperty::PercentComplete);
        let percent = percent.and_then(|entry| entry.values.first()?.as_integer());
        let priority = self.component.property(&ICalendarProperty::Priority);
        let priority = priority.and_then(|entry| entry.values.first()?.as_integer());
        Task {
            source: "calendar",
            text: self.first(ICalendarProperty::Summary).unwrap_or_default(),
            status: match self.status() {
                Some(ICalendarStatus::Completed) => Status::Done,
                Some(ICalendarStatus::Cancelled) => Status::Cancelled,
                Some(ICalendarStatus::InProcess) => Status::InProgress,
                _ if done.is_some() => Status::Done,
                None if percent == Some(100) => Status::Done,
                _ if percent.is_some_and(|p| p > 0) => Status::InProgress,
                _ => Status::Open,
            },
            due,
            start,
            done,
            created: self.when(ICalendarProperty::Created, out),
            // 0 says that there is none.
            priority: priority
                .and_then(|p| u8::try_from(p).ok())
                .filter(|p| (1..=9).contains(p)),
            tags: self.categories(),
            recurrence: self.recurrence(),
            id: self.first(ICalendarProperty::Uid),
            raw: self.block.json(),
            line: self.block.line,
            ..Task::default()
        }
    }
}
