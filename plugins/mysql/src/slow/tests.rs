use super::*;
use heka_plugin_api::testing::DecoderTest;
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn decode_all(toml: &str, frame: &str) -> Result<Vec<OwnedMessage>, String> {
    DecoderTest::<MysqlSlowDecoder>::open(toml).unwrap().decode(frame.as_bytes())
}

/// The payload and the fields, as `name=value` in order.
fn shown(message: &OwnedMessage) -> (String, String) {
    let view = message.view();
    let value = |value: Value<'_>| match value {
        Value::String(text) => String::from_utf8_lossy(text).into_owned(),
        value => format!("{value:?}"),
    };
    let fields: Vec<String> = view
        .fields()
        .map(|field| format!("{}={}", String::from_utf8_lossy(field.name()), value(field.value(0).unwrap())))
        .collect();
    (String::from_utf8_lossy(view.payload()).into_owned(), fields.join("|"))
}

fn check(toml: &str, frame: &str, time: i64, payload: &str, fields: &str) {
    let messages = decode_all(toml, frame).unwrap_or_else(|reason| panic!("{frame}: {reason}"));
    assert_eq!(shown(&messages[0]), (payload.to_owned(), fields.to_owned()), "{frame}");
    assert_eq!(messages[0].view().timestamp(), time, "{frame}");
}

const MYSQL: &str = "# Time: 2024-02-29T12:00:01.250000Z
# User@Host: app[app] @ web1 [192.0.2.7]  Id:    42
# Query_time: 1.250000  Lock_time: 0.000002 Rows_sent: 1  Rows_examined: 90000
use shop;
SET timestamp=1709208000;
SELECT count(*) FROM orders
 WHERE note LIKE '%late%';
";

const MARIADB: &str = "# User@Host: report reader[report reader] @ localhost []
# Thread_id: 6  Schema: shop  QC_hit: No
# Query_time: 0.000734  Lock_time: 0.000493  Rows_sent: 1  Rows_examined: 0
# Rows_affected: 0  Bytes_sent: 65
# Pages_read_time: 0.0000  Engine_time: 0.0200
# Full_scan: Yes  Full_join: No
#
# explain: id	select_type	table
# explain: 1	SIMPLE	items
#
SET timestamp=1709208000;
select 'a # Time: of
# day';
# Time: 240229  2:06:07";

#[test]
fn entries_of_mysql_and_mariadb_are_read() {
    check(
        "",
        MYSQL,
        1_709_208_001_250_000_000,
        "SELECT count(*) FROM orders\n WHERE note LIKE '%late%'",
        "user=app|host=web1|ip=192.0.2.7|thread_id=42|query_time=1.25|lock_time=2e-6|rows_sent=1|rows_examined=90000|database=shop",
    );
    check(
        "",
        MARIADB,
        1_709_208_000_000_000_000,
        "select 'a # Time: of\n# day'",
        "user=report reader|host=localhost|thread_id=6|qc_hit=false|query_time=0.000734|lock_time=0.000493|rows_sent=1|rows_examined=0|rows_affected=0|bytes_sent=65|pages_read_time=0.0|engine_time=0.02|full_scan=true|full_join=false|database=shop|explain=id\tselect_type\ttable\n# explain: 1\tSIMPLE\titems",
    );
}

#[test]
fn times_come_from_where_they_are() {
    let rest =
        "# User@Host: a[a] @ h []\n# Query_time: 1 Lock_time: 0 Rows_sent: 0 Rows_examined: 0\nselect 1;";
    let fields = "user=a|host=h|query_time=1.0|lock_time=0.0|rows_sent=0|rows_examined=0";
    check(
        "timezone = '+01:00'",
        &format!("# Time: 240229 13:00:00\n{rest}"),
        1_709_208_000_000_000_000,
        "select 1",
        fields,
    );
    check(
        "",
        &format!("# Time: 2024-02-29T13:00:00.5+01:00\n{rest}"),
        1_709_208_000_500_000_000,
        "select 1",
        fields,
    );
    check("", rest, 0, "select 1", fields);
    let set = rest.replace("select 1", "SET last_insert_id=5,insert_id=6,timestamp=1709208000;\nselect 1");
    check("", &set, 1_709_208_000_000_000_000, "select 1", fields);
}

#[test]
fn statements_may_be_cut_and_may_be_commands() {
    let head = "# User@Host: a[] @  [::1]\n# Query_time: 1 Lock_time: 0 Rows_sent: 0 Rows_examined: 0\n";
    let fields = "user=a|ip=::1|query_time=1.0|lock_time=0.0|rows_sent=0|rows_examined=0";
    check(
        "statement_bytes_max = 8",
        &format!("{head}select é;"),
        0,
        "select ",
        &format!("{fields}|truncated=true"),
    );
    check("statement_bytes_max = 9", &format!("{head}select é;"), 0, "select é", fields);
    check("", &format!("{head}# administrator command: Quit;"), 0, "administrator command: Quit", fields);
    check("", &format!("{head}set x=1;\nselect 2;"), 0, "set x=1;\nselect 2", fields);
    check("", &format!("{head}SET timestamp=0;\n# note: x\nuse shop;"), 0, "# note: x\nuse shop", fields);
    check("", head, 0, "", fields);
}

#[test]
fn what_servers_write_by_themselves_makes_no_message() {
    let header = "/usr/sbin/mariadbd, Version: 10.11.19-MariaDB. started with:\nTcp port: 0  Unix socket: /run/s\nTime\t\t    Id Command\tArgument\n";
    for frame in [header, "# Time: 261123  2:06:07", "", "\n"] {
        assert_eq!(decode_all("", frame).unwrap().len(), 0, "{frame}");
    }
    assert_eq!(
        shown(&decode_all("", &format!("{header}{MARIADB}")).unwrap()[0]),
        shown(&decode_all("", MARIADB).unwrap()[0])
    );
    let followed = format!("{MYSQL}{header}");
    assert_eq!(shown(&decode_all("", &followed).unwrap()[0]).0, shown(&decode_all("", MYSQL).unwrap()[0]).0);
}

#[test]
fn other_frames_say_why() {
    let check = |frame: &str, reason: &str| assert_eq!(decode_all("", frame).unwrap_err(), reason, "{frame}");
    check("select 1", "no line `# Query_time: …` in `select 1`");
    check(
        "# User@Host: a[a] @ h []\nselect 1;",
        "no line `# Query_time: …` in `# User@Host: a[a] @ h []�select 1;`",
    );
    check("# User@Host: nobody", "no `USER[USER] @ HOST [ADDRESS]` behind `# User@Host:`: `nobody`");
    check("# User@Host: a[a] @ h []\n# Query_time: x", "`query_time` is not a number: `x`");
    check(
        "# User@Host: a[a] @ h []\n# Query_time: 1\nSET timestamp=x;",
        "`SET timestamp` is no time: `timestamp=x;`",
    );
    check("# Time: now\n# User@Host: a[a] @ h []\n# Query_time: 1\nx;", "`# Time:` is no time: `now`");
    let faults = DecoderTest::<MysqlSlowDecoder>::faults("statement_bytes_max = 0\ntimezone = 'Mars'");
    assert_eq!(faults.len(), 2, "{faults:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), lines in proptest::collection::vec("(# Time: |# User@Host: |# |use |SET timestamp=|Tcp port: |, Version: )?[a-zA-Z:@\\[\\] 0-9;`]{0,12}", 0..8)) {
        let mut decoder = DecoderTest::<MysqlSlowDecoder>::open("statement_bytes_max = 3").unwrap();
        let _ = decoder.decode(&bytes);
        let _ = decoder.decode(lines.join("\n").as_bytes());
    }
}
