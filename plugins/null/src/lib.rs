//! Makes and swallows messages, for benchmarks and for trying things: input `generate`, output `null`.

mod generate;

use generate::GenerateInput;
use heka_plugin_api::{Context, Counter, Delivered, Delivery, Output, PluginError, Schema, export_plugin};
use serde::Deserialize;

export_plugin! {
    input "generate" => GenerateInput,
    output "null" => NullOutput,
}

/// Counts messages and forgets them.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Options {}

/// Counts messages and forgets them.
struct NullOutput {
    messages: Counter,
}

impl Output for NullOutput {
    type Config = Options;

    fn open(_: Options, context: &mut Context) -> Result<Self, PluginError> {
        Ok(NullOutput { messages: context.counter("messages") })
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        self.messages.add(delivery.len() as u64);
        Ok(Delivered::Now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{OutputTest, message};

    #[test]
    fn messages_are_counted() {
        let mut output = OutputTest::<NullOutput>::open("").unwrap();
        let sent = [message(|_| {}), message(|_| {})].map(|message| (message, &b""[..]));
        output.deliver(&sent).unwrap();
        assert_eq!(output.host().counter("messages"), 2);
    }
}
