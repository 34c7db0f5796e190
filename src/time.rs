//! Civil time and seconds since 1970, in UTC, in the forms that FTP uses. Pure: reads no clock.
//!
//! The calendar is Howard Hinnant's `days_from_civil`, exact for every year that fits.

use std::fmt;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const DAY_SECONDS: i64 = 86_400;
/// `ls` shows the clock of files younger than half a Gregorian year, and the year of the others.
const HALF_YEAR_SECONDS: i64 = 31_556_952 / 2;

/// A date and a time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    pub year: i64,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl CivilTime {
    /// The civil time `seconds` after 1970-01-01T00:00:00Z; before it for negative ones.
    pub fn from_unix(seconds: i64) -> CivilTime {
        let clock = seconds.rem_euclid(DAY_SECONDS);
        let days = seconds.div_euclid(DAY_SECONDS) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        CivilTime {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (day_of_year - (153 * shifted + 2) / 5 + 1) as u8,
            hour: (clock / 3600) as u8,
            minute: (clock / 60 % 60) as u8,
            second: (clock % 60) as u8,
        }
    }

    /// The seconds since 1970, or nothing where there is no such date or time, or they do not fit. A leap second (60)
    /// counts as the second after it.
    pub fn to_unix(self) -> Option<i64> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let month_days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(leap),
            _ => return None,
        };
        if self.day == 0 || self.day > month_days || self.hour > 23 || self.minute > 59 || self.second > 60 {
            return None;
        }
        // Wider than the answer, which alone has to fit.
        let year = i128::from(self.year) - i128::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = i128::from(self.month);
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i128::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let clock = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        i64::try_from(days * i128::from(DAY_SECONDS) + i128::from(clock)).ok()
    }
}

/// RFC 3659 section 2.3: `time-val = 14DIGIT`, in UTC; a year beyond 9999 or before 0 is shown as the nearest.
#[derive(Clone, Copy, Debug)]
pub struct TimeVal(pub i64);

impl TimeVal {
    /// The fourteen digits.
    pub fn digits(self) -> [u8; 14] {
        let t = CivilTime::from_unix(self.0.clamp(-62_167_219_200, 253_402_300_799));
        let (century, year) = ((t.year / 100) as u8, (t.year % 100) as u8);
        let mut fourteen = [0; 14];
        for (pair, number) in
            fourteen.chunks_exact_mut(2).zip([century, year, t.month, t.day, t.hour, t.minute, t.second])
        {
            pair.copy_from_slice(&digits(number));
        }
        fourteen
    }
}

impl fmt::Display for TimeVal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits().iter().try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
    }
}

/// The date of a LIST line, as `ls -l` has it: `Jan  2 03:04` within half a year of `now`, else `Jan  2  2006`.
#[derive(Clone, Copy, Debug)]
pub struct ListTime {
    pub modified: i64,
    pub now: i64,
}

impl ListTime {
    /// Appends it: twelve characters, more only where the year has more than four digits. By hand, for it is done for
    /// each line of a listing, and `write!` takes five times as long.
    pub fn put(self, output: &mut Vec<u8>) {
        let t = CivilTime::from_unix(self.modified);
        output.extend_from_slice(MONTHS[usize::from(t.month - 1)].as_bytes());
        let [tens, ones] = digits(t.day);
        output.extend_from_slice(&[b' ', if tens == b'0' { b' ' } else { tens }, ones, b' ']);
        if (-3600..HALF_YEAR_SECONDS).contains(&self.now.saturating_sub(self.modified)) {
            output.extend_from_slice(&digits(t.hour));
            output.push(b':');
            output.extend_from_slice(&digits(t.minute));
            return;
        }
        output.push(b' ');
        match u16::try_from(t.year) {
            Ok(year @ 1000..10_000) => {
                output.extend_from_slice(&digits((year / 100) as u8));
                output.extend_from_slice(&digits((year % 100) as u8));
            }
            _ => output.extend_from_slice(format!("{:4}", t.year).as_bytes()),
        }
    }
}

fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// The date of an xferlog line, ctime(3)'s form: `Thu Jan  1 00:00:00 1970`.
#[derive(Clone, Copy, Debug)]
pub struct LogTime(pub i64);

impl fmt::Display for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = CivilTime::from_unix(self.0);
        let weekday = WEEKDAYS[self.0.div_euclid(DAY_SECONDS).rem_euclid(7) as usize];
        let month = MONTHS[usize::from(t.month - 1)];
        write!(f, "{weekday} {month} {:>2} {:02}:{:02}:{:02} {}", t.day, t.hour, t.minute, t.second, t.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_time_round_trips() {
        for (seconds, shown) in [
            (0, "19700101000000"),
            (-1, "19691231235959"),
            (951_782_400, "20000229000000"),
            (1_767_323_045, "20260102030405"),
            (253_402_300_799, "99991231235959"),
        ] {
            assert_eq!(TimeVal(seconds).to_string(), shown);
            assert_eq!(CivilTime::from_unix(seconds).to_unix(), Some(seconds));
        }
        for seconds in [i64::MIN, i64::MIN + 1, i64::MAX] {
            assert_eq!(CivilTime::from_unix(seconds).to_unix(), Some(seconds));
        }
        let mut seconds = -70_000_000_000;
        while seconds < 70_000_000_000 {
            assert_eq!(CivilTime::from_unix(seconds).to_unix(), Some(seconds));
            seconds += 86_399 * 7;
        }
        assert_eq!(TimeVal(i64::MAX).to_string(), "99991231235959");
    }

    #[test]
    fn dates_that_are_none() {
        let right = CivilTime { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 60 };
        assert!(right.to_unix().is_some());
        let wrong = [
            CivilTime { year: 2023, ..right },
            CivilTime { month: 13, ..right },
            CivilTime { month: 0, ..right },
            CivilTime { day: 0, ..right },
            CivilTime { hour: 24, ..right },
            CivilTime { minute: 60, ..right },
            CivilTime { second: 61, ..right },
            CivilTime { year: i64::MAX, month: 1, ..right },
            CivilTime { year: i64::MIN, month: 1, ..right },
        ];
        assert!(wrong.iter().all(|time| time.to_unix().is_none()));
    }

    #[test]
    fn list_and_log_dates() {
        let now = 1_767_323_045;
        let shown = |modified: i64| {
            let mut output = Vec::new();
            ListTime { modified, now }.put(&mut output);
            String::from_utf8(output).unwrap()
        };
        assert_eq!(shown(now), "Jan  2 03:04");
        assert_eq!(shown(951_782_400), "Feb 29  2000");
        assert_eq!(shown(now + 86_400), "Jan  3  2026");
        assert_eq!(shown(-62_135_596_801), "Dec 31     0");
        assert_eq!(shown(253_402_300_800), "Jan  1  10000");
        for modified in (now - 40_000_000..now + 9_000).step_by(61) {
            let t = CivilTime::from_unix(modified);
            let month = MONTHS[usize::from(t.month - 1)];
            let clock = format!("{month} {:>2} {:02}:{:02}", t.day, t.hour, t.minute);
            let year = format!("{month} {:>2}  {}", t.day, t.year);
            let young = (now - HALF_YEAR_SECONDS + 1..=now + 3600).contains(&modified);
            assert_eq!(shown(modified), if young { clock } else { year });
        }
        assert_eq!(LogTime(0).to_string(), "Thu Jan  1 00:00:00 1970");
        assert_eq!(LogTime(now).to_string(), "Fri Jan  2 03:04:05 2026");
    }
}
