//! A JSON object → a message.

use heka_object::{Found, ObjectOptions, ObjectReader};
use heka_plugin_api::{MessageBuilder, PluginError};

/// Greatest nesting that options may allow: serde_json itself goes no deeper than 127.
pub const DEPTH_MAX: usize = 120;

/// Reads JSON objects; keeps its scratch memory between them.
pub struct JsonReader {
    objects: ObjectReader,
    keep_payload: bool,
}

impl JsonReader {
    /// Makes a reader; `keep_payload` keeps the text of an object that is no envelope as payload.
    pub fn new(options: ObjectOptions, keep_payload: bool) -> JsonReader {
        JsonReader { objects: ObjectReader::new(options), keep_payload }
    }

    /// Reads `json`, one object with white space around it, into `builder`; returns what it told about itself.
    ///
    /// # Errors
    /// [`PluginError::Message`] if it is something else, or nested too deep; `builder` must then not be finished.
    #[inline]
    pub fn read(&mut self, json: &[u8], builder: &mut MessageBuilder<'_>) -> Result<Found, PluginError> {
        let json = json.trim_ascii();
        let text = builder.text(json);
        let mut source = serde_json::Deserializer::from_slice(json);
        let found = self.objects.read(&mut source, json, text, builder).map_err(refuse)?;
        source.end().map_err(refuse)?;
        if self.keep_payload && !found.payload && !found.envelope {
            builder.payload_text(text);
        }
        Ok(found)
    }
}

#[cold]
fn refuse(error: serde_json::Error) -> PluginError {
    PluginError::message(format!("not a JSON object: {error}"))
}
