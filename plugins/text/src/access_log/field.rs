//! What is known of the fields of access logs by their names.

/// How the text of a field is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// As it is.
    Text,
    /// A whole number.
    Integer,
    /// A number with decimals.
    Double,
    /// A number with decimals, or a list of them, which stays text: nginx names each upstream that it tried.
    DoubleOrList,
    /// As `DoubleOrList`, whole.
    IntegerOrList,
    /// A request line: also split into `method`, `path` and `protocol`.
    Request,
    /// A path and, behind a `?`, what was asked: two fields.
    PathAndQuery,
    /// A time like `10/Oct/2000:13:55:36 -0700`.
    ClfTime,
    /// A time in RFC 3339.
    Rfc3339Time,
    /// Seconds since 1970-01-01 UTC with decimals; a number too.
    EpochTime,
    /// Whole milliseconds since 1970-01-01 UTC; a number too.
    EpochMsTime,
    /// Whole microseconds since 1970-01-01 UTC; a number too.
    EpochUsTime,
    /// A time in an strftime format, by its index among those of the log format.
    StrftimeTime(usize),
}

impl Kind {
    /// How well a field of this kind tells the message's time; 0 if it is no time.
    pub fn clock_rank(self) -> u8 {
        match self {
            Kind::StrftimeTime(_) => 1,
            Kind::ClfTime => 2,
            Kind::Rfc3339Time => 3,
            Kind::EpochTime | Kind::EpochMsTime | Kind::EpochUsTime => 4,
            _ => 0,
        }
    }

    /// Returns the kind of an nginx variable.
    pub fn of_variable(name: &str) -> Kind {
        match name {
            "request" => Kind::Request,
            "time_local" => Kind::ClfTime,
            "time_iso8601" => Kind::Rfc3339Time,
            "msec" => Kind::EpochTime,
            "request_time" | "connection_time" | "session_time" | "gzip_ratio" => Kind::Double,
            "upstream_response_time"
            | "upstream_connect_time"
            | "upstream_header_time"
            | "upstream_queue_time"
            | "upstream_session_time"
            | "upstream_first_byte_time" => Kind::DoubleOrList,
            "upstream_status"
            | "upstream_response_length"
            | "upstream_bytes_received"
            | "upstream_bytes_sent" => Kind::IntegerOrList,
            "status"
            | "body_bytes_sent"
            | "bytes_sent"
            | "bytes_received"
            | "request_length"
            | "content_length"
            | "connection"
            | "connection_requests"
            | "connections_active"
            | "connections_reading"
            | "connections_waiting"
            | "connections_writing"
            | "pid"
            | "remote_port"
            | "realip_remote_port"
            | "proxy_protocol_port"
            | "proxy_protocol_server_port"
            | "server_port"
            | "tcpinfo_rcv_space"
            | "tcpinfo_rtt"
            | "tcpinfo_rttvar"
            | "tcpinfo_snd_cwnd" => Kind::Integer,
            _ => Kind::Text,
        }
    }
}

/// A field of a log format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldName {
    /// Its name in messages.
    pub name: String,
    /// How it is read.
    pub kind: Kind,
}

impl FieldName {
    /// Makes a field of an nginx variable.
    pub fn of_variable(name: &str) -> FieldName {
        FieldName { name: name.to_owned(), kind: Kind::of_variable(name) }
    }

    /// Makes a field.
    pub fn new(name: impl Into<String>, kind: Kind) -> FieldName {
        FieldName { name: name.into(), kind }
    }
}

/// A piece of a log format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Bytes that stand there as they are.
    Literal(Vec<u8>),
    /// A field.
    Field(FieldName),
}
