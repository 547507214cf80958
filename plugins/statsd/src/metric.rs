//! What one line or message says of one metric.

/// What kind of metric a name is; each kind has names of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Counter,
    Gauge,
    Timer,
    Histogram,
    Set,
}

impl Kind {
    /// Returns the word in a message's field `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Timer => "timer",
            Kind::Histogram => "histogram",
            Kind::Set => "set",
        }
    }

    /// Returns the kind with this name.
    pub fn named(name: &[u8]) -> Option<Kind> {
        let all = [Kind::Counter, Kind::Gauge, Kind::Timer, Kind::Histogram, Kind::Set];
        all.into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}

/// A number that keeps all digits of an integer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    Integer(i64),
    Double(f64),
}

impl Number {
    /// Returns it as a double, the nearest one.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Double(value) => value,
        }
    }

    /// Returns what it counts for when one in `1 / rate` was sampled.
    pub fn scaled(self, rate: f64) -> Number {
        if rate == 1.0 {
            return self;
        }
        // As all statsds do it, so that the last bit is the same.
        whole(self.as_f64() * (1.0 / rate))
    }
}

/// Returns an integer where the double is one, without loss.
pub fn whole(value: f64) -> Number {
    const EXACT_MAX: f64 = (1_u64 << 53) as f64;
    if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
        Number::Integer(value as i64)
    } else {
        Number::Double(value)
    }
}

/// One value of a metric.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// What a counter grows by.
    Count(Number),
    /// What a gauge is set to.
    Level(Number),
    /// What a gauge changes by.
    Change(Number),
    /// A sample of a timer, in milliseconds; `weight` is how many it stands for.
    Time { value: f64, weight: f64 },
    /// A sample of a histogram.
    Sample { value: f64, weight: f64 },
    /// A member of a set.
    Member(&'a [u8]),
}

impl Value<'_> {
    /// Returns the kind of the metric.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Count(_) => Kind::Counter,
            Value::Level(_) | Value::Change(_) => Kind::Gauge,
            Value::Time { .. } => Kind::Timer,
            Value::Sample { .. } => Kind::Histogram,
            Value::Member(_) => Kind::Set,
        }
    }
}
