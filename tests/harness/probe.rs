//! Plugins of the tests' own, linked into the test program: output `capture`, filters `echo`, `tally` and `stubborn`.

use heka_plugin_api::{
    Context, Delivered, Delivery, Filter, Message, MessageMut, Output, PluginError, Schema, Verdict,
    export_plugin,
};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

export_plugin! {
    output "capture" => CaptureOutput,
    filter "echo" => EchoFilter,
    filter "tally" => TallyFilter,
    filter "stubborn" => StubbornFilter,
}

/// What outputs `capture` of this process were given, by their `key`.
static CAPTURED: Mutex<Option<HashMap<String, Vec<Captured>>>> = Mutex::new(None);

/// What a test looks at of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// Its type.
    pub message_type: String,
    /// Its payload.
    pub payload: String,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// Its fields, values as their `Debug` shows them.
    pub fields: Vec<(String, String)>,
}

impl Captured {
    fn of(message: &Message<'_>) -> Captured {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let values = |field: heka_plugin_api::Field<'_>| {
            let shown: Vec<String> = field.values().map(|value| format!("{value:?}")).collect();
            (text(field.name()), shown.join(","))
        };
        Captured {
            message_type: text(message.message_type()),
            payload: text(message.payload()),
            uuid: message.uuid(),
            fields: message.fields().map(values).collect(),
        }
    }

    /// Value of its first field with a name, as `Debug` shows it.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// Names an output `capture`, and reads what it got.
pub struct Capture {
    key: String,
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl Capture {
    /// Makes one that nobody else has.
    pub fn new() -> Capture {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Capture { key: format!("capture {}", NEXT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// A section for the config.
    pub fn output(&self, name: &str) -> String {
        format!("[outputs.{name}]\nplugin = \"capture\"\nkey = \"{}\"\n", self.key)
    }

    /// All messages that came, in order.
    pub fn messages(&self) -> Vec<Captured> {
        captured().as_ref().and_then(|by_key| by_key.get(&self.key)).cloned().unwrap_or_default()
    }
}

fn captured() -> MutexGuard<'static, Option<HashMap<String, Vec<Captured>>>> {
    CAPTURED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Options of `capture`.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct CaptureConfig {
    /// Where to keep the messages.
    key: String,
}

/// Keeps messages for the test to look at.
struct CaptureOutput {
    key: String,
}

impl Output for CaptureOutput {
    type Config = CaptureConfig;

    fn open(config: CaptureConfig, _: &mut Context) -> Result<Self, PluginError> {
        Ok(CaptureOutput { key: config.key })
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        let mut captured = captured();
        let kept = captured.get_or_insert_default().entry(self.key.clone()).or_default();
        kept.extend(delivery.messages().map(|(message, _)| Captured::of(&message)));
        Ok(Delivered::Now)
    }
}

/// Options of `echo`.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct EchoConfig {
    /// Type of the emitted messages.
    emit_type: String,
    /// How many to emit for each message.
    #[serde(default = "one")]
    #[schema(default = "1")]
    times: u32,
    /// What becomes of the message itself: `pass`, `drop` or `absorb`.
    #[serde(default = "pass")]
    #[schema(default = "pass")]
    verdict: String,
}

fn one() -> u32 {
    1
}

fn pass() -> String {
    "pass".to_owned()
}

/// Emits messages with the payload of each message that comes.
struct EchoFilter {
    config: EchoConfig,
}

impl Filter for EchoFilter {
    type Config = EchoConfig;

    fn open(config: EchoConfig, _: &mut Context) -> Result<Self, PluginError> {
        Ok(EchoFilter { config })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        context: &mut Context,
    ) -> Result<Verdict, PluginError> {
        for _ in 0..self.config.times {
            context.emit(|echo| {
                echo.message_type(&self.config.emit_type).payload(message.payload());
            })?;
        }
        Ok(match self.config.verdict.as_str() {
            "drop" => Verdict::Drop,
            "absorb" => Verdict::Absorb,
            _ => Verdict::Pass,
        })
    }
}

/// Options of `tally`.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct TallyConfig {
    /// Name of the field that is set.
    field: String,
    /// Fails every message whose number can be divided by this; 0 for none.
    #[serde(default)]
    #[schema(default = "0")]
    fail_every: i64,
}

/// Numbers the messages that it sees: a field says which one each was.
struct TallyFilter {
    config: TallyConfig,
    seen: i64,
}

impl Filter for TallyFilter {
    type Config = TallyConfig;

    fn open(config: TallyConfig, _: &mut Context) -> Result<Self, PluginError> {
        Ok(TallyFilter { config, seen: 0 })
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        self.seen += 1;
        if self.config.fail_every > 0 && self.seen % self.config.fail_every == 0 {
            return Err(PluginError::message("every so often"));
        }
        message.set_field(&self.config.field, self.seen);
        Ok(Verdict::Pass)
    }
}

/// Options of `stubborn`.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct StubbornConfig {
    /// Whether it refuses to start.
    refuses: bool,
}

/// Passes messages, if it starts.
struct StubbornFilter {
    refuses: bool,
}

impl Filter for StubbornFilter {
    type Config = StubbornConfig;

    fn open(config: StubbornConfig, _: &mut Context) -> Result<Self, PluginError> {
        Ok(StubbornFilter { refuses: config.refuses })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        if self.refuses { Err(PluginError::fatal("does not want to")) } else { Ok(()) }
    }

    fn process_message(&mut self, _: &mut MessageMut<'_>, _: &mut Context) -> Result<Verdict, PluginError> {
        Ok(Verdict::Pass)
    }
}
