//! Where secrets are looked for.

use heka_plugin_api::MessageMut;

/// A text of the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// The payload.
    Payload,
    /// The type.
    Type,
    /// The logger.
    Logger,
    /// The machine's name.
    Hostname,
}

impl Header {
    pub fn text<'m>(self, message: &'m MessageMut<'_>) -> &'m [u8] {
        match self {
            Header::Payload => message.payload(),
            Header::Type => message.message_type(),
            Header::Logger => message.logger(),
            Header::Hostname => message.hostname(),
        }
    }

    pub fn set(self, message: &mut MessageMut<'_>, text: &[u8]) {
        match self {
            Header::Payload => message.set_payload(text),
            Header::Type => message.set_message_type(text),
            Header::Logger => message.set_logger(text),
            Header::Hostname => message.set_hostname(text),
        }
    }
}

/// Texts of a message.
#[derive(Default)]
pub struct Places {
    headers: Vec<Header>,
    all_fields: bool,
    fields: Vec<Vec<u8>>,
}

impl Places {
    /// Adds a place by its name.
    pub fn add(&mut self, name: &str) -> Result<(), String> {
        match name {
            "Payload" | "payload" => self.headers.push(Header::Payload),
            "Type" | "type" => self.headers.push(Header::Type),
            "Logger" | "logger" => self.headers.push(Header::Logger),
            "Hostname" | "hostname" => self.headers.push(Header::Hostname),
            "Fields" | "fields" => self.all_fields = true,
            _ => {
                let field = name.strip_prefix("Fields[").and_then(|rest| rest.strip_suffix(']'));
                let known = "Payload, Type, Logger, Hostname, Fields, Fields[name]";
                self.fields
                    .push(field.ok_or(format!("no place `{name}`; known: {known}"))?.as_bytes().to_vec());
            }
        }
        Ok(())
    }

    pub fn headers(&self) -> impl Iterator<Item = Header> + use<'_> {
        self.headers.iter().copied()
    }

    pub fn has_fields(&self) -> bool {
        self.all_fields || !self.fields.is_empty()
    }

    pub fn has_field(&self, name: &[u8]) -> bool {
        self.all_fields || self.fields.iter().any(|field| field == name)
    }
}
