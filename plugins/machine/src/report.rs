//! What a look at the machine found.

/// The number of a quantity.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// A count or a size.
    Integer(i64),
    /// A fraction, a rate or a time.
    Double(f64),
}

impl Number {
    /// Returns it as a double, for a gauge.
    pub fn as_double(self) -> f64 {
        match self {
            Number::Integer(number) => number as f64,
            Number::Double(number) => number,
        }
    }
}

/// One number of a reading, with its name and unit.
#[derive(Clone, PartialEq, Debug)]
pub struct Quantity {
    pub name: String,
    pub unit: &'static str,
    pub number: Number,
}

/// What was found about one subject, or one device of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// The messages' type, such as `host.cpu`.
    pub subject: &'static str,
    /// What it is about; the first one names the device.
    pub labels: Vec<(&'static str, String)>,
    pub quantities: Vec<Quantity>,
    /// Whether the device comes and goes, so that gauges would pile up names.
    pub is_fleeting: bool,
}

impl Reading {
    /// Says what the reading is about.
    pub fn label(&mut self, name: &'static str, value: impl Into<String>) -> &mut Reading {
        self.labels.push((name, value.into()));
        self
    }

    /// Adds a count or a size.
    pub fn integer(&mut self, name: impl Into<String>, unit: &'static str, number: u64) -> &mut Reading {
        let number = Number::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        self.quantities.push(Quantity { name: name.into(), unit, number });
        self
    }

    /// Adds a fraction, a rate or a time; what is no number is left out.
    pub fn double(
        &mut self,
        name: impl Into<String>,
        unit: &'static str,
        number: impl Into<Option<f64>>,
    ) -> &mut Reading {
        if let Some(number) = number.into().filter(|number| number.is_finite()) {
            self.quantities.push(Quantity { name: name.into(), unit, number: Number::Double(number) });
        }
        self
    }
}

/// The readings of one look.
#[derive(Default, Debug)]
pub struct Report {
    pub readings: Vec<Reading>,
}

impl Report {
    /// Begins a reading.
    pub fn begin(&mut self, subject: &'static str) -> &mut Reading {
        let reading = Reading { subject, labels: Vec::new(), quantities: Vec::new(), is_fleeting: false };
        let at = self.readings.len();
        self.readings.push(reading);
        &mut self.readings[at]
    }
}

#[cfg(test)]
impl Report {
    /// Returns a quantity of the reading whose first label, if it has one, is `device`.
    pub fn number(&self, subject: &str, device: &str, name: &str) -> Option<f64> {
        let of_device = |reading: &&Reading| {
            reading.subject == subject
                && reading.labels.first().map_or("", |(_, value)| value.as_str()) == device
        };
        let reading = self.readings.iter().find(of_device)?;
        let quantity = reading.quantities.iter().find(|quantity| quantity.name == name)?;
        Some(quantity.number.as_double())
    }

    /// Returns the first labels of the readings about a subject.
    pub fn devices(&self, subject: &str) -> Vec<&str> {
        let about = self.readings.iter().filter(|reading| reading.subject == subject);
        about.map(|reading| reading.labels.first().map_or("", |(_, value)| value.as_str())).collect()
    }
}
