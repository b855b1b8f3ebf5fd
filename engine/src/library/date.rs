//! Dates of folders, in UTC: the same picture lies in the same folder wherever the disk is read.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, 0 for times before.
pub(super) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// `YYYY-MM-DD` in UTC of milliseconds since 1970.
///
/// The civil calendar counted in eras of 400 years that begin in March (146,097 days), so that the
/// leap day is the last of its year.
pub(super) fn folder_name(unix_ms: u64) -> String {
    let days = unix_ms / 86_400_000 + 719_468; // since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        const DAY: u64 = 86_400_000;
        assert_eq!(folder_name(0), "1970-01-01");
        assert_eq!(folder_name(DAY * 59), "1970-03-01");
        assert_eq!(folder_name(951_782_400_000), "2000-02-29");
        assert_eq!(folder_name(951_868_800_000), "2000-03-01");
        assert_eq!(folder_name(1_735_689_599_999), "2024-12-31");
        assert_eq!(folder_name(1_735_689_600_000), "2025-01-01");
        assert_eq!(folder_name(4_107_542_400_000), "2100-03-01");
        assert_eq!(folder_name(4_107_542_399_999), "2100-02-28");
    }
}
