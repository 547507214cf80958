use super::*;
use jiff::Timestamp;
use proptest::prelude::*;

fn shown(text: &str, now: &str) -> Option<String> {
    let now: Timestamp = now.parse().unwrap();
    let zone = Zone::find("+01:00").unwrap();
    let ns = read(text.as_bytes(), &zone, || now.as_nanosecond() as i64)?;
    Some(Timestamp::from_nanosecond(ns.into()).unwrap().to_string())
}

#[test]
fn times_of_every_usual_shape_are_read() {
    let cases = [
        ("2024-02-29 12:00:00", "2024-02-29T11:00:00Z"),
        ("2024-02-29 12:00", "2024-02-29T11:00:00Z"),
        ("2024-02-29", "2024-02-28T23:00:00Z"),
        ("2024-2-9 3:04:05", "2024-02-09T02:04:05Z"),
        ("2024-02-29 12:00:00,250", "2024-02-29T11:00:00.25Z"),
        ("2024-02-29 12:00:00.250 +0530", "2024-02-29T06:30:00.25Z"),
        ("2024-02-29T12:00:00 UTC", "2024-02-29T12:00:00Z"),
        ("2024-02-29 12:00:00.123456 CEST", "2024-02-29T10:00:00.123456Z"),
        ("2024-02-29 12:00:00+02", "2024-02-29T10:00:00Z"),
        ("2024-02-29 12:00:00 PST", "2024-02-29T20:00:00Z"),
        ("2024/02/29 12:00:00", "2024-02-29T11:00:00Z"),
        ("2024/02/29 12:00:00.5Z", "2024-02-29T12:00:00.5Z"),
        ("2024.02.29 12:00:00", "2024-02-29T11:00:00Z"),
        ("2024-Feb-29 12:00:00", "2024-02-29T11:00:00Z"),
        ("20240229T120000Z", "2024-02-29T12:00:00Z"),
        ("20240229 12:00:00.75", "2024-02-29T11:00:00.75Z"),
        ("240229 12:00:00", "2024-02-29T11:00:00Z"),
        ("240229  2:06:07", "2024-02-29T01:06:07Z"),
        ("29/Feb/2024:12:00:00 +0000", "2024-02-29T12:00:00Z"),
        ("29-Feb-2024 12:00:00.250", "2024-02-29T11:00:00.25Z"),
        ("29 Feb 2024 12:00:00", "2024-02-29T11:00:00Z"),
        ("29 february 2024, 12:00:00", "2024-02-29T11:00:00Z"),
        ("29.02.2024 12:00:00", "2024-02-29T11:00:00Z"),
        ("Thu, 29 Feb 2024 12:00:00 GMT", "2024-02-29T12:00:00Z"),
        ("Thu Feb 29 12:00:00.223541 2024", "2024-02-29T11:00:00.223541Z"),
        ("Thu Feb 29 12:00:00 EST 2024", "2024-02-29T17:00:00Z"),
        ("Thu Feb 29 12:00:00 2024 +0000", "2024-02-29T12:00:00Z"),
        ("Thursday, February 29, 2024 1:00:00 PM", "2024-02-29T12:00:00Z"),
        ("Feb 29, 2024 12:30:00 AM", "2024-02-28T23:30:00Z"),
        ("Feb 29 2024 12:00:00 MSK", "2024-02-29T09:00:00Z"),
        ("  Feb  9 12:00:00 ", "2024-02-09T11:00:00Z"),
        ("29/Feb/2024:23:59:60 +0000", "2024-03-01T00:00:00Z"),
    ];
    for (text, utc) in cases {
        assert_eq!(shown(text, "2024-06-01T00:00:00Z").as_deref(), Some(utc), "{text}");
    }
}

#[test]
fn a_missing_year_is_guessed_around_new_year() {
    let cases = [
        ("Dec 31 23:59:59", "2025-01-01T00:00:03Z", "2024-12-31T22:59:59Z"),
        ("Jan  1 00:00:04", "2024-12-31T23:00:03Z", "2024-12-31T23:00:04Z"),
        ("Jan  2 12:00:00", "2024-12-31T23:00:03Z", "2024-01-02T11:00:00Z"),
        ("Wed Dec 31 23:59:59", "2025-01-01T00:00:03Z", "2024-12-31T22:59:59Z"),
        ("Feb 29 12:00:00 UTC", "2025-03-01T00:00:00Z", "2024-02-29T12:00:00Z"),
    ];
    for (text, now, utc) in cases {
        assert_eq!(shown(text, now).as_deref(), Some(utc), "{text} read at {now}");
    }
}

#[test]
fn other_texts_are_not_times() {
    for text in [
        "",
        "-",
        "now",
        "12:00:00",
        "2024",
        "2024-02",
        "2024-02-30",
        "2024-02-29 24:00:00",
        "2024-02-29 12:60:00",
        "2024-02-29 12:00:00 XYZ",
        "2024-02-29 12:00:00 IST",
        "2024-02-29 12:00:00.",
        "2024-02-29 12:00:00 extra",
        "02/03/2024 12:00:00",
        "29 Foo 2024 12:00:00",
        "Feb 30 12:00:00",
        "Feb 29 13:00:00 PM 2024",
        "Foo Feb 29 12:00:00 2024",
        "2024/02-29",
        "Feb 29 12:00:00 24",
        "2024-02-29 12:00:00 +1",
        "29/Feb/24:12:00:00",
    ] {
        assert_eq!(shown(text, "2024-06-01T00:00:00Z"), None, "{text}");
    }
}

proptest! {
    #[test]
    fn every_second_is_read_back(seconds in 0i64..4_000_000_000, hours in -12i8..=14) {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(hours));
        let time = Timestamp::from_second(seconds).unwrap().to_zoned(zone);
        for format in ["%Y/%m/%d %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%A %B %d %I:%M:%S %p %:z %Y", "%d.%m.%Y %H:%M:%S%z"] {
            let text = time.strftime(format).to_string();
            let ns = read(text.as_bytes(), &Zone::Fixed(0), || 0);
            prop_assert_eq!(ns, Some(seconds * 1_000_000_000), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9A-Za-z:/., +-]{0,30}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = read(text.as_bytes(), &Zone::Fixed(0), || 0);
        let _ = read(&bytes, &Zone::Fixed(0), || 0);
    }
}
