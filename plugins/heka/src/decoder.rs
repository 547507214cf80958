//! Decoder `heka`: frames or bare protobuf messages → messages.

use crate::early_json;
use crate::framing::{self, RECORD_SEPARATOR};
use crate::protobuf::MessageReader;
use crate::signing::{HashFunction, Signers};
use heka_plugin_api::{Context, Counter, Decoder, Faults, Frame, MessageWriter, PluginError, Schema};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Reads Heka's protobuf messages: framed, also several frames in one datagram, or bare.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Keys of the signers that are believed: `<signer>_<version> = { key = "…" }`, with `hash = "sha1"` only that.
    #[serde(default)]
    signers: BTreeMap<String, Signer>,
    /// Refuse messages that are not signed.
    #[serde(default)]
    #[schema(default = "false")]
    require_signature: bool,
    /// Name of a field that gets the name of the verified signer; empty for none.
    #[serde(default)]
    signer_field: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signer {
    key: String,
    hash: Option<HashFunction>,
}

/// Reads Heka's protobuf messages.
pub struct HekaDecoder {
    reader: MessageReader,
    signers: Signers,
    require_signature: bool,
    signer_field: String,
    counters: Counters,
}

struct Counters {
    broken: Counter,
    without_uuid: Counter,
    without_timestamp: Counter,
}

impl Decoder for HekaDecoder {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        for (name, signer) in &config.signers {
            let version = name.rsplit_once('_').and_then(|(_, version)| version.parse::<u32>().ok());
            if version.is_none() {
                faults
                    .add(format!("signers.{name}"), "the name must be `<signer>_<version>`, such as `web_1`");
            }
            if signer.key.is_empty() {
                faults.add(format!("signers.{name}.key"), "must not be empty");
            }
        }
        if config.require_signature && config.signers.is_empty() {
            faults.add("require_signature", "no message could pass: there are no `signers`");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let mut signers = Signers::default();
        for (name, signer) in &config.signers {
            signers.add(name, signer.key.as_bytes(), signer.hash);
        }
        Ok(HekaDecoder {
            reader: MessageReader::default(),
            signers,
            require_signature: config.require_signature,
            signer_field: config.signer_field,
            counters: Counters {
                broken: context.counter("broken"),
                without_uuid: context.counter("without_uuid"),
                without_timestamp: context.counter("without_timestamp"),
            },
        })
    }

    fn decode_frame(
        &mut self,
        frame: &Frame<'_>,
        messages: &mut MessageWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        let bytes = frame.bytes();
        if bytes.first() != Some(&RECORD_SEPARATOR) {
            return self.decode_bare(bytes, messages);
        }
        if let Some(message) = framing::plain_message(bytes).filter(|_| !self.require_signature) {
            return self.decode_protobuf(message, b"", messages);
        }
        match framing::parse_frame(bytes) {
            Ok(framed) if framed.len == bytes.len() => self.decode_framed(&framed, messages),
            _ => self.decode_row(bytes, messages),
        }
    }
}

impl HekaDecoder {
    fn decode_bare(&mut self, body: &[u8], messages: &mut MessageWriter<'_>) -> Result<(), PluginError> {
        if body.is_empty() {
            return Err(PluginError::message("an empty frame is no Heka message"));
        }
        if self.require_signature {
            return Err(PluginError::message("not signed: a message without a frame"));
        }
        self.decode_protobuf(body, b"", messages)
    }

    /// Decodes frames one behind the other; broken ones don't keep the good ones from passing.
    fn decode_row(&mut self, mut rest: &[u8], messages: &mut MessageWriter<'_>) -> Result<(), PluginError> {
        let (mut good, mut broken, mut first_reason) = (0, 0, None);
        while !rest.is_empty() {
            let (result, len) = match framing::parse_frame(rest) {
                Ok(framed) => (self.decode_framed(&framed, messages), framed.len),
                Err(fault) => (Err(PluginError::message(fault.to_string())), noise_len(rest)),
            };
            rest = &rest[len..];
            match result {
                Ok(()) => good += 1,
                Err(PluginError::Message(reason)) => {
                    broken += 1;
                    first_reason.get_or_insert(reason);
                }
                Err(other) => return Err(other),
            }
        }
        match first_reason {
            // The host counts this frame as failed.
            Some(reason) if good == 0 => Err(PluginError::Message(reason)),
            _ => {
                self.counters.broken.add(broken);
                Ok(())
            }
        }
    }

    #[inline]
    fn decode_framed(
        &mut self,
        framed: &framing::Frame<'_>,
        messages: &mut MessageWriter<'_>,
    ) -> Result<(), PluginError> {
        let signer = match &framed.header.signature {
            Some(signature) => {
                self.signers.verify(signature, framed.message).map_err(PluginError::Message)?;
                signature.signer
            }
            None if self.require_signature => return Err(PluginError::message("not signed")),
            None => b"",
        };
        match framed.header.message_encoding {
            0 => self.decode_protobuf(framed.message, signer, messages),
            1 => self.decode_json(framed.message, signer, messages),
            other => Err(PluginError::message(format!("message encoding {other} of the header is unknown"))),
        }
    }

    #[inline]
    fn decode_protobuf(
        &mut self,
        body: &[u8],
        signer: &[u8],
        messages: &mut MessageWriter<'_>,
    ) -> Result<(), PluginError> {
        let mut builder = messages.message();
        let read = self.reader.read(body, &mut builder);
        let (text, present) = read.map_err(|fault| PluginError::message(fault.to_string()))?;
        let is_marked = !signer.is_empty() && !self.signer_field.is_empty();
        if is_marked {
            builder.field(&self.signer_field, signer);
        }
        // Otherwise the message says more than the bytes do.
        if present.is_complete() && !is_marked {
            builder.raw_text(text);
        }
        builder.finish()?;
        self.counters.count_missing(present.uuid, present.timestamp);
        Ok(())
    }

    #[cold]
    fn decode_json(
        &mut self,
        body: &[u8],
        signer: &[u8],
        messages: &mut MessageWriter<'_>,
    ) -> Result<(), PluginError> {
        let mut builder = messages.message();
        let present = early_json::read(body, &mut builder).map_err(PluginError::Message)?;
        if !signer.is_empty() && !self.signer_field.is_empty() {
            builder.field(&self.signer_field, signer);
        }
        builder.finish()?;
        self.counters.count_missing(present.uuid, present.timestamp);
        Ok(())
    }
}

impl Counters {
    #[inline]
    fn count_missing(&self, uuid: bool, timestamp: bool) {
        if !uuid {
            self.without_uuid.add(1);
        }
        if !timestamp {
            self.without_timestamp.add(1);
        }
    }
}

/// Length of what is no frame, up to where the next one may begin.
fn noise_len(bytes: &[u8]) -> usize {
    let rest = bytes.get(1..).unwrap_or_default();
    memchr::memchr(RECORD_SEPARATOR, rest).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests;
